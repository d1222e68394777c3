"""Checks that a reader's log never falls silent: states or heartbeats follow one another, or an event says why not."""

from itertools import pairwise

from testbed.core.bodies import CLOCK_STEPPED, STARTED, Event, Heartbeat, State
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.verify.log import CheckedLog


def check_silence(log: CheckedLog, limit_ns: int) -> list[Finding]:
    """Gaps of more than `limit_ns` between records, by the reader's own times.

    A gap before a restart is explained, and so is one that a clock made which was set forwards.

    A clock that was set back makes no gap. One finding names the first gap and counts the others.
    """
    timed: list[tuple[int, int, bool]] = []
    for index in sorted(log.genuine):
        body = log.genuine[index].body
        if isinstance(body, State | Heartbeat):
            timed.append((index, body.receive_time_ns, False))
        elif isinstance(body, Event):
            timed.append((index, body.time_ns, body.name in (STARTED, CLOCK_STEPPED)))
    gaps = [
        (first, second, later - earlier)
        for (first, earlier, _), (second, later, restarted) in pairwise(timed)
        if later - earlier > limit_ns and not restarted
    ]
    if not gaps:
        return []
    first, second, length = gaps[0]
    where = f"between records {first} and {second} of {log.origin}"
    detail = f"it says nothing for {length / 1e9:.1f} s, and {limit_ns / 1e9:g} s are allowed"
    if len(gaps) > 1:
        detail += f"; so it does {len(gaps) - 1} more time(s)"
    return [Finding(What.SILENT, Layer.GATEWAY, where, detail, Verdict.INCONCLUSIVE, log.origin, second)]
