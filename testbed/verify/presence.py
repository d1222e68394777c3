"""Checks that a reader was there while the other one of its PLC read: it followed, or said why it could not.

What one log lacks between two of its states of one boot is for `readers` to judge, by the scan counter. Here is what no
counter tells: a log that stops, and a start of the PLC that only one of the two has seen.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from testbed.core.bodies import SOURCE_BACK, SOURCE_LOST, STARTED, Event, Heartbeat, State
from testbed.core.entry import Kind
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.verify.log import CheckedLog
from testbed.verify.scans import Read, Scan, Scans

_COUNTER = 2**32
"""A scan counter is a uint32 that goes on at 0 after its last value."""


@dataclass(slots=True)
class _Side:
    """One reader's log.

    states: by boot and scan, in the order of the log, the index of the state logged first; boots: that they are of;
    restarts: last and first scan around a start of the PLC that no event explains; excused: the log says why there is
    no state behind its last one; beat_ns: time of the last heartbeat, None before the first.
    """

    origin: str
    states: Scans = field(default_factory=Scans)
    boots: set[int] = field(default_factory=set)
    restarts: list[tuple[Scan, Scan]] = field(default_factory=list)
    excused: bool = False
    beat_ns: int | None = None


def check_presence(
    log: CheckedLog, another: CheckedLog, limit_ns: int, without: Mapping[str, Container[int]] = MappingProxyType({})
) -> list[Finding]:
    """Compare two readers. limit_ns: how long one may be without what the other reads, by the times of both.

    without: by origin, indices of states that are false by the device's own word.
    """
    # In an order of their own: who is asked first makes no difference to what is found.
    sides = [_side_of(one, without.get(one.origin, ())) for one in (log, another)]
    one, other = sorted(sides, key=lambda side: side.origin)
    return [
        *(_behind(one, other, limit_ns) or _behind(other, one, limit_ns)),
        *(_foreign_boot(one, other, limit_ns) or _foreign_boot(other, one, limit_ns)),
        *_around_restarts(one, other, limit_ns),
        *_around_restarts(other, one, limit_ns),
    ]


def _side_of(log: CheckedLog, without: Container[int]) -> _Side:
    """Read a log once, in order. What is not genuine is a finding of its own, and excuses what stands around it."""
    side = _Side(log.origin)
    last: Scan | None = None
    started, expected = True, 0
    for record in log.of(Kind.STATE, Kind.HEARTBEAT, Kind.EVENT):
        index, body = record.index, record.body
        if not log.has_all(expected, index):
            last = None
        expected = index + 1
        if index in without:
            last = None
        elif isinstance(body, Event) and body.name in (STARTED, SOURCE_LOST, SOURCE_BACK):
            last = None
            side.excused, started = body.name == SOURCE_LOST, started or body.name == STARTED
        elif isinstance(body, Heartbeat):
            side.beat_ns = body.receive_time_ns
            # A reader that has not reached the PLC since its start says so here only.
            side.excused |= started and body.wrong != ""
        elif isinstance(body, State) and body.scan is not None and any(raw is not None for raw in body.values):
            scan = (body.boot, body.scan)
            if last is not None and body.boot not in side.boots:
                side.restarts.append((last, scan))
            side.states.add(scan, index, body.receive_time_ns)
            side.boots.add(body.boot)
            side.excused, started, last = False, False, scan
    side.excused |= log.size > log.end
    return side


def _behind(side: _Side, other: _Side, limit_ns: int) -> list[Finding]:
    """A log whose newest state is one that the other left behind: stalled at the wire, or silent at all."""
    after, last = -1, side.states.last
    if last is not None:
        if last.scan not in other.states:
            return []  # it may be ahead; and what the other never has is found otherwise
        after = other.states[last.scan]
    beyond = _Span()
    for read in other.states.reads():
        if read.record > after:
            beyond.take(read)
    if side.excused or beyond.length_ns <= limit_ns:
        return []
    goes_on = f"{other.origin} goes on for {beyond.length_ns / 1e9:.1f} s, from its record {beyond.first} on"
    if last is not None and side.beat_ns is not None and side.beat_ns - last.time_ns > limit_ns:
        detail = f"its heartbeats tell of no new scan and of no PLC that was lost, while {goes_on}"
        return [_disagreed(f"behind record {last.record} of {side.origin}", detail)]
    where = side.origin if last is None else f"behind record {last.record} of {side.origin}"
    detail = f"it has no state there and does not say why, while {goes_on}"
    return [Finding(What.SILENT, Layer.GATEWAY, where, detail, Verdict.INCONCLUSIVE, side.origin)]


def _foreign_boot(side: _Side, other: _Side, limit_ns: int) -> list[Finding]:
    """A start of the PLC that only one log has, while the other goes on reading: no scan of it is ever compared."""
    theirs = other.boots
    own: dict[int, tuple[Read, Read]] = {}
    for read in side.states.reads() if side.boots - theirs else ():
        boot = read.scan[0]
        if boot not in theirs:
            own[boot] = (own[boot][0] if boot in own else read, read)
    for boot, (begun, ended) in own.items():
        meanwhile = _Span()
        for read in other.states.reads():
            if begun.time_ns <= read.time_ns <= ended.time_ns:
                meanwhile.take(read)
        if meanwhile.length_ns > limit_ns:
            where = f"records {begun.record} to {ended.record} of {side.origin}"
            detail = (
                f"they are of boot {boot}, which {other.origin} never has: it reads boot {meanwhile.boot} meanwhile"
            )
            for_s = f"for {meanwhile.length_ns / 1e9:.1f} s"
            return [_disagreed(where, f"{detail}, from its record {meanwhile.first} on, {for_s}")]
    return []


def _around_restarts(side: _Side, other: _Side, limit_ns: int) -> list[Finding]:
    """More scans left out around a start of the PLC than go by unseen while it starts."""
    for before, after in side.restarts:
        ends, begins = _Span(), _Span()
        for read in other.states.of_boot(before[0]):
            if _is_later(before[1], read.scan[1]):
                ends.take(read)
        for read in other.states.of_boot(after[0]):
            if _is_later(read.scan[1], after[1]):
                begins.take(read)
        span = ends.length_ns + begins.length_ns
        if span > limit_ns:
            where = f"between records {side.states[before]} and {side.states[after]} of {side.origin}"
            detail = (
                f"it lacks {ends.count} scan(s) before the PLC started and {begins.count} after that and says nothing"
                f" of having missed them; {other.origin} reads them for {span / 1e9:.1f} s"
            )
            return [_disagreed(where, detail)]
    return []


def _is_later(scan: int, later: int) -> bool:
    return 0 < (later - scan) % _COUNTER < _COUNTER // 2


def _disagreed(where: str, detail: str) -> Finding:
    return Finding(What.DISAGREED, Layer.WIRE, where, f"{detail}: either reader or either wire", Verdict.INCONCLUSIVE)


@dataclass(slots=True)
class _Span:
    """Scans of one log, and the times between which they were received. first, boot: of the first one."""

    count: int = 0
    first: int = 0
    boot: int = 0
    least_ns: int = 0
    most_ns: int = 0

    def take(self, read: Read) -> None:
        """One more, in the order of the log."""
        if not self.count:
            self.first, self.boot, self.least_ns, self.most_ns = read.record, read.scan[0], read.time_ns, read.time_ns
        self.count += 1
        self.least_ns, self.most_ns = min(self.least_ns, read.time_ns), max(self.most_ns, read.time_ns)

    @property
    def length_ns(self) -> int:
        return self.most_ns - self.least_ns
