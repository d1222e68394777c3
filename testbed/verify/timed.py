"""Compares two readers of a PLC without a scan counter: what one saw lies within what the other saw at that time."""

import math
from bisect import bisect_left
from collections.abc import Iterator

from testbed.core.tags import DataType, Tag, Value
from testbed.verify.sides import Side
from testbed.verify.trust import Agreement
from testbed.verify.values import Comparison, shown, usable


def differences_by_time(side: Side, other: Side, limits: Agreement) -> Iterator[tuple[str, str]]:
    """(where, detail) of each state of `side` that has a value apart from all that `other` has within the skew.

    A value that moves passes through what lies between two readings, so it may be anywhere between the least and the
    greatest of them, and further by the deadband; one of two states must be among them. A state with others on one
    side of it only is not judged: the other log may end there, or its PLC was lost.
    """
    theirs = _by_time(other)
    times = [time for time, _ in theirs]
    pairs = Comparison(side.tags, other.tags).pairs
    for time, index in _by_time(side):
        near = theirs[bisect_left(times, time - limits.skew_ns) : bisect_left(times, time + limits.skew_ns + 1)]
        if not near or not near[0][0] <= time <= near[-1][0]:
            continue
        state, around_it = side.state(index), [other.state(one) for _, one in near]
        for tag, place, their_tag, their_place in pairs:
            value = usable(state, tag, place)
            around = [b for one in around_it if (b := usable(one, their_tag, their_place)) is not None]
            if value is not None and around and not _fits(value, around, tag, limits.deadband):
                nearest = min(around, key=lambda b: (abs(b - value), b))
                where = f"record {index} of {side.origin} and records {near[0][1]} to {near[-1][1]} of {other.origin}"
                detail = (
                    f"within {limits.skew_ns / 1e9:g} s the one has {tag.name} = {shown(value, tag)}, the other nothing"
                    f" nearer than {shown(nearest, tag)}"
                )
                yield where, detail
                break


def _by_time(side: Side) -> list[tuple[int, int]]:
    """Receive time and index of each state."""
    if not side.states:
        return side.timed
    return sorted([*((time_ns, index) for _, index, time_ns in side.states.reads()), *side.timed])


def _fits(value: Value, around: list[Value], tag: Tag, deadband: float) -> bool:
    if tag.type is DataType.BOOL:
        return value in around
    if math.isnan(value):
        return any(map(math.isnan, around))  # the sensor failed, which the other has to have seen as well
    numbers = [b for b in around if not math.isnan(b)]
    band = deadband * (tag.high - tag.low)
    return bool(numbers) and min(numbers) - band <= value <= max(numbers) + band
