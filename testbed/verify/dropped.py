"""Scans that a reader's log lacks without a word, by the counter that the PLC signs: lost or held back on the way."""

from collections.abc import Container

from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.verify.sides import Gap, Side


def take_dropped(side: Side, plc: str, unsigned: Container[int]) -> list[Finding]:
    """One finding for the gaps of a log whose two ends the device signed. They are taken out of `side`.

    unsigned: indices of the states that it did not sign.

    The device's own counters tell of them, so no other reader is needed that has these scans.
    """
    gaps: list[Gap] = []
    others: list[Gap] = []
    for gap in side.gaps:
        (others if gap.before in unsigned or gap.after in unsigned else gaps).append(gap)
    if not gaps:
        return []
    side.gaps = others
    first = gaps[0]
    lacks = f"scan {first.first}" if first.length == 1 else f"{first.length} scans from {first.first} on"
    detail = f"by the counter that {plc} signs it lacks {lacks}, boot {first.boot}, and it does not own up to that"
    if len(gaps) > 1:
        detail += f"; so it is {len(gaps) - 1} more time(s), {sum(gap.length for gap in gaps[1:])} scan(s)"
    where = f"between records {first.before} and {first.after} of {side.origin}"
    return [Finding(What.DROPPED, Layer.WIRE, where, detail, Verdict.INCONCLUSIVE, side.origin, first.after)]
