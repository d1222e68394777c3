"""Reads a bench's files and its node, without writing to either, also while the bench runs."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from testbed.chain.journal import Contents, read_journal
from testbed.chain.rpc import Node
from testbed.core.errors import ChainError, InvalidData, StoreError
from testbed.keys.checkpoint import parse_checkpoint
from testbed.store.sqlite import LogStore
from testbed.verify.chain import slot_of
from testbed.verify.evidence import ChainEvidence, Evidence, LogEvidence
from testbed.verify.tiles import expected_paths
from testbed.verify.trust import LogRole, Trust, TrustedChain

_TRIES = 5
"""How often a running bench may move on while it is read."""


async def gather(
    trust: Trust, folders: Mapping[str, tuple[Path, Path]], journal: Path, node: Node | None, node_problem: str
) -> Evidence:
    """Read everything that `trust` names.

    folders: (store, published folder) by origin; node: None with the reason in `node_problem` where none is reachable.
    What is read first is covered by what is read later: anchors, then the twins' logs, then the logs they follow.
    """
    for _ in range(_TRIES):
        contents, journal_problem = _journal(journal)
        chain, chain_problem = await _chain(trust, contents, node, node_problem)
        if contents == _journal(journal)[0]:
            break
    order = sorted(trust.logs, key=lambda log: log.role is not LogRole.TWIN)
    logs = {log.origin: read_log(log.origin, *folders[log.origin]) for log in order if log.origin in folders}
    return Evidence(
        logs=logs,
        journal_head=contents.head if contents else None,
        journal=contents.steps if contents else (),
        journal_problem=journal_problem,
        chain=chain,
        chain_problem=chain_problem,
    )


def read_log(origin: str, store: Path, published: Path) -> LogEvidence:
    """One log as it stands on disk: tiles first, then the records, which are never behind them."""
    try:
        note, tiles = _read_tiles(published)
        with LogStore.read(store) as log:
            rows, checkpoints = log.snapshot()
    except StoreError as error:
        return LogEvidence(origin, problem=error.problem)
    return LogEvidence(origin, tuple(rows), tuple(checkpoints), note, tiles)


def _read_tiles(folder: Path) -> tuple[bytes | None, dict[str, bytes]]:
    """The `checkpoint` file and the tiles that it asks for. A publisher may replace both meanwhile: then once more."""
    note: bytes | None = None
    tiles: dict[str, bytes] = {}
    for _ in range(_TRIES):
        note = _read(folder / "checkpoint")
        tiles = {}
        missing = False
        for path in _asked_for(note):
            data = _read(folder / path)
            if data is None:
                missing = True
            else:
                tiles[path] = data
        if not missing or note == _read(folder / "checkpoint"):
            break
    return note, tiles


def _asked_for(note: bytes | None) -> Iterable[str]:
    if note is None:
        return ()
    try:
        text = note.decode().partition("\n\n")[0] + "\n"
        return expected_paths(parse_checkpoint(text).size)
    except ValueError:
        return ()


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error


def _journal(path: Path) -> tuple[Contents | None, str]:
    if not path.exists():
        return None, f"{path}: there is no journal, so nothing was anchored"
    try:
        return read_journal(path), ""
    except (StoreError, InvalidData) as error:
        return None, str(error)


async def _chain(
    trust: Trust, contents: Contents | None, node: Node | None, node_problem: str
) -> tuple[ChainEvidence | None, str]:
    if node is None:
        return None, node_problem
    try:
        return await _ask(trust.chain, [log.origin for log in trust.logs], contents, node), ""
    except ChainError as error:
        return None, error.problem


async def _ask(chain: TrustedChain, origins: Iterable[str], contents: Contents | None, node: Node) -> ChainEvidence:
    genesis = await node.block(0)
    if genesis is None:
        raise ChainError(f"{node.url} has no genesis block")
    heights = [step.mined.height for step in contents.steps if step.mined is not None] if contents else []
    blocks: dict[int, bytes] = {}
    for height in heights:
        block = await node.block(height)
        if block is None:
            break
        blocks[height] = block.hash
    slots = [slot_of(chain, origin) for origin in origins]
    return ChainEvidence(
        chain_id=await node.chain_id(),
        genesis=genesis.hash,
        height=await node.height(),
        code_hash=await node.code_hash(chain.contract),
        blocks=blocks,
        slots={slot: await node.storage(chain.contract, slot) for slot in slots},
    )
