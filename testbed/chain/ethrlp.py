"""RLP (Yellow Paper, appendix B), strict: one canonical form, nothing after it."""

from collections.abc import Sequence
from typing import TypeAlias, cast

import rlp  # type: ignore[import-untyped]  # the package ships no types; this module is its only user
from rlp.exceptions import RLPException  # type: ignore[import-untyped]  # as above

from testbed.core.errors import InvalidData

Item: TypeAlias = bytes | Sequence["Item"]
"""A byte string, or a list of items."""


def encode(item: Item) -> bytes:
    """RLP of nested lists of byte strings."""
    return cast("bytes", rlp.encode(item))


def decode(data: bytes, what: str) -> Item:
    """The item in `data`: bytes, or a list. Raises InvalidData, which names `what`."""
    try:
        item = cast("Item", rlp.decode(data))
        canonical = encode(item) == data
    except (RLPException, RecursionError) as error:
        raise InvalidData(f"{what}: {error}") from error
    if not canonical:
        raise InvalidData(f"{what}: RLP is not in its canonical form")
    return item


def integer(value: int) -> bytes:
    """A number as RLP has it: big endian without leading zeros, zero is empty."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
