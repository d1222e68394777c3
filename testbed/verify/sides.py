"""One reader's log as it is compared with another's: scans that it has, has again, lacks, or says that it missed."""

from array import array
from bisect import bisect_left
from collections.abc import Container, Sequence
from dataclasses import dataclass, field

from testbed.core.bodies import SOURCE_BACK, SOURCE_LOST, STARTED, Event, Heartbeat, State
from testbed.core.entry import Kind
from testbed.core.tags import Tag
from testbed.verify.log import CheckedLog
from testbed.verify.scans import Scan, Scans

_COUNTER = 2**32
"""A scan counter is a uint32 that goes on at 0 after its last value."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Scans that a log skips between two of its records, both of one boot. first: the first scan; length: how many."""

    before: int
    after: int
    boot: int
    first: int
    length: int


@dataclass(frozen=True, slots=True)
class Again:
    """A state that stands where its scan cannot be. index: of the state; before: of the one it cannot follow."""

    index: int
    scan: Scan
    before: int
    behind: Scan


@dataclass(slots=True)
class Side:
    """One reader's log.

    states: by boot and scan, in the log's order, the index of the state that was logged first; again: by boot and scan,
    the first state that repeats it or goes back to it; gaps: that the reader did not own up to; missed: scans that it
    did own up to; timed: (receive time, index) of states where there is no scan counter, by time.
    """

    log: CheckedLog
    tags: Sequence[Tag]
    states: Scans = field(default_factory=Scans)
    again: dict[Scan, Again] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    missed: int = 0
    timed: list[tuple[int, int]] = field(default_factory=list)
    _scans: "dict[int, array[int]] | None" = None

    @property
    def origin(self) -> str:
        return self.log.origin

    def state(self, index: int) -> State:
        """A state of this log, which is read for it."""
        body = self.log.genuine[index].body
        if not isinstance(body, State):
            raise TypeError(f"record {index} of {self.origin} is no state")
        return body

    def first_within(self, gap: Gap) -> Scan | None:
        """A scan that this log has and that lies in a gap of another one, None where there is none. O(log n)."""
        if self._scans is None:
            self._scans = {}
            for boot, scan in self.states:
                self._scans.setdefault(boot, array("Q")).append(scan)
            self._scans = {boot: array("Q", sorted(found)) for boot, found in self._scans.items()}
        scans = self._scans.get(gap.boot, array("Q"))
        end = gap.first + gap.length
        for start, stop in ((gap.first, min(end, _COUNTER)), (0, end - _COUNTER)):
            place = bisect_left(scans, start)
            if start < stop and place < len(scans) and scans[place] < stop:
                return gap.boot, scans[place]
        return None


def side_of(log: CheckedLog, tags: Sequence[Tag], without: Container[int] = ()) -> Side:
    """Read a log once, in order. What is not genuine is left out: it is a finding of its own, and no gap.

    without: indices of states that are false by the device's own word, which are left out as well.
    """
    walk = _Walk(Side(log, tags))
    expected = 0
    for record in log.of(Kind.STATE, Kind.HEARTBEAT, Kind.EVENT):
        index, body = record.index, record.body
        if not log.has_all(expected, index) or index in without:
            walk.skip()
        expected = index + 1
        if index in without:
            continue
        if isinstance(body, State):
            walk.take_state(index, body)
        elif isinstance(body, Heartbeat):
            walk.take_heartbeat(body)
        elif isinstance(body, Event):
            walk.take_event(body)
    if not log.has_all(expected, log.end):
        walk.skip()
    side = walk.side
    side.gaps += walk.owed
    side.timed.sort()
    return side


@dataclass(slots=True)
class _Walk:
    """Where the reading of a log stands.

    owed: gaps that no heartbeat has owned up to yet: one stands directly behind the state that came late, in the same
    commit; told: missed scans by the newest heartbeat, since the reader's start; sure: no record that might have said
    more was skipped since then; base: the state that the next one may follow; newest: the last one, whatever it was.
    """

    side: Side
    owed: list[Gap] = field(default_factory=list)
    told: int = 0
    sure: bool = True
    base: tuple[int, int, int] | None = None
    newest: tuple[int, Scan] | None = None
    boots: set[int] = field(default_factory=set)

    def skip(self) -> None:
        """Records are not to be had here: they may have been states, a heartbeat that owned up, or a start."""
        self.base, self.sure = None, False
        self.owed.clear()

    def take_event(self, body: Event) -> None:
        if body.name in (STARTED, SOURCE_LOST, SOURCE_BACK):
            self.base = None
        if body.name == STARTED:
            self._settle(0)
            self.told, self.sure = 0, True

    def take_heartbeat(self, body: Heartbeat) -> None:
        total = dict(body.counters).get("missed", self.told)
        grown = total - self.told if total >= self.told else total
        self.side.missed += max(0, grown)
        self._settle(grown if self.sure else max(total, 0))
        self.told, self.sure = total, True

    def take_state(self, index: int, body: State) -> None:
        number, boot, side = body.scan, body.boot, self.side
        if number is None:
            if any(raw is not None for raw in body.values):
                side.timed.append((body.receive_time_ns, index))
            return
        if not any(raw is not None for raw in body.values):
            return  # it tells nothing, so it is no reading of that scan
        scan = (boot, number)
        if self.newest is not None and self._goes_back(scan, self.newest[1]):
            side.again.setdefault(scan, Again(index, scan, *self.newest))
            # One of the two is false, so neither says which scans should stand around it.
            self.base = None
            for gaps in (self.owed, side.gaps):
                if gaps and gaps[-1].after == self.newest[0]:
                    gaps.pop()
        elif self.base is not None and self.base[1] == boot:
            jump = (number - self.base[2]) % _COUNTER
            if jump > 1:
                self.owed.append(Gap(self.base[0], index, boot, (self.base[2] + 1) % _COUNTER, jump - 1))
            self.base = (index, boot, number)
        else:
            self.base = (index, boot, number)
        self.newest = (index, scan)
        side.states.add(scan, index, body.receive_time_ns)
        self.boots.add(boot)

    def _goes_back(self, scan: Scan, newest: Scan) -> bool:
        """A counter that stands here already or lies behind the newest one, or a start of the PLC that came before."""
        if scan in self.side.states:
            return True
        if scan[0] != newest[0]:
            return scan[0] in self.boots
        return (scan[1] - newest[1]) % _COUNTER >= _COUNTER // 2

    def _settle(self, grown: int) -> None:
        """What a reader's counter accounts for, when it grew by so much, is missed; the rest was left out.

        The newest gap comes first: whoever owns up does it directly behind the state that came late.
        """
        left: list[Gap] = []
        for gap in reversed(self.owed):
            if gap.length <= grown:
                grown -= gap.length
            else:
                left.append(gap)
        self.side.gaps += reversed(left)
        self.owed.clear()
