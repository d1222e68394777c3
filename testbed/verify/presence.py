"""Checks that a reader was there while the other one of its PLC read: it followed, or said why it could not.

What one log lacks between two of its states of one boot is for `readers` to judge, by the scan counter. Here is what no
counter tells: a log that stops, and a start of the PLC that only one of the two has seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from testbed.core.bodies import SOURCE_BACK, SOURCE_LOST, STARTED, Event, Heartbeat, State
from testbed.core.entry import Kind
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.verify.log import CheckedLog

_COUNTER = 2**32
"""A scan counter is a uint32 that goes on at 0 after its last value."""

Scan = tuple[int, int]
"""Boot and scan counter."""


@dataclass(slots=True)
class _Side:
    """One reader's log. states: by boot and scan, in the order of the log, the index and the state logged first.

    restarts: last and first scan around a start of the PLC that no event explains; excused: the log says why there is
    no state behind its last one; beat_ns: time of the last heartbeat, None before the first.
    """

    origin: str
    states: dict[Scan, tuple[int, State]] = field(default_factory=dict)
    restarts: list[tuple[Scan, Scan]] = field(default_factory=list)
    excused: bool = False
    beat_ns: int | None = None


def check_presence(log: CheckedLog, another: CheckedLog, limit_ns: int) -> list[Finding]:
    """Compare two readers. limit_ns: how long one may be without what the other reads, by the times of both."""
    # In an order of their own: who is asked first makes no difference to what is found.
    one, other = sorted((_side_of(log), _side_of(another)), key=lambda side: side.origin)
    return [
        *(_behind(one, other, limit_ns) or _behind(other, one, limit_ns)),
        *(_foreign_boot(one, other, limit_ns) or _foreign_boot(other, one, limit_ns)),
        *_around_restarts(one, other, limit_ns),
        *_around_restarts(other, one, limit_ns),
    ]


def _side_of(log: CheckedLog) -> _Side:
    """Read a log once, in order. What is not genuine is a finding of its own, and excuses what stands around it."""
    side = _Side(log.origin)
    boots: set[int] = set()
    last: Scan | None = None
    started, expected = True, 0
    for record in log.of(Kind.STATE, Kind.HEARTBEAT, Kind.EVENT):
        index, body = record.index, record.body
        if not log.has_all(expected, index):
            last = None
        expected = index + 1
        if isinstance(body, Event) and body.name in (STARTED, SOURCE_LOST, SOURCE_BACK):
            last = None
            side.excused, started = body.name == SOURCE_LOST, started or body.name == STARTED
        elif isinstance(body, Heartbeat):
            side.beat_ns = body.receive_time_ns
            # A reader that has not reached the PLC since its start says so here only.
            side.excused |= started and body.wrong != ""
        elif isinstance(body, State) and body.scan is not None and any(raw is not None for raw in body.values):
            scan = (body.boot, body.scan)
            if last is not None and body.boot not in boots:
                side.restarts.append((last, scan))
            side.states.setdefault(scan, (index, body))
            boots.add(body.boot)
            side.excused, started, last = False, False, scan
    side.excused |= log.size > log.end
    return side


def _behind(side: _Side, other: _Side, limit_ns: int) -> list[Finding]:
    """A log whose newest state is one that the other left behind: stalled at the wire, or silent at all."""
    after, last = -1, None
    if side.states:
        scan, (index, last) = next(reversed(side.states.items()))
        if scan not in other.states:
            return []  # it may be ahead; and what the other never has is found otherwise
        after = other.states[scan][0]
    beyond = [(index, state) for index, state in other.states.values() if index > after]
    span = _span([state for _, state in beyond])
    if side.excused or span <= limit_ns:
        return []
    goes_on = f"{other.origin} goes on for {span / 1e9:.1f} s, from its record {beyond[0][0]} on"
    if last is not None and side.beat_ns is not None and side.beat_ns - last.receive_time_ns > limit_ns:
        detail = f"its heartbeats tell of no new scan and of no PLC that was lost, while {goes_on}"
        return [_disagreed(f"behind record {index} of {side.origin}", detail)]
    where = side.origin if last is None else f"behind record {index} of {side.origin}"
    detail = f"it has no state there and does not say why, while {goes_on}"
    return [Finding(What.SILENT, Layer.GATEWAY, where, detail, Verdict.INCONCLUSIVE, side.origin)]


def _foreign_boot(side: _Side, other: _Side, limit_ns: int) -> list[Finding]:
    """A start of the PLC that only one log has, while the other goes on reading: no scan of it is ever compared."""
    theirs = {boot for boot, _ in other.states}
    own: dict[int, list[tuple[int, State]]] = {}
    for (boot, _), found in side.states.items():
        if boot not in theirs:
            own.setdefault(boot, []).append(found)
    for boot, states in own.items():
        begun, ended = states[0][1].receive_time_ns, states[-1][1].receive_time_ns
        meanwhile = [
            (index, state) for index, state in other.states.values() if begun <= state.receive_time_ns <= ended
        ]
        span = _span([state for _, state in meanwhile])
        if span > limit_ns:
            index, state = meanwhile[0]
            where = f"records {states[0][0]} to {states[-1][0]} of {side.origin}"
            detail = f"they are of boot {boot}, which {other.origin} never has: it reads boot {state.boot} meanwhile"
            return [_disagreed(where, f"{detail}, from its record {index} on, for {span / 1e9:.1f} s")]
    return []


def _around_restarts(side: _Side, other: _Side, limit_ns: int) -> list[Finding]:
    """More scans left out around a start of the PLC than go by unseen while it starts."""
    theirs: dict[int, list[tuple[int, State]]] = {}
    for (boot, scan), (_, state) in other.states.items():
        theirs.setdefault(boot, []).append((scan, state))
    for before, after in side.restarts:
        ends = [state for scan, state in theirs.get(before[0], ()) if _is_later(before[1], scan)]
        begins = [state for scan, state in theirs.get(after[0], ()) if _is_later(scan, after[1])]
        span = _span(ends) + _span(begins)
        if span > limit_ns:
            where = f"between records {side.states[before][0]} and {side.states[after][0]} of {side.origin}"
            detail = (
                f"it lacks {len(ends)} scan(s) before the PLC started and {len(begins)} after that and says nothing of"
                f" having missed them; {other.origin} reads them for {span / 1e9:.1f} s"
            )
            return [_disagreed(where, detail)]
    return []


def _is_later(scan: int, later: int) -> bool:
    return 0 < (later - scan) % _COUNTER < _COUNTER // 2


def _disagreed(where: str, detail: str) -> Finding:
    return Finding(What.DISAGREED, Layer.WIRE, where, f"{detail}: either reader or either wire", Verdict.INCONCLUSIVE)


def _span(states: Sequence[State]) -> int:
    times = [state.receive_time_ns for state in states]
    return max(times) - min(times) if times else 0
