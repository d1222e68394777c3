"""Checks that a log counts each source from 0 without gaps: a writer that leaves one out signs for its own omission."""

from testbed.core.finding import Finding, Layer, What
from testbed.verify.counting import Counted, Miscount
from testbed.verify.records import StoredRecords
from testbed.verify.segments import Broken, Hashed


def check_sequence(origin: str, records: StoredRecords, hashed: Hashed) -> list[Finding]:
    """One finding names the first record that is not the next one of its source."""
    end = _end(records, hashed)
    found = hashed.counted.from_zero() if records.in_place else _counted(records, end)
    if found is None or found.place >= end:
        return []
    where = f"record {found.place} of {origin}"
    detail = f"it is number {found.seq} of {found.source}, and {found.due} is next: its writer left records out"
    return [Finding(What.SKIPPED, Layer.LOG, where, detail, origin=origin, index=found.place)]


def _end(records: StoredRecords, hashed: Hashed) -> int:
    """Where counting ends: what is not to be had is a finding of its own. An erased record still has its entry."""
    if not records.in_place:
        return records.whole_up_to()
    end = records.end
    for gap in records.gaps(0, end):
        for index in range(*gap):
            fault = hashed.faults.get(index)
            if fault is None or fault.broken is not Broken.ERASED:
                return index
    return end


def _counted(records: StoredRecords, end: int) -> Miscount | None:
    counted = Counted()
    for index in range(end):
        entry = records.entry(index)
        counted.take(index, entry.source, entry.seq)
    return counted.from_zero()
