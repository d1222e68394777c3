"""Follows one record from its body to the block that holds its anchor."""

from dataclasses import dataclass, replace

from testbed.core.checkpoint import Checkpoint
from testbed.core.errors import UsageError
from testbed.merkle.packed import Packed
from testbed.merkle.proofs import verify_inclusion
from testbed.merkle.tree import leaf_hash
from testbed.verify.beacons import beacons_of
from testbed.verify.log import CheckedLog
from testbed.verify.records import Genuine
from testbed.verify.trust import LogRole
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
class After:
    """A block that stood before a record was logged: the log's newest beacon says so. time: s, None if not known."""

    block: int
    time: int | None


@dataclass(frozen=True, slots=True)
class Trace:
    """One record and everything above it. checkpoint: the first anchored one that covers it, None while it waits.

    path: RFC 9162 inclusion path of `leaf` in that checkpoint, checked; anchor: None where the chain was not seen to
    hold it; after: None where no beacon stands before the record. It was logged between the two blocks. signed_by: the
    PLC that itself signed this state as it is, "" for any other record.
    """

    origin: str
    record: Genuine
    leaf: bytes
    checkpoint: Checkpoint | None
    path: tuple[bytes, ...]
    anchor: Anchor | None
    after: After | None
    signed_by: str = ""


def trace(checked: Checked, source: str, seq: int, origin: str | None = None) -> Trace:
    """Trace record `seq` of `source` (the device or twin that it speaks of).

    origin: of the log to look in; None: of those that hold such a record, the gateway's comes first. Raises UsageError
    when no log has such a genuine record.
    """
    newest: dict[str, int] = {}
    logs = [log for log in checked.logs.values() if origin in (None, log.origin)]
    if not logs:
        raise UsageError(f"there is no log {origin!r}", f"there are {', '.join(sorted(checked.logs))}")
    for log in sorted(logs, key=lambda log: log.trusted.role is not LogRole.GATEWAY):
        index = log.find(source, seq)
        if index is not None:
            return replace(_trace(checked, log, log.genuine[index]), signed_by=_signed_by(checked, log.origin, index))
    for log in logs:
        for entry in log.entries():
            newest[entry.source] = max(entry.seq, newest.get(entry.source, 0))
    if not newest:
        raise UsageError("there is no genuine record at all", "run the bench first, or see `testbed verify`")
    raise UsageError(
        f"there is no genuine record {seq} of {source!r}",
        f"there are {', '.join(f'{name} 0 to {last}' for name, last in sorted(newest.items()))}; see the findings of"
        " `testbed verify` for those that are not genuine",
    )


def _signed_by(checked: Checked, origin: str, index: int) -> str:
    device = checked.devices.get(origin)
    return device.plc if device is not None and device.signed(index) else ""


def _trace(checked: Checked, log: CheckedLog, record: Genuine) -> Trace:
    leaf, after = leaf_hash(record.entry_data), _after(checked, log, record)
    size = min((size for size in log.agreed if size > record.index), default=None)
    leaves = Packed.of(log.leaves)
    if size is None or next(leaves.unknown(), size) < size:
        return Trace(log.origin, record, leaf, None, (), None, after)
    checkpoint = Checkpoint(log.origin, size, leaves.tree.root(size))
    path = tuple(leaves.tree.inclusion_path(record.index, size))
    verify_inclusion(leaf, record.index, size, path, checkpoint.root)
    mined = checked.chain.held.get((log.origin, size))
    if mined is None:
        return Trace(log.origin, record, leaf, checkpoint, path, None, after)
    records = size - max((other for other in log.agreed if other < size), default=0)
    anchor = Anchor(mined.tx_hash, mined.height, mined.block_hash, mined.timestamp, mined.gas_used, records)
    return Trace(log.origin, record, leaf, checkpoint, path, anchor, after)


def _after(checked: Checked, log: CheckedLog, record: Genuine) -> After | None:
    before = [beacon for index, beacon in beacons_of(log) if index < record.index]
    return After(before[-1].number, checked.chain.times.get(before[-1].block_hash)) if before else None
