"""Entries: one form, whole, and tied to their body by salt."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.entry import Entry, Kind
from testbed.core.errors import InvalidData
from testbed.record import cbor
from testbed.record.entry import MAX_ENTRY, commitment, decode_entry, encode_entry

ENTRY = Entry(Kind.STATE, "plc", 7, bytes(range(32)))

entries = st.builds(
    Entry,
    st.sampled_from(Kind),
    st.text(st.characters(codec="utf-8"), max_size=30),
    st.integers(0, 2**64 - 1),
    st.binary(min_size=32, max_size=32),
)


def test_an_entry_by_hand() -> None:
    assert encode_entry(ENTRY) == b"\x85\x01\x01\x63plc\x07\x58\x20" + bytes(range(32))


@given(entries)
def test_entries_round_trip(entry: Entry) -> None:
    decoded = decode_entry(encode_entry(entry))
    assert decoded == entry
    assert type(decoded.kind) is Kind


@given(entries, st.data())
def test_a_changed_entry_is_refused_or_another_entry(entry: Entry, data: st.DataObject) -> None:
    whole = encode_entry(entry)
    cut = data.draw(st.integers(0, len(whole) - 1), label="cut")
    for bad in (whole[:cut], whole + b"\x00"):
        with pytest.raises(InvalidData):
            decode_entry(bad)
    bit = data.draw(st.integers(0, 8 * len(whole) - 1), label="bit")
    flipped = bytearray(whole)
    flipped[bit // 8] ^= 1 << (bit % 8)
    try:
        other = decode_entry(bytes(flipped))
    except InvalidData:
        return
    assert other != entry
    assert encode_entry(other) == bytes(flipped)


@pytest.mark.parametrize(
    "items",
    [
        [],
        [1, 1, "plc", 7],
        [1, 1, "plc", 7, bytes(32), None],
        [0, 1, "plc", 7, bytes(32)],
        [2, 1, "plc", 7, bytes(32)],
        [True, 1, "plc", 7, bytes(32)],
        [1, 12, "plc", 7, bytes(32)],
        [1, -1, "plc", 7, bytes(32)],
        [1, True, "plc", 7, bytes(32)],
        [1, "STATE", "plc", 7, bytes(32)],
        [1, [], "plc", 7, bytes(32)],
        [1, 1, b"plc", 7, bytes(32)],
        [1, 1, None, 7, bytes(32)],
        [1, 1, "plc", -1, bytes(32)],
        [1, 1, "plc", True, bytes(32)],
        [1, 1, "plc", None, bytes(32)],
        [1, 1, "plc", 7, bytes(31)],
        [1, 1, "plc", 7, bytes(33)],
        [1, 1, "plc", 7, "x" * 32],
        "an entry",
        1,
        None,
    ],
    ids=repr,
)
def test_other_items_are_no_entry(items: object) -> None:
    with pytest.raises(InvalidData):
        decode_entry(cbor.encode(items))


@pytest.mark.parametrize(
    "entry",
    [
        Entry(1, "plc", 7, bytes(32)),  # type: ignore[arg-type]  # what must be refused
        Entry(Kind.STATE, b"plc", 7, bytes(32)),  # type: ignore[arg-type]  # what must be refused
        Entry(Kind.STATE, "\ud800", 7, bytes(32)),
        Entry(Kind.STATE, "plc", -1, bytes(32)),
        Entry(Kind.STATE, "plc", 2**64, bytes(32)),
        Entry(Kind.STATE, "plc", True, bytes(32)),
        Entry(Kind.STATE, "plc", 7, bytes(31)),
    ],
    ids=repr,
)
def test_entries_that_are_not_written(entry: Entry) -> None:
    with pytest.raises(InvalidData):
        encode_entry(entry)


def test_an_entry_fits_a_bundle() -> None:
    spare = MAX_ENTRY - len(encode_entry(Entry(Kind.STATE, "x" * 1000, 0, bytes(32))))
    longest = Entry(Kind.STATE, "x" * (1000 + spare), 0, bytes(32))
    assert len(encode_entry(longest)) == MAX_ENTRY
    assert decode_entry(encode_entry(longest)) == longest
    longer = Entry(Kind.STATE, "x" * (1001 + spare), 0, bytes(32))
    with pytest.raises(InvalidData):
        encode_entry(longer)
    with pytest.raises(InvalidData):
        decode_entry(cbor.encode([1, 1, longer.source, 0, bytes(32)]))


@given(st.binary(min_size=16, max_size=16), st.binary(max_size=50))
def test_the_commitment_is_the_hash_of_salt_and_body(salt: bytes, body: bytes) -> None:
    assert commitment(salt, body) == hashlib.sha256(salt + body).digest()
    assert commitment(salt, body + b"\x00") != commitment(salt, body)
    assert commitment(bytes([salt[0] ^ 1]) + salt[1:], body) != commitment(salt, body)


@pytest.mark.parametrize("length", [0, 15, 17, 32])
def test_a_salt_is_16_bytes(length: int) -> None:
    with pytest.raises(InvalidData):
        commitment(bytes(length), b"body")
