"""Checks times against blocks: what stands behind a beacon and under an anchor was logged between these two blocks.

A block's time is in whole seconds, rounded down, and never before its parent's (Ethereum Yellow Paper, section 4.4.4).
So a true time is not before that of the beacon's block, and not a second or more behind that of the anchor's, but for
what the clocks are apart.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

from testbed.core.bodies import Beacon, State
from testbed.core.finding import Finding, Layer, Verdict, What

_SECOND = 10**9


def check_dates(
    origin: str,
    records: Iterable[tuple[int, State | Beacon]],
    times: Mapping[bytes, int],
    anchors: Sequence[tuple[int, int]],
    skew_ns: int,
) -> list[Finding]:
    """Check the device's and the reader's time of each state.

    records: of one log, in order; times: of blocks that are proved, by hash, s; anchors: (size, time of the block that
    holds it, s) by rising size; skew_ns: how far clocks may be apart. One finding for each of the two clocks names the
    first and counts the others.
    """
    sizes = [size for size, _ in anchors]
    wrong: dict[str, list[tuple[int, str]]] = {"read": [], "taken by the device": []}
    begun: int | None = None
    for index, body in records:
        if isinstance(body, Beacon):
            begun = times.get(body.block_hash, begun)
            continue
        place = bisect_right(sizes, index)
        ended = anchors[place][1] if place < len(anchors) else None
        for how, time_ns in zip(wrong, (body.receive_time_ns, body.device_time_ns), strict=True):
            said = "" if time_ns is None else _outside(time_ns, begun, ended, skew_ns)
            if said:
                wrong[how].append((index, f"by its own word it was {how} {said}"))
    return [_finding(origin, found) for found in wrong.values() if found]


def _outside(time_ns: int, begun: int | None, ended: int | None, skew_ns: int) -> str:
    if begun is not None and time_ns < begun * _SECOND - skew_ns:
        return f"{_apart(begun * _SECOND - time_ns)} before the block of the beacon that stands before it"
    if ended is not None and time_ns >= (ended + 1) * _SECOND + skew_ns:
        return f"{_apart(time_ns - ended * _SECOND)} after the block of the anchor that covers it"
    return ""


def _apart(ns: int) -> str:
    return f"{ns / _SECOND:.1f} s"


def _finding(origin: str, found: Sequence[tuple[int, str]]) -> Finding:
    index, said = found[0]
    more = f"; so are {len(found) - 1} more, up to record {found[-1][0]}" if len(found) > 1 else ""
    where = f"record {index} of {origin}"
    return Finding(What.BACK_DATED, Layer.CLOCK, where, said + more, Verdict.INCONCLUSIVE, origin, index)
