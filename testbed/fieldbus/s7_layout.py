"""Which reads bring all tags of an S7 controller: spans of bytes, as many in one request as its answer can hold.

An answer is never longer than the PDU that both sides agreed upon when they connected. A request names at most twenty
spans. A read of bytes has four bytes before its data, and a byte behind an odd number of them where another follows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from testbed.fieldbus.s7_address import Area, S7Address

MOST_ITEMS = 20
_REQUEST = 12
"""Bytes of a request before its items: header and function."""
_ITEM = 12
_ANSWER = 14
"""Bytes of an answer before its items: header and function."""
_HEAD = 4
"""Bytes of an item of an answer before its data."""


@dataclass(frozen=True, slots=True)
class Span:
    """`size` bytes from `start` on. tags: places, in a list of tags, of those that lie in it."""

    area: Area
    db: int
    start: int
    size: int
    tags: tuple[int, ...]

    def __str__(self) -> str:
        first = S7Address(self.area, self.db, self.start, None, 1)
        return f"{first}..{self.start + self.size - 1}" if self.size > 1 else str(first)


def most_bytes(pdu: int) -> int:
    """Bytes that one span may have, by the length of a PDU."""
    return _even(pdu) - _ANSWER - _HEAD


def spans(
    addresses: Mapping[int, S7Address], gap: int, most: int, apart: frozenset[int] = frozenset()
) -> tuple[Span, ...]:
    """The spans that take in all of `addresses`, by rising address. Tags may overlap, as bits and their word do.

    gap: bytes without a tag that may be read along; most: bytes of a span; apart: places that share no span.
    """
    found: list[Span] = []
    for place, at in sorted(addresses.items(), key=lambda item: (item[1].area.value, item[1].db, item[1].byte)):
        stop = at.byte + at.size
        if found and place not in apart and apart.isdisjoint(found[-1].tags):
            last = found[-1]
            end = max(stop, last.start + last.size)
            near = at.byte - (last.start + last.size) <= gap and end - last.start <= most
            if near and (at.area, at.db) == (last.area, last.db):
                found[-1] = Span(at.area, at.db, last.start, end - last.start, (*last.tags, place))
                continue
        found.append(Span(at.area, at.db, at.byte, at.size, (place,)))
    return tuple(found)


def requests(wanted: Iterable[Span], pdu: int) -> tuple[tuple[Span, ...], ...]:
    """The spans, in their order, in as few requests as that order allows."""
    found: list[list[Span]] = []
    room = 0
    for span in wanted:
        took = _HEAD + span.size + span.size % 2
        if not found or len(found[-1]) == _most_items(pdu) or took > room:
            found.append([])
            room = _even(pdu) - _ANSWER
        found[-1].append(span)
        room -= took
    return tuple(map(tuple, found))


def offsets(members: Sequence[Span]) -> list[int]:
    """Where the data of each span begins in the answer to a request for all of them."""
    found, at = [], _ANSWER
    for span in members:
        found.append(at + _HEAD)
        at += _HEAD + span.size + span.size % 2
    return found


def _even(pdu: int) -> int:
    """Items are filled up to an even number of bytes, so an odd last byte is of no use."""
    return pdu - pdu % 2


def _most_items(pdu: int) -> int:
    return min(MOST_ITEMS, (pdu - _REQUEST) // _ITEM)
