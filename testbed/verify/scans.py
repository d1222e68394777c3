"""The scans that a reader's log has, in some 40 bytes each: which record holds which, and when it was received."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from typing import NamedTuple

Scan = tuple[int, int]
"""Boot and scan counter."""


class Read(NamedTuple):
    """A scan, its record's place in the log, and its receive time, ns."""

    scan: Scan
    record: int
    time_ns: int


class Scans(Mapping[Scan, int]):
    """Index of a record by boot and scan counter, in the order of the log.

    Counters rise, so the scans of an honest log can be sought where they stand; those that stand lower than one before
    them, as where a counter goes on at 0 after its last value, are kept beside.
    """

    def __init__(self) -> None:
        self._columns = boots, scans, indices, times = array("Q"), array("Q"), array("Q"), array("Q")
        self._boots, self._scans, self._indices, self._times = boots, scans, indices, times
        self._beside: dict[Scan, Read] = {}
        self._last: Read | None = None

    def add(self, scan: Scan, index: int, time_ns: int) -> None:
        """The next record; where the scan is known already, the first one stays."""
        if scan in self:
            return
        self._last = Read(scan, index, time_ns)
        if len(self._boots) and scan < (self._boots[-1], self._scans[-1]):
            self._beside[scan] = self._last
            return
        for column, value in zip(self._columns, (*scan, index, time_ns), strict=True):
            column.append(value)

    @property
    def last(self) -> Read | None:
        """The scan that was added last."""
        return self._last

    def reads(self) -> Iterator[Read]:
        """All of them in the order of the log."""
        beside = iter(self._beside.values())
        other = next(beside, None)
        for boot, scan, index, time_ns in zip(*self._columns, strict=True):
            while other is not None and other.record < index:
                yield other
                other = next(beside, None)
            yield Read((boot, scan), index, time_ns)
        while other is not None:
            yield other
            other = next(beside, None)

    def of_boot(self, boot: int) -> Iterator[Read]:
        """Those of one start of the PLC, in the order of the log but for what stands lower than one before it."""
        low, high = self._within(boot)
        for place in range(low, high):
            yield Read((boot, self._scans[place]), self._indices[place], self._times[place])
        yield from (read for scan, read in self._beside.items() if scan[0] == boot)

    def __getitem__(self, scan: Scan) -> int:
        place = self._place(scan)
        return self._beside[scan].record if place is None else self._indices[place]

    def __contains__(self, scan: object) -> bool:
        return isinstance(scan, tuple) and (self._place(scan) is not None or scan in self._beside)

    def __iter__(self) -> Iterator[Scan]:
        return (read.scan for read in self.reads())

    def __len__(self) -> int:
        return len(self._boots) + len(self._beside)

    def _place(self, scan: Scan) -> int | None:
        boot, number = scan
        boots, scans = self._boots, self._scans
        if not boots or (boot, number) > (boots[-1], scans[-1]):
            return None  # as a rule, of the scan that comes next
        # Only within its boot do the counters rise.
        low, high = self._within(boot)
        place = bisect_left(scans, number, low, high)
        return place if place < high and (boots[place], scans[place]) == scan else None

    def _within(self, boot: int) -> tuple[int, int]:
        boots = self._boots
        if boots and boots[0] == boots[-1] == boot:
            return 0, len(boots)
        return bisect_left(boots, boot), bisect_right(boots, boot)
