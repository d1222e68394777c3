"""Requests that are used again and again, and the tags' raw values cut out of their answers. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from testbed.core.tags import DataType, Tag
from testbed.fieldbus.s7_address import S7Address
from testbed.fieldbus.s7_layout import Span, offsets
from testbed.fieldbus.s7_wire import GOOD, items_read, read_request

_BITS = (b"\x00", b"\x01")


@dataclass(frozen=True, slots=True)
class Place:
    """One value to read: where it stands, and whether a single byte of it has a sign."""

    address: S7Address
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """A request for `members`, and where the values stand in its answer.

    cuts: place of a value, first byte, behind its last; bits: place, byte, bit; shorts: place, byte, signed.
    """

    request: bytes
    members: tuple[Span, ...]
    cuts: tuple[tuple[int, int, int], ...]
    bits: tuple[tuple[int, int, int], ...]
    shorts: tuple[tuple[int, int, bool], ...]


def place_of(tag: Tag, address: S7Address) -> Place:
    """Where a tag is to be read."""
    return Place(address, tag.type is DataType.INT16)


def prepared(members: Sequence[Span], places: Sequence[Place]) -> Read:
    """The request for `members`, whose `tags` are indices of `places`."""
    cuts, bits, shorts = [], [], []
    for span, offset in zip(members, offsets(members), strict=True):
        for index in span.tags:
            address = places[index].address
            at = offset + address.byte - span.start
            if address.bit is not None:
                bits.append((index, at, address.bit))
            elif address.size == 1:
                shorts.append((index, at, places[index].signed))
            else:
                cuts.append((index, at, at + address.size))
    return Read(read_request(members), tuple(members), tuple(cuts), tuple(bits), tuple(shorts))


def take(read: Read, answer: bytes, values: list[bytes | None]) -> dict[Span, int]:
    """Put the raw values of a whole answer into `values`; or else the return codes of the spans that did not come.

    A number in one byte becomes two, as its tag's type has them. Raises InvalidData where this is no answer to it.
    """
    items = items_read(answer, read.members)
    failed = {span: item.code for span, item in zip(read.members, items, strict=True) if item.code != GOOD}
    if failed:
        return failed
    for index, start, stop in read.cuts:
        values[index] = answer[start:stop]
    for index, at, bit in read.bits:
        values[index] = _BITS[answer[at] >> bit & 1]
    for index, at, signed in read.shorts:
        values[index] = (b"\xff" if signed and answer[at] & 0x80 else b"\x00") + answer[at : at + 1]
    return {}
