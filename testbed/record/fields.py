"""Codecs for the fields of bodies. Each checks exact type, range and length, on the way out and on the way in.

`bool` is not an integer here, and an integer is not a float.
"""

import struct
import sys
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from testbed.core.bodies import LeafRef
from testbed.core.checkpoint import Checkpoint
from testbed.core.errors import InvalidData


@dataclass(frozen=True, slots=True)
class Field:
    """Codec of one position: `encode` takes a body's attribute, `decode` what CBOR gave; both raise InvalidData."""

    encode: Callable[[Any], object]
    decode: Callable[[Any], object]


def _same(check: Callable[[Any], object]) -> Field:
    """A field that is the same in a body and in CBOR."""
    return Field(check, check)


def _text(value: object) -> str:
    if type(value) is not str:
        raise InvalidData("not text")
    return value


def _raw(value: object) -> object:
    if type(value) is not bytes:
        raise InvalidData("not bytes")
    return value


def _boolean(value: object) -> object:
    if type(value) is not bool:
        raise InvalidData("not a bool")
    return value


def _uint64(value: object) -> object:
    if type(value) is not int or not 0 <= value < 2**64:
        raise InvalidData("not a uint64")
    return value


def _sized(size: int) -> Callable[[object], object]:
    def check(value: object) -> object:
        if type(value) is not bytes or len(value) != size:
            raise InvalidData(f"not {size} bytes")
        return value

    return check


def optional(field: Field) -> Field:
    """`field` or None."""
    return Field(
        lambda value: None if value is None else field.encode(value),
        lambda value: None if value is None else field.decode(value),
    )


def _tuple(value: object) -> tuple[Any, ...]:
    if type(value) is not tuple:
        raise InvalidData("not a tuple")
    return value


def _list(value: object) -> list[Any]:
    if type(value) is not list:
        raise InvalidData("not an array")
    return value


def _values(items: Sequence[object]) -> None:
    # One set of types for all items is several times quicker than a look at each.
    if not set(map(type, items)) <= {bytes, type(None)}:
        raise InvalidData("an item is neither bytes nor null")


def _statuses(items: Sequence[Any]) -> None:
    if not set(map(type, items)) <= {int} or (items and not 0 <= min(items) <= max(items) < 2**32):
        raise InvalidData("an item is not a uint32")


Kept = TypeVar("Kept", bound=Hashable)

_KEPT: dict[Any, Any] = {}
_MOST_KEPT = 4096


def _shared(value: Kept) -> Kept:
    """`value`, or an equal one that was decoded before: who reads a whole log keeps what repeats in it once.

    For values of one type: bytes, or tuples of integers.
    """
    if len(_KEPT) >= _MOST_KEPT:
        _KEPT.clear()
    kept: Kept = _KEPT.setdefault(value, value)
    return kept


def _scalars(check: Callable[[Sequence[Any]], None], share: Callable[[list[Any]], tuple[Any, ...]]) -> Field:
    """A tuple of scalars; `check` sees them all at once; share: the tuple of decoded items."""

    def encode(value: object) -> object:
        items = _tuple(value)
        check(items)
        return items

    def decode(value: object) -> object:
        items = _list(value)
        check(items)
        return share(items)

    return Field(encode, decode)


def rows(*columns: Field) -> Field:
    """A tuple of tuples, each with these columns."""

    def whole(row: Sequence[Any]) -> Sequence[Any]:
        if len(row) != len(columns):
            raise InvalidData(f"a row is not of {len(columns)}")
        return row

    def encode(value: object) -> object:
        return [
            [column.encode(item) for column, item in zip(columns, whole(_tuple(row)), strict=True)]
            for row in _tuple(value)
        ]

    def decode(value: object) -> object:
        return tuple(
            tuple(column.decode(item) for column, item in zip(columns, whole(_list(row)), strict=True))
            for row in _list(value)
        )

    return Field(encode, decode)


def _encode_floats(value: object) -> object:
    items = _tuple(value)
    if not set(map(type, items)) <= {float}:
        raise InvalidData("an item is not a float")
    return struct.pack(f">{len(items)}d", *items)


def _decode_floats(value: object) -> object:
    if type(value) is not bytes or len(value) % 8:
        raise InvalidData("not 8 bytes for each float")
    return struct.unpack(f">{len(value) // 8}d", value)


def _leaf_refs() -> Field:
    triples = rows(TEXT, UINT64, HASH)

    def encode(value: object) -> object:
        refs = _tuple(value)
        if not set(map(type, refs)) <= {LeafRef}:
            raise InvalidData("an item is not a LeafRef")
        return triples.encode(tuple((ref.origin, ref.index, ref.leaf_hash) for ref in refs))

    def decode(value: object) -> object:
        return tuple(LeafRef(*_tuple(row)) for row in _tuple(triples.decode(value)))

    return Field(encode, decode)


def _encode_checkpoint(value: object) -> object:
    if type(value) is not Checkpoint:
        raise InvalidData("not a Checkpoint")
    return [TEXT.encode(value.origin), UINT64.encode(value.size), HASH.encode(value.root)]


def _decode_checkpoint(value: object) -> object:
    items = _list(value)
    if len(items) != 3:
        raise InvalidData("not an array of 3")
    columns: tuple[Any, ...] = (TEXT.decode(items[0]), UINT64.decode(items[1]), HASH.decode(items[2]))
    return Checkpoint(*columns)


TEXT = Field(_text, lambda value: sys.intern(_text(value)))
BYTES = _same(_raw)
BOOL = _same(_boolean)
UINT64 = _same(_uint64)
HASH = _same(_sized(32))
REPEATED_HASH = Field(HASH.encode, lambda value: _shared(HASH.decode(value)))
"""A hash that stands in many records."""
SIGNATURE = _same(_sized(64))
VALUES = _scalars(_values, lambda items: tuple([_shared(item) for item in items]))
STATUSES = _scalars(_statuses, lambda items: _shared(tuple(items)))
FLOATS = Field(_encode_floats, _decode_floats)
LEAF_REFS = _leaf_refs()
CHECKPOINT = Field(_encode_checkpoint, _decode_checkpoint)
