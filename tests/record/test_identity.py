"""What a device says of itself comes back from a log as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import InvalidData
from testbed.core.identity import Identity
from testbed.record import cbor
from testbed.record.identity import decode_identity, encode_identity

texts = st.text(st.characters(codec="utf-8"), max_size=40)
identities = st.builds(Identity, texts, texts, texts, texts)


@given(identities)
def test_it_comes_back(identity: Identity) -> None:
    assert decode_identity(encode_identity(identity)) == identity


@given(identities, st.integers(0))
def test_a_flipped_bit_is_refused_or_another_identity(identity: Identity, place: int) -> None:
    data = bytearray(encode_identity(identity))
    place %= 8 * len(data)
    data[place // 8] ^= 1 << place % 8
    try:
        other = decode_identity(bytes(data))
    except InvalidData:
        return
    assert other != identity


@pytest.mark.parametrize("items", [None, [], ["a", "b", "c"], ["a", "b", "c", 1], ["a", "b", "c", "d", "e"]], ids=repr)
def test_anything_else_is_none(items: object) -> None:
    with pytest.raises(InvalidData):
        decode_identity(cbor.encode(items))
