"""Checks that a reader's log never falls silent: states or heartbeats follow one another, or an event says why not."""

from collections.abc import Iterator
from itertools import pairwise

from testbed.core.bodies import CLOCK_STEPPED, KEY_CHANGED, STARTED, Event, Heartbeat, State
from testbed.core.entry import Kind
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.verify.log import CheckedLog


def check_silence(log: CheckedLog, limit_ns: int) -> list[Finding]:
    """Gaps of more than `limit_ns` between records, by the reader's own times.

    A gap before a restart is explained, one before a change of keys, for which the writer is stopped, and one that a
    clock made which was set forwards.

    A clock that was set back makes no gap, and of one across records whose bodies are not to be had nothing is known.
    One finding names the first gap and counts the others.
    """
    gaps = (
        (first, second, later - earlier)
        for (first, earlier, _), (second, later, restarted) in pairwise(_timed(log))
        if later - earlier > limit_ns and not restarted and log.has_all(first + 1, second)
    )
    gap = next(gaps, None)
    if gap is None:
        return []
    first, second, length = gap
    where = f"between records {first} and {second} of {log.origin}"
    detail = f"it says nothing for {length / 1e9:.1f} s, and {limit_ns / 1e9:g} s are allowed"
    more = sum(1 for _ in gaps)
    if more:
        detail += f"; so it does {more} more time(s)"
    return [Finding(What.SILENT, Layer.GATEWAY, where, detail, Verdict.INCONCLUSIVE, log.origin, second)]


def _timed(log: CheckedLog) -> Iterator[tuple[int, int, bool]]:
    """Index and time of each record that has one, and whether it explains a gap before it."""
    for record in log.of(Kind.STATE, Kind.HEARTBEAT, Kind.EVENT):
        body = record.body
        if isinstance(body, State | Heartbeat):
            yield record.index, body.receive_time_ns, False
        elif isinstance(body, Event):
            yield record.index, body.time_ns, body.name in (STARTED, CLOCK_STEPPED, KEY_CHANGED)
