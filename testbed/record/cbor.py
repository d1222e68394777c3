"""Deterministic CBOR (RFC 8949, section 4.2) over a small set of types.

Values are arrays, integers of -2**64..2**64-1, byte strings, text, bool and None. There are no maps, tags, floats or
indefinite lengths, so one value has one encoding. A float travels as a byte string: its 8 raw IEEE 754 bytes.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import cbor2

from testbed.core.errors import InvalidData

MAX_DEPTH = 8
"""Arrays within arrays, the outermost counted."""

_SCALARS = frozenset((int, bytes, str, bool, type(None)))
_ALLOWED = _SCALARS | {list, tuple}
_INT_LOW, _INT_END = -(2**64), 2**64
_FLOAT8 = struct.Struct(">d")


_TagDecoder = Callable[[cbor2.CBORDecoder, bool], object]


class _NoTags(Mapping[int, _TagDecoder]):
    """Answers every tag with a refusal, so that no tag's own decoder (dates, MIME, regular expressions) runs."""

    def __getitem__(self, tag: int) -> _TagDecoder:
        def refuse(_decoder: cbor2.CBORDecoder, _immutable: bool) -> object:
            raise InvalidData(f"CBOR: tag {tag} is not allowed")

        return refuse

    def __iter__(self) -> Iterator[int]:
        return iter(())

    def __len__(self) -> int:
        return 1


_NO_TAGS = _NoTags()


def encode(value: object) -> bytes:
    """The one encoding of `value` (lists and tuples both become arrays); raises InvalidData for any other type."""
    _check((value,), MAX_DEPTH)
    try:
        return cbor2.dumps(value)
    except UnicodeEncodeError as error:
        raise InvalidData("CBOR: text holds a lone surrogate") from error


def encode_checked(items: list[object]) -> bytes:
    """As `encode`, for items that the caller has checked, one by one, to be of the types and ranges named above."""
    try:
        return cbor2.dumps(items)
    except UnicodeEncodeError as error:
        raise InvalidData("CBOR: text holds a lone surrogate") from error


def decode(data: bytes) -> object:
    """The value of `data`, arrays as lists; raises InvalidData unless `data` is exactly what `encode` gives for it."""
    try:
        value: object = cbor2.loads(data, semantic_decoders=_NO_TAGS, max_depth=MAX_DEPTH, allow_indefinite=False)
    except (cbor2.CBORError, ValueError, OverflowError) as error:
        raise InvalidData(f"CBOR: {error}") from error
    # The decoder forgives trailing bytes and long forms of integers; encoding again does not.
    if encode(value) != data:
        raise InvalidData("CBOR: not the deterministic encoding of its value, or bytes follow it")
    return value


def float8(x: float) -> bytes:
    """`x` as 8 bytes, IEEE 754 binary64, big endian; NaN payloads are kept.

    An integer is taken where a float has its very value; raises InvalidData for anything else.
    """
    if type(x) is not float:
        x = _exact_float(x)
    return _FLOAT8.pack(x)


def unfloat8(b: bytes) -> float:
    """The float of 8 bytes; raises InvalidData for any other length."""
    if type(b) is not bytes or len(b) != 8:
        raise InvalidData("a float is 8 bytes")
    value: float = _FLOAT8.unpack(b)[0]
    return value


def _exact_float(x: object) -> float:
    if type(x) is not int:
        raise InvalidData(f"not a number: {x!r}")
    try:
        value = float(x)
    except OverflowError as error:
        raise InvalidData("integer beyond IEEE 754 binary64") from error
    if value != x:
        raise InvalidData(f"no float has the value of {x}")
    return value


def _check(items: list[object] | tuple[object, ...], depth: int) -> None:
    # One set of types per array is several times quicker than a look at each item.
    types = set(map(type, items))
    if not types <= _ALLOWED:
        names = ", ".join(sorted(t.__name__ for t in types - _ALLOWED))
        raise InvalidData(f"CBOR: type not allowed: {names}")
    if int in types:
        integers: list[Any] = [item for item in items if type(item) is int]
        if not _INT_LOW <= min(integers) <= max(integers) < _INT_END:
            raise InvalidData("CBOR: integer beyond 64 bits")
    if types <= _SCALARS:
        return
    if depth == 0:
        raise InvalidData(f"CBOR: arrays nested deeper than {MAX_DEPTH}")
    for item in items:
        if isinstance(item, (list, tuple)):
            _check(item, depth - 1)
