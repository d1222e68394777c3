"""CBOR in one form only: what RFC 8949, section 4.2, calls deterministic, and nothing beyond a few types."""

import datetime
import math
import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import InvalidData
from testbed.record.cbor import MAX_DEPTH, decode, encode, float8, unfloat8

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.binary(max_size=30)
    | st.text(st.characters(codec="utf-8"), max_size=30)
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=5), max_leaves=20)


@given(values)
def test_values_round_trip(value: object) -> None:
    assert decode(encode(value)) == value


@given(st.binary(max_size=40))
def test_what_decodes_is_the_encoding_of_its_value(data: bytes) -> None:
    try:
        value = decode(data)
    except InvalidData:
        return
    assert encode(value) == data


@given(values, st.data())
def test_cut_and_followed_bytes_are_refused(value: object, data: st.DataObject) -> None:
    whole = encode(value)
    cut = data.draw(st.integers(0, len(whole) - 1), label="cut")
    with pytest.raises(InvalidData):
        decode(whole[:cut])
    with pytest.raises(InvalidData):
        decode(whole + data.draw(st.binary(min_size=1, max_size=3), label="tail"))


@pytest.mark.parametrize(
    ("value", "data"),
    [
        # Examples of RFC 8949, appendix A.
        (0, "00"),
        (23, "17"),
        (24, "1818"),
        (1000, "1903e8"),
        (1000000, "1a000f4240"),
        (18446744073709551615, "1bffffffffffffffff"),
        (-1, "20"),
        (-1000, "3903e7"),
        (-18446744073709551616, "3bffffffffffffffff"),
        (False, "f4"),
        (True, "f5"),
        (None, "f6"),
        (b"", "40"),
        (b"\x01\x02\x03\x04", "4401020304"),
        ("\u6c34", "63e6b0b4"),
        ([], "80"),
        ([1, [2, 3], [4, 5]], "8301820203820405"),
    ],
)
def test_known_bytes(value: object, data: str) -> None:
    assert encode(value).hex() == data
    assert decode(bytes.fromhex(data)) == value


def test_tuples_are_arrays() -> None:
    assert encode((1, (2,))) == encode([1, [2]])


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        math.nan,
        {},
        {"a": 1},
        {1},
        2**64,
        -(2**64) - 1,
        Decimal(1),
        datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        bytearray(b"a"),
        memoryview(b"a"),
        "\ud800",
        object(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_values_are_refused_wherever_they_stand(value: object) -> None:
    for whole in (value, [value], [1, [b"", value]]):
        with pytest.raises(InvalidData):
            encode(whole)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "1800",  # 0 in two bytes
        "190017",
        "1a00000018",
        "1b0000000000000018",
        "580161",  # a length in two bytes
        "780161",
        "980100",
        "5f4161ff",  # indefinite lengths
        "7f6161ff",
        "9f00ff",
        "a0",  # maps
        "a10001",
        "f93c00",  # floats
        "fa3f800000",
        "fb3ff0000000000000",
        "f97e00",
        "f7",  # undefined
        "f0",  # other simple values
        "f820",
        "f814",
        "c249010000000000000000",  # tags: integers beyond 64 bits, dates, fractions, bytes, references, MIME
        "c24101",
        "c11a514b67b0",
        "c48221196ab3",
        "c5822003",
        "d74401020304",
        "d81c81d81d00",
        "d824617f",
        "d82363282828",
        "d9d9f700",
        "61ff",  # text that is not UTF-8
        "63eda080",
        "9b7fffffffffffffff",  # lengths that nothing follows
        "5b7fffffffffffffff",
        "ff",
        "1c",
        "81",
        "0000",
    ],
)
def test_other_bytes_are_refused(data: str) -> None:
    with pytest.raises(InvalidData):
        decode(bytes.fromhex(data))
    with pytest.raises(InvalidData):
        decode(bytes.fromhex("8200" + data))


@pytest.mark.parametrize("data", ["c11a514b67b0", "c24101", "d824617f", "d9fffe00"])
def test_no_tag_is_decoded_before_it_is_refused(data: str) -> None:
    with pytest.raises(InvalidData, match="tag") as raised:
        decode(bytes.fromhex(data))
    cause = raised.value.__cause__
    assert cause is not None
    assert isinstance(cause.__cause__, InvalidData)


def test_arrays_nest_to_a_bound() -> None:
    def nested(depth: int) -> bytes:
        return b"\x81" * (depth - 1) + b"\x80"

    assert encode(decode(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    for depth in (MAX_DEPTH + 1, 1000, 1_000_000):
        with pytest.raises(InvalidData):
            decode(nested(depth))
    value: list[object] = []
    for _ in range(MAX_DEPTH):
        value = [value]
    with pytest.raises(InvalidData):
        encode(value)
    value.append(value)
    with pytest.raises(InvalidData):
        encode(value)


@given(st.binary(min_size=8, max_size=8))
def test_every_eight_bytes_are_a_float_and_come_back(raw: bytes) -> None:
    assert float8(unfloat8(raw)) == raw


def test_known_floats() -> None:
    assert float8(1.0).hex() == "3ff0000000000000"
    assert float8(-0.0).hex() == "8000000000000000"
    assert float8(2) == struct.pack(">d", 2.0)
    assert float8(math.inf).hex() == "7ff0000000000000"


@pytest.mark.parametrize("value", [True, "1", None, b"", 2**53 + 1, 10**400], ids=lambda value: repr(value)[:20])
def test_what_is_no_float(value: float) -> None:
    with pytest.raises(InvalidData):
        float8(value)


@pytest.mark.parametrize("length", [0, 7, 9])
def test_a_float_is_eight_bytes(length: int) -> None:
    with pytest.raises(InvalidData):
        unfloat8(bytes(length))
