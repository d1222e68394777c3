"""Readings: the raw values of a State as numbers, for whoever computes with them."""

from collections.abc import Callable, Sequence

from testbed.core.bodies import State
from testbed.core.errors import InvalidData, UsageError
from testbed.core.tags import Tag
from testbed.fieldbus.registers import decode

Readings = Callable[[State], tuple[float | None, ...]]
"""Turns the raw values of a State into numbers, in an order of its own."""

_SEVERITY = 0xC000_0000
"""The two bits of a StatusCode that say Good (00), Uncertain (01) or Bad (10) (OPC 10000-4, section 7.39.1)."""


def readings_of(tags: Sequence[Tag], names: Sequence[str]) -> Readings:
    """A function from a State to the values of `names`, in that order; bools are 0 and 1.

    A value is None where nothing was read, the status is not Good, or the bytes are not of the tag's type.
    Raises UsageError when the schema `tags` lacks a name.
    """
    places = {tag.name: place for place, tag in enumerate(tags)}
    missing = [name for name in names if name not in places]
    if missing:
        raise UsageError(f"the tag list has no {', '.join(missing)}", "add the tags that the model reads to the bench")
    wanted = [(places[name], tags[places[name]]) for name in names]

    def read(state: State) -> tuple[float | None, ...]:
        return tuple(_number(state, place, tag) for place, tag in wanted)

    return read


def _number(state: State, place: int, tag: Tag) -> float | None:
    if place >= len(state.values) or place >= len(state.statuses) or state.statuses[place] & _SEVERITY:
        return None
    raw = state.values[place]
    if raw is None:
        return None
    try:
        return float(decode(tag, raw))
    except InvalidData:
        return None
