"""RLP (Yellow Paper, appendix B), strict: one canonical form, nothing after it."""

from collections.abc import Sequence
from typing import TypeAlias, cast

import rlp  # type: ignore[import-untyped]  # the package ships no types; this module is its only user

from testbed.core.errors import InvalidData

Item: TypeAlias = bytes | Sequence["Item"]
"""A byte string, or a list of items."""

_DEPTH = 24
"""Lists within lists; a receipt has four, a node of a trie with others in it a few more."""


def encode(item: Item) -> bytes:
    """RLP of nested lists of byte strings."""
    return cast("bytes", rlp.encode(item))


def decode(data: bytes, what: str) -> Item:
    """The item in `data`: bytes, or a list. Raises InvalidData, which names `what`, unless `encode` gives `data` back.

    Each rule of the canonical form is checked where it is read, so nothing is encoded again: headers are read often.
    """
    try:
        item, end = _item(data, 0, len(data), _DEPTH)
    except InvalidData as error:
        raise InvalidData(f"{what}: {error}") from error
    if end != len(data):
        raise InvalidData(f"{what}: {len(data) - end} bytes follow the RLP")
    return item


def integer(value: int) -> bytes:
    """A number as RLP has it: big endian without leading zeros, zero is empty."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _item(data: bytes, at: int, stop: int, depth: int) -> tuple[Item, int]:
    """The item that begins at `at` and ends not behind `stop`, and where it ends."""
    if at >= stop:
        raise InvalidData("RLP: an item is missing")
    first = data[at]
    if first < 0x80:
        return data[at : at + 1], at + 1
    if first < 0xC0:
        start, end = _payload(data, at, stop, first - 0x80)
        if end - start == 1 and data[start] < 0x80:
            raise InvalidData("RLP: a byte below 128 stands for itself")
        return data[start:end], end
    start, end = _payload(data, at, stop, first - 0xC0)
    if depth == 0:
        raise InvalidData(f"RLP: more than {_DEPTH} lists within lists")
    items: list[Item] = []
    while start < end:
        item, start = _item(data, start, end, depth - 1)
        items.append(item)
    return items, end


def _payload(data: bytes, at: int, stop: int, length: int) -> tuple[int, int]:
    """Where the payload begins and ends. length: from the first byte, above 55 the size of the length that follows."""
    start = at + 1
    if length > 55:
        start, size = at + 1 + length - 55, data[at + 1 : at + 1 + length - 55]
        length = int.from_bytes(size, "big")
        if start > stop or size[0] == 0 or length <= 55:
            raise InvalidData("RLP: a length is cut or longer than it need be")
    if start + length > stop:
        raise InvalidData("RLP: an item is longer than what holds it")
    return start, start + length
