"""Reads a bench's files and its node, without writing to either, also while the bench runs."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from testbed.chain.proofs import header_fields
from testbed.chain.reading import Contents, read_journal, read_tail
from testbed.chain.rpc import Node
from testbed.core.bodies import AnchorReceipt, Beacon
from testbed.core.entry import Kind, Row
from testbed.core.errors import ChainError, InvalidData, NodeUnreachable, StoreError
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.store.sqlite import LogStore
from testbed.store.stored_rows import StoredRows, as_bytes, typed
from testbed.verify.evidence import ChainEvidence, Evidence, LogEvidence
from testbed.verify.published import read_key_changes, read_tiles
from testbed.verify.trust import LogRole, Trust, TrustedChain

_TRIES = 5
"""How often a publisher, or a whole node, may be exchanged while it is read."""

_AT_ONCE = 4 << 20
"""Bytes of a database up to which its rows are read at once, which is quicker."""

_ORDER = (LogRole.TWIN, LogRole.GATEWAY, LogRole.READER, LogRole.OPERATOR, LogRole.RECEIPTS)

_HIGHEST = 2**63 - 1
"""Block numbers above are no node's; a false beacon may name any."""

_READINGS = 100
"""How often a block may come in between while slots are read, which takes a few milliseconds."""


async def gather(
    trust: Trust, folders: Mapping[str, tuple[Path, Path]], journal: Path, node: Node | None, node_problem: str
) -> Evidence:
    """Read everything that `trust` names.

    folders: (store, published folder) by origin; node: None with the reason in `node_problem` where none is reachable.
    A bench may run meanwhile, so what is read first is covered by what is read later: anchors, which name sizes of all
    logs; the twins' logs, which name records of the gateway's; readers' logs, which keep the operator's checkpoints;
    the operator's; the receipts. Receipts and beacons may name blocks that came after the chain was read: those are
    read last. Without a chain no height says which receipts came later, so there the journal must not grow meanwhile.
    """
    contents, journal_problem = _journal(journal)
    chain, chain_problem = None, node_problem
    if node is not None:
        try:
            chain, contents, journal_problem = await _chain_and_journal(trust, journal, node)
        except ChainError as error:
            chain_problem = error.problem
        except InvalidData as error:
            chain_problem = f"{node.url} does not answer as a node should: {error}"
    logs, reading_ns = _logs(trust, folders)
    # Where the chain tells which blocks came later, a journal that grew meanwhile need not be read again.
    told = chain is not None and not _is_behind(chain, contents)
    settled = _ends_with(journal, contents)
    for _ in range(0 if settled or told else _TRIES):
        contents, journal_problem = _journal(journal)
        logs, reading_ns = _logs(trust, folders)
        settled = _ends_with(journal, contents)
        if settled:
            break
    if node is not None and chain is not None:
        try:
            await _read_named_blocks(node, chain, logs.values())
        except (ChainError, InvalidData) as error:
            chain, chain_problem = None, str(error)
    return Evidence(
        logs=logs,
        journal_head=contents.head if contents else None,
        journal=contents.steps if contents else (),
        journal_problem=journal_problem,
        chain=chain,
        chain_problem=chain_problem,
        settled=settled,
        reading_ns=reading_ns,
    )


def _logs(trust: Trust, folders: Mapping[str, tuple[Path, Path]]) -> tuple[dict[str, LogEvidence], int]:
    """All logs, in the order in which they cover one another, and how long it took, ns."""
    begun = time.monotonic_ns()
    order = sorted(trust.logs, key=lambda log: _ORDER.index(log.role))
    logs = {log.origin: read_log(log.origin, *folders[log.origin]) for log in order if log.origin in folders}
    return logs, time.monotonic_ns() - begun


def _is_behind(chain: ChainEvidence, contents: Contents | None) -> bool:
    """Whether the journal knows blocks that the chain has not."""
    steps = () if contents is None else contents.steps
    return any(step.mined is not None and step.mined.height > chain.height for step in steps[-2:])


def _ends_with(journal: Path, contents: Contents | None) -> bool:
    """Whether the journal still ends where it did when it was read: then it was ahead of all that was read since."""
    try:
        tail = read_tail(journal)
    except (StoreError, InvalidData):
        return contents is None
    return contents is not None and (tail.steps, tail.last) == (
        len(contents.steps),
        next(reversed(contents.steps), None),
    )


async def _read_named_blocks(node: Node, chain: ChainEvidence, logs: Iterable[LogEvidence]) -> None:
    """Add the blocks that beacons and receipts name and that were not read yet."""
    for number in sorted({number for log in logs for number in _named_blocks(log)} - chain.blocks.keys()):
        block = await node.block(number)
        if block is not None:
            chain.blocks[number] = header_fields(block.header_rlp)
    # A node that was started again meanwhile may not have all its blocks yet.
    again = await node.block(chain.height)
    if again is None or again.hash != chain.head:
        raise ChainError(f"{node.url} was exchanged, or its chain rewritten, while it was read", "try again")


def _named_blocks(log: LogEvidence) -> Iterator[int]:
    # Of a log that cannot be read the checks that come after say so.
    with suppress(StoreError):
        yield from _named_in(log.rows)


def _named_in(rows: Sequence[Row]) -> Iterator[int]:
    kinds = (Kind.BEACON, Kind.RECEIPT)
    for row in rows.of_kinds(kinds) if isinstance(rows, StoredRows) else rows:
        # What cannot be read is a finding of the checks that come after.
        with suppress(InvalidData):
            kind = decode_entry(row.entry).kind
            if kind in kinds and row.body is not None:
                body = decode_body(kind, row.body)
                if isinstance(body, Beacon):
                    yield min(body.number, _HIGHEST)
                elif isinstance(body, AnchorReceipt):
                    yield header_fields(body.header).number


def read_log(origin: str, store: Path, published: Path, at_once: int = _AT_ONCE) -> LogEvidence:
    """One log as it stands on disk: tiles first, then the records, which are never behind them.

    at_once: bytes; a database that is larger is not held, but read where it is asked for.
    """
    try:
        note, tiles = read_tiles(published)
        changes = read_key_changes(published / "keys")
        with LogStore.examine(store) as log:
            if store.stat().st_size > at_once:
                rows: Sequence[Row] = log.stored_rows()
                checkpoints = list(log.checkpoints())
            else:
                found, checkpoints = log.snapshot()
                rows = tuple(typed((row.index, row.entry, row.salt, row.body)) for row in found)
    except StoreError as error:
        return LogEvidence(origin, problem=error.problem)
    signed = tuple((size, as_bytes(note)) for size, note in checkpoints)
    return LogEvidence(origin, rows, signed, note, tiles, key_changes=changes)


def _journal(path: Path) -> tuple[Contents | None, str]:
    if not path.exists():
        return None, f"{path}: there is no journal, so nothing was anchored"
    try:
        return read_journal(path), ""
    except (StoreError, InvalidData) as error:
        return None, str(error)


async def _chain_and_journal(trust: Trust, path: Path, node: Node) -> tuple[ChainEvidence, Contents | None, str]:
    """The chain at one block, and the journal up to that block, while both may grow.

    The journal is read on both sides of the chain. Steps that the first reading had not and that lie above the block
    came meanwhile and are left for the next check; steps that it had must stand on the chain. Raises ChainError when
    the node is exchanged or the chain grows faster than it can be read.
    """
    for _ in range(_TRIES):
        before, _ = _journal(path)
        of_others = before is None or before.head.node_version is None
        chain = await _at_one_block(trust.chain, [log.origin for log in trust.logs], node, prove=of_others)
        contents, problem = _journal(path)
        if contents is not None:
            last = max((step.mined.height for step in before.steps if step.mined), default=0) if before else 0
            limit = max(chain.height, last)
            steps = tuple(step for step in contents.steps if step.mined is None or step.mined.height <= limit)
            contents = Contents(contents.head, steps)
            for step in steps:
                block = await node.block(step.mined.height) if step.mined is not None else None
                if block is not None:
                    chain.blocks[block.number] = header_fields(block.header_rlp)
        again = await node.block(chain.height)
        if again is not None and again.hash == chain.head:
            return chain, contents, problem
    raise ChainError(f"{node.url} was exchanged, or its chain rewritten, while it was read", "try again")


async def _at_one_block(chain: TrustedChain, origins: Sequence[str], node: Node, *, prove: bool) -> ChainEvidence:
    """Slots and code under one newest block; read again while another block comes in between.

    prove: ask for proofs of the slots as well, as on a network of others the node's word is not enough.
    """
    genesis = await node.block(0)
    head = await node.block("latest")
    for _ in range(_READINGS):
        if genesis is None or head is None:
            raise ChainError(f"{node.url} has no genesis block", "look at the node")
        found = ChainEvidence(
            version=await node.version(),
            chain_id=await node.chain_id(),
            genesis=genesis.hash,
            height=head.number,
            head=head.hash,
            code_hash=await node.code_hash(chain.contract),
            blocks={head.number: header_fields(head.header_rlp)} if prove else {},
            slots={origin: await node.storage(chain.contract, chain.newest_slot(origin)) for origin in origins},
            proofs={origin: await _proof(node, chain, origin, head.number) for origin in origins} if prove else {},
        )
        before, head = head, await node.block("latest")
        if head is not None and head.hash == before.hash:
            return found
    raise ChainError(f"{node.url} mines blocks faster than they can be read", "verify a stopped bench")


async def _proof(node: Node, chain: TrustedChain, origin: str, height: int) -> bytes:
    """Proof of a log's slot in a block, empty where the node gives none."""
    try:
        return await node.proof(chain.contract, chain.newest_slot(origin), hex(height))
    except NodeUnreachable:
        raise
    except ChainError:
        return b""
