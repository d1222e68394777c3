"""Follows one record from its body to the block that holds its anchor."""

from dataclasses import dataclass

from testbed.core.checkpoint import Checkpoint
from testbed.core.errors import UsageError
from testbed.merkle.proofs import verify_inclusion
from testbed.merkle.tree import Tree, leaf_hash
from testbed.verify.evidence import Evidence
from testbed.verify.records import Genuine
from testbed.verify.verdict import Checked


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where a checkpoint stands on the chain. time: of the block, s since 1970; gas: of the whole transaction."""

    transaction: bytes
    block: int
    block_hash: bytes
    time: int
    gas: int
    records: int


@dataclass(frozen=True, slots=True)
class Trace:
    """One record and everything above it. checkpoint: the first anchored one that covers it, None while it waits.

    path: RFC 9162 inclusion path of `leaf` in that checkpoint, checked.
    """

    origin: str
    record: Genuine
    leaf: bytes
    checkpoint: Checkpoint | None
    path: tuple[bytes, ...]
    anchor: Anchor | None


def trace(checked: Checked, evidence: Evidence, source: str, seq: int) -> Trace:
    """Trace record `seq` of `source` (the device or twin that it speaks of).

    Raises UsageError when no log has such a genuine record.
    """
    for log in checked.logs.values():
        for record in log.genuine.values():
            if record.entry.source == source and record.entry.seq == seq:
                return _trace(log.origin, record, [leaf for leaf in log.leaves if leaf is not None], evidence, checked)
    known = sorted({record.entry.source for log in checked.logs.values() for record in log.genuine.values()})
    if not known:
        raise UsageError(
            "there is no genuine record at all", "run the bench first, or see the findings of `testbed verify`"
        )
    raise UsageError(
        f"there is no genuine record {seq} of {source!r}",
        f"sources are {', '.join(known)}; see the findings for records that are not genuine",
    )


def _trace(origin: str, record: Genuine, leaves: list[bytes], evidence: Evidence, checked: Checked) -> Trace:
    leaf = leaf_hash(record.entry_data)
    agreed = checked.logs[origin].agreed
    size = min((size for size in agreed if size > record.index), default=None)
    if size is None:
        return Trace(origin, record, leaf, None, (), None)
    tree = Tree(leaves[:size])
    checkpoint = Checkpoint(origin, size, tree.root())
    path = tree.inclusion_path(record.index, size)
    verify_inclusion(leaf, record.index, size, path, checkpoint.root)
    before = max((other for other in agreed if other < size), default=0)
    for step in evidence.journal:
        anchored, mined = step.intent.anchored, step.mined
        if anchored is not None and mined is not None and (anchored.origin, anchored.size) == (origin, size):
            anchor = Anchor(
                mined.tx_hash, mined.height, mined.block_hash, mined.timestamp, mined.gas_used, size - before
            )
            return Trace(origin, record, leaf, checkpoint, tuple(path), anchor)
    return Trace(origin, record, leaf, checkpoint, tuple(path), None)
