"""Checks two readers of one PLC against each other: what both have read of a scan must be the same.

Where they differ, one of them or the wire before it lies, and nothing here says which. States belong together by boot
and scan counter; where a PLC has no scan counter, by time and within a deadband.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from testbed.core.bodies import SOURCE_BACK, SOURCE_LOST, STARTED, Event, Heartbeat, State
from testbed.core.errors import InvalidData
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.core.tags import Tag, Value
from testbed.fieldbus.registers import decode
from testbed.verify.log import CheckedLog
from testbed.verify.trust import Agreement

_COUNTER = 2**32
_SEVERITY = 0xC000_0000
_LEAST = 100
"""Scans from which on the share of those that were missed says something."""

Scan = tuple[int, int]
"""Boot and scan counter."""


@dataclass(frozen=True, slots=True)
class _Gap:
    """Scans that a log skips between two of its states, both of one boot. length: how many."""

    before: int
    after: int
    boot: int
    first: int
    length: int

    def holds(self, scan: Scan) -> bool:
        return scan[0] == self.boot and (scan[1] - self.first) % _COUNTER < self.length


@dataclass(slots=True)
class Side:
    """One reader's log, as it is compared.

    states: by boot and scan, the index and the state that was logged first; again: indices of states that repeat a scan
    or go back; gaps: that the reader did not own up to; missed: scans that it did own up to; timed: (receive time,
    index, state) where there is no scan counter.
    """

    log: CheckedLog
    tags: Sequence[Tag]
    states: dict[Scan, tuple[int, State]] = field(default_factory=dict)
    again: dict[Scan, int] = field(default_factory=dict)
    gaps: list[_Gap] = field(default_factory=list)
    missed: int = 0
    timed: list[tuple[int, int, State]] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return self.log.origin


def side_of(log: CheckedLog, tags: Sequence[Tag]) -> Side:
    """Read a log once, in order. What is not genuine is left out: it is a finding of its own, and no gap."""
    side = Side(log, tags)
    owed: list[_Gap] = []
    last: tuple[int, Scan] | None = None
    boots: set[int] = set()
    told, expected = 0, 0
    for index in sorted(log.genuine):
        if index != expected:
            last = None  # what stood between is not to be had
        expected = index + 1
        body = log.genuine[index].body
        if isinstance(body, Event) and body.name in (STARTED, SOURCE_LOST, SOURCE_BACK):
            last = None
            if body.name == STARTED:
                side.gaps, owed, told = side.gaps + owed, [], 0
        elif isinstance(body, Heartbeat):
            total = dict(body.counters).get("missed", told)
            side.missed += max(0, total - told)
            side.gaps, owed, told = side.gaps + _unowned(owed, total - told), [], total
        elif isinstance(body, State) and any(raw is not None for raw in body.values):
            if body.scan is None:
                side.timed.append((body.receive_time_ns, index, body))
                continue
            scan = (body.boot, body.scan)
            if last is not None and last[1][0] == body.boot:
                jump = (body.scan - last[1][1]) % _COUNTER
                if 1 < jump < _COUNTER // 2:
                    owed.append(_Gap(last[0], index, body.boot, (last[1][1] + 1) % _COUNTER, jump - 1))
                elif jump >= _COUNTER // 2:
                    side.again[scan] = index
            # A start of the PLC that came back, or a scan that stands here already.
            if scan in side.states or (last is not None and last[1][0] != body.boot and body.boot in boots):
                side.again[scan] = index
            side.states.setdefault(scan, (index, body))
            boots.add(body.boot)
            last = (index, scan)
    side.gaps += owed
    side.timed.sort(key=lambda one: one[:2])
    return side


def _unowned(owed: Sequence[_Gap], grown: int) -> list[_Gap]:
    """The gaps that a reader's counter does not account for, when it grew by so much since it was last told."""
    left: list[_Gap] = []
    for gap in owed:
        if gap.length <= grown:
            grown -= gap.length
        else:
            left.append(gap)
    return left


def check_agreement(one: Side, other: Side, limits: Agreement) -> list[Finding]:
    """Compare two readers; each kind of disagreement is one finding, which names the first and counts the others."""
    findings = [
        *_fold(_values(one, other)),
        *_fold(_replays(one, other)),
        *_fold(_replays(other, one)),
        *_fold(_omissions(one, other)),
        *_fold(_omissions(other, one)),
        *_overload(one, limits),
        *_overload(other, limits),
    ]
    if one.timed and other.timed:
        findings += _fold(_by_time(one, other, limits))
        findings += _fold(_by_time(other, one, limits))
    return findings


@dataclass(frozen=True, slots=True)
class _Difference:
    where: str
    detail: str


def _values(one: Side, other: Side) -> Iterator[_Difference]:
    pairs = _pairs(one, other)
    for scan in sorted(one.states.keys() & other.states.keys()):
        (first, mine), (second, theirs) = one.states[scan], other.states[scan]
        for tag, place, their_tag, their_place in pairs:
            a, b = _value(mine, tag, place), _value(theirs, their_tag, their_place)
            if a is not None and b is not None and not _same(a, b):
                yield _Difference(
                    f"record {first} of {one.origin} and record {second} of {other.origin}",
                    f"of scan {scan[1]}, boot {scan[0]}, the one has {tag.name} = {_shown(a, tag)}, the other"
                    f" {_shown(b, tag)}",
                )
                break


def _replays(side: Side, other: Side) -> Iterator[_Difference]:
    """A scan that one log has again, or that goes back, and that the other has not so: a PLC's counter never does."""
    for scan, index in sorted(side.again.items(), key=lambda item: item[1]):
        if scan not in other.again:
            yield _Difference(
                f"record {index} of {side.origin}",
                f"scan {scan[1]}, boot {scan[0]}, comes again behind a later one; {other.origin} goes on without it",
            )


def _omissions(side: Side, other: Side) -> Iterator[_Difference]:
    for gap in side.gaps:
        found = next((scan for scan in _scans(gap, other) if gap.holds(scan)), None)
        if found is not None:
            index, _ = other.states[found]
            yield _Difference(
                f"between records {gap.before} and {gap.after} of {side.origin}",
                f"it lacks scan {found[1]}, boot {found[0]}, and says nothing of having missed it; record {index} of"
                f" {other.origin} has it",
            )


def _scans(gap: _Gap, other: Side) -> Iterator[Scan]:
    """Scans of the other log that may lie in the gap: looked up one by one where they are few."""
    if gap.length > len(other.states):
        yield from other.states
        return
    for step in range(gap.length):
        scan = (gap.boot, (gap.first + step) % _COUNTER)
        if scan in other.states:
            yield scan


def _overload(side: Side, limits: Agreement) -> list[Finding]:
    seen = len(side.states)
    due = seen + side.missed
    if due < _LEAST or side.missed <= limits.missed * due:
        return []
    detail = (
        f"by its own word it missed {side.missed} of {due} scans, and {limits.missed:.0%} may be missed: of those only"
        " the other reader speaks"
    )
    return [_finding(side.origin, detail)]


def _by_time(side: Side, other: Side, limits: Agreement) -> Iterator[_Difference]:
    """States without a scan counter: one that has others within the skew must agree with one of them, tag by tag."""
    times = [time for time, _, _ in other.timed]
    pairs = _pairs(side, other)
    for time, index, state in side.timed:
        near = other.timed[bisect_left(times, time - limits.skew_ns) : bisect_left(times, time + limits.skew_ns + 1)]
        for tag, place, their_tag, their_place in pairs if near else ():
            mine = _value(state, tag, place)
            theirs = [b for _, _, one in near if (b := _value(one, their_tag, their_place)) is not None]
            if mine is not None and theirs and not any(_close(mine, b, tag, limits.deadband) for b in theirs):
                yield _Difference(
                    f"record {index} of {side.origin} and records {near[0][1]} to {near[-1][1]} of {other.origin}",
                    f"within {limits.skew_ns / 1e9:g} s the one has {tag.name} = {_shown(mine, tag)}, the other nothing"
                    f" nearer than {_shown(min(theirs, key=lambda b: abs(b - mine)), tag)}",
                )
                break


def _pairs(one: Side, other: Side) -> list[tuple[Tag, int, Tag, int]]:
    """Tags that both have, each with its place among the values of a state."""
    theirs: Mapping[str, tuple[Tag, int]] = {tag.name: (tag, place) for place, tag in enumerate(other.tags)}
    return [(tag, place, *theirs[tag.name]) for place, tag in enumerate(one.tags) if tag.name in theirs]


def _value(state: State, tag: Tag, place: int) -> Value | None:
    if place >= len(state.values) or state.statuses[place] & _SEVERITY:
        return None
    raw = state.values[place]
    if raw is None:
        return None
    try:
        return decode(tag, raw)
    except InvalidData:
        return None


def _same(a: Value, b: Value) -> bool:
    return a == b or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))


def _close(a: Value, b: Value, tag: Tag, deadband: float) -> bool:
    return _same(a, b) or abs(a - b) <= deadband * (tag.high - tag.low)


def _shown(value: Value, tag: Tag) -> str:
    return f"{value:.9g} {tag.unit}".rstrip() if isinstance(value, float) else f"{value} {tag.unit}".rstrip()


def _fold(found: Iterator[_Difference]) -> list[Finding]:
    first = next(found, None)
    if first is None:
        return []
    more = sum(1 for _ in found)
    return [_finding(first.where, first.detail + (f"; so it is {more} more time(s)" if more else ""))]


def _finding(where: str, detail: str) -> Finding:
    return Finding(What.DISAGREED, Layer.WIRE, where, f"{detail}: either reader or either wire", Verdict.INCONCLUSIVE)
