"""Compares what two states say of the same scan, tag by tag, whatever protocol brought them."""

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from operator import itemgetter

from testbed.core.bodies import State
from testbed.core.errors import InvalidData
from testbed.core.tags import DataType, Tag, Value
from testbed.fieldbus.registers import decode, encode

_BAD = 0x8000_0000
"""The bit of a StatusCode that says Bad (OPC 10000-4, section 7.39.1)."""


class Comparison:
    """Two tag lists, and which places of them belong together."""

    def __init__(self, one: Sequence[Tag], other: Sequence[Tag]) -> None:
        places = {tag.name: place for place, tag in enumerate(other)}
        self.pairs = [
            (tag, place, other[places[tag.name]], places[tag.name])
            for place, tag in enumerate(one)
            if tag.name in places
        ]
        self._sizes = [tag.type.size for tag in one], [tag.type.size for tag in other]
        self._bytes = _bytes_of(one, [pair[:2] for pair in self.pairs]), _bytes_of(other, [p[2:] for p in self.pairs])

    def difference(self, one: State, other: State) -> tuple[Tag, Value | None, Value | None] | None:
        """The first tag of which the two say different things, and what they say; None: nothing usable."""
        if self._same_bytes(one, other):
            return None
        for tag, place, their_tag, their_place in self.pairs:
            a, b = usable(one, tag, place), usable(other, their_tag, their_place)
            if not _same(a, b):
                return tag, a, b
        return None

    def _same_bytes(self, one: State, other: State) -> bool:
        """Whether every byte is the same, by whichever order each has them. False where it has to be looked at."""
        try:
            mine, theirs = b"".join(one.values), b"".join(other.values)  # type: ignore[arg-type]
        except TypeError:
            return False  # a value is None
        return (
            list(map(len, one.values)) == self._sizes[0]  # type: ignore[arg-type]
            and list(map(len, other.values)) == self._sizes[1]  # type: ignore[arg-type]
            and not any(one.statuses)
            and not any(other.statuses)
            and self._bytes[0](mine) == self._bytes[1](theirs)
        )


def usable(state: State, tag: Tag, place: int) -> Value | None:
    """The value at `place`; None where there is none, it is Bad, or its bytes are not of the tag's type."""
    if place >= min(len(state.values), len(state.statuses)) or state.statuses[place] & _BAD:
        return None
    try:
        return decode(tag, state.values[place])
    except InvalidData:
        return None


def shown(value: Value | None, tag: Tag) -> str:
    """For people."""
    if value is None:
        return "nothing usable"
    text = f"{value:.9g}" if isinstance(value, float) else str(value).lower()
    return f"{text} {tag.unit}".rstrip()


def _same(a: Value | None, b: Value | None) -> bool:
    """Exactly the same number. One that a sensor could not give is nothing on one protocol, no number on another."""
    if a is None or b is None or a != b:
        return _is_nothing(a) and _is_nothing(b)
    return not isinstance(a, float) or math.copysign(1.0, a) == math.copysign(1.0, b)


def _is_nothing(value: Value | None) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _bytes_of(tags: Sequence[Tag], wanted: Sequence[tuple[Tag, int]]) -> Callable[[bytes], object]:
    """From the joined raw bytes of all `tags` to those of the wanted ones, each most significant byte first."""
    starts, at = [], 0
    for tag in tags:
        starts.append(at)
        at += tag.type.size
    order: list[int] = []
    for tag, place in wanted:
        order += [starts[place] + offset for offset in _significance(tag)]
    if order == list(range(at)):
        return lambda data: data
    if len(order) < 2:
        return lambda data: bytes(data[offset] for offset in order)
    pick = itemgetter(*order)
    return lambda data: bytes(pick(data))


def _significance(tag: Tag) -> list[int]:
    """Offsets of a tag's raw bytes, most significant first: where the bytes 0, 1, 2... of a value come to stand."""
    size = tag.type.size
    if size == 1:
        return [0]
    counting = bytes(range(size))
    if size == 8:
        raw = encode(replace(tag, type=DataType.FLOAT64), struct.unpack(">d", counting)[0])
    else:
        kind = DataType.UINT16 if size == 2 else DataType.UINT32
        raw = encode(replace(tag, type=kind), int.from_bytes(counting, "big"))
    return sorted(range(size), key=raw.__getitem__)
