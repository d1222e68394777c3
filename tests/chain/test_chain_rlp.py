"""RLP has one form: what is read is what would be written. pyrlp, by others, is the judge of what that form is."""

import rlp  # type: ignore[import-untyped]  # the package ships no types
from hypothesis import example, given
from hypothesis import strategies as st

from testbed.chain import ethrlp
from testbed.core.errors import InvalidData

ITEMS: st.SearchStrategy[ethrlp.Item] = st.recursive(
    st.binary(max_size=80) | st.integers(0, 2**16).map(ethrlp.integer),
    lambda item: st.lists(item, max_size=6),
    max_leaves=20,
)


@given(ITEMS)
def test_what_is_written_is_read_back(item: ethrlp.Item) -> None:
    assert ethrlp.decode(ethrlp.encode(item), "item") == item


def judged(data: bytes) -> ethrlp.Item | None:
    """What the judge reads; None where it reads nothing, or would write it otherwise."""
    try:
        item: ethrlp.Item = rlp.decode(data)
    except rlp.exceptions.RLPException:
        return None
    return item if rlp.encode(item) == data else None


@given(st.one_of(st.binary(max_size=12), st.binary(min_size=56, max_size=70)))
@example(b"\x81\x00")
@example(b"\xb8\x37" + bytes(55))
@example(b"\xb9\x00\x38" + bytes(56))
@example(b"\xf8\x00")
@example(b"\xb8")
@example(b"\xc1\x82")
@example(b"\xbf" + b"\xff" * 8)
def test_any_bytes_are_read_only_as_they_would_be_written(data: bytes) -> None:
    try:
        item = ethrlp.decode(data, "bytes")
    except InvalidData:
        assert judged(data) is None
    else:
        assert judged(data) == item


@given(ITEMS, st.integers(0, 2**31))
def test_one_flipped_bit_is_another_item_or_none(item: ethrlp.Item, seed: int) -> None:
    data = bytearray(ethrlp.encode(item))
    data[seed % len(data)] ^= 1 << seed % 8
    try:
        assert ethrlp.decode(bytes(data), "item") != item
    except InvalidData:
        return
