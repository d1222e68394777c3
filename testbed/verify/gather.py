"""Reads a bench's files and its node, without writing to either, also while the bench runs."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from testbed.chain.journal import Contents, read_journal
from testbed.chain.proofs import Header, header_fields
from testbed.chain.rpc import Node
from testbed.core.entry import Row
from testbed.core.errors import ChainError, InvalidData, StoreError
from testbed.keys.checkpoint import parse_checkpoint
from testbed.store.sqlite import LogStore
from testbed.verify.chain import slot_of
from testbed.verify.evidence import ChainEvidence, Evidence, LogEvidence
from testbed.verify.tiles import expected_count, is_expected
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
    blocks: dict[int, Header] = {}
    for _ in range(_TRIES):
        contents, journal_problem = _journal(journal)
        chain, chain_problem = await _chain(trust, contents, node, node_problem, blocks)
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
    return LogEvidence(
        origin,
        tuple(_typed(row) for row in rows),
        tuple((size, _bytes(note)) for size, note in checkpoints),
        note,
        tiles,
    )


def _typed(row: Row) -> Row:
    return Row(row.index, _bytes(row.entry), _bytes(row.salt), None if row.body is None else _bytes(row.body))


def _bytes(value: object) -> bytes:
    """In a damaged file SQLite gives what it finds, of any type. What is no byte string was never signed."""
    return value if isinstance(value, bytes) else b""


def _read_tiles(folder: Path) -> tuple[bytes | None, dict[str, bytes]]:
    """The `checkpoint` file and the tiles that it asks for. A publisher may replace both meanwhile: then once more."""
    note: bytes | None = None
    tiles: dict[str, bytes] = {}
    for _ in range(_TRIES):
        note = _read(folder / "checkpoint")
        size = _claimed_size(note)
        # What is there is looked at, not what a checkpoint asks for: it may claim any size.
        names = [str(path.relative_to(folder)) for path in folder.glob("tile/**/*")]
        found = {name: _read(folder / name) for name in names if is_expected(name, size)}
        tiles = {name: data for name, data in found.items() if data is not None}
        if len(tiles) == expected_count(size) or note == _read(folder / "checkpoint"):
            break
    return note, tiles


def _claimed_size(note: bytes | None) -> int:
    """Size that the unverified published checkpoint speaks of, 0 where it is none."""
    if note is None:
        return 0
    try:
        return parse_checkpoint(note.decode().partition("\n\n")[0] + "\n").size
    except ValueError:
        return 0


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.is_file() else None
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
    trust: Trust, contents: Contents | None, node: Node | None, node_problem: str, blocks: dict[int, Header]
) -> tuple[ChainEvidence | None, str]:
    if node is None:
        return None, node_problem
    try:
        return await _ask(trust.chain, [log.origin for log in trust.logs], contents, node, blocks), ""
    except ChainError as error:
        return None, error.problem
    except InvalidData as error:
        return None, f"{node.url} does not answer as a node should: {error}"


async def _ask(
    chain: TrustedChain, origins: Iterable[str], contents: Contents | None, node: Node, blocks: dict[int, Header]
) -> ChainEvidence:
    """blocks: those that were read already; there may be thousands, and the slots must be read while none is added."""
    genesis = await node.block(0)
    if genesis is None:
        raise ChainError(f"{node.url} has no genesis block")
    heights = [step.mined.height for step in contents.steps if step.mined is not None] if contents else []
    for height in heights:
        if height in blocks:
            continue
        block = await node.block(height)
        if block is None:
            break
        blocks[height] = header_fields(block.header_rlp)
    return ChainEvidence(
        version=await node.version(),
        chain_id=await node.chain_id(),
        genesis=genesis.hash,
        height=await node.height(),
        code_hash=await node.code_hash(chain.contract),
        blocks=blocks,
        slots={origin: await node.storage(chain.contract, slot_of(chain, origin)) for origin in origins},
    )
