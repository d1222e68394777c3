"""Bodies: what is written is read back, and what is not exactly as written is refused."""

import math
import struct
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.bodies import (
    Advisory,
    AnchorReceipt,
    Beacon,
    Body,
    Command,
    Event,
    Genesis,
    Heartbeat,
    LeafRef,
    Peer,
    State,
    TestManifest,
    Tombstone,
    TwinRecord,
)
from testbed.core.checkpoint import Checkpoint
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData
from testbed.record import cbor
from testbed.record.bodies import decode_body, encode_body, kind_of

text = st.text(st.characters(codec="utf-8"), max_size=12)
raw = st.binary(max_size=12)
uint64 = st.integers(0, 2**64 - 1)
hashes = st.binary(min_size=32, max_size=32)
numbers = st.lists(st.floats(allow_nan=False), max_size=4).map(tuple)


def tuples(*columns: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(st.tuples(*columns), max_size=3).map(tuple)


refs = st.lists(st.builds(LeafRef, text, uint64, hashes), max_size=3).map(tuple)


@st.composite
def states(draw: st.DrawFn) -> State:
    values = draw(st.lists(st.none() | raw, max_size=6).map(tuple))
    statuses = draw(st.tuples(*[st.integers(0, 2**32 - 1)] * len(values)))
    return State(
        boot=draw(uint64),
        scan=draw(st.none() | uint64),
        device_time_ns=draw(st.none() | uint64),
        receive_time_ns=draw(uint64),
        values=values,
        statuses=statuses,
        frame=draw(st.none() | raw),
        signature=draw(st.none() | st.binary(min_size=64, max_size=64)),
    )


STRATEGIES: dict[Kind, st.SearchStrategy[Body]] = {
    Kind.GENESIS: st.builds(
        Genesis, text, hashes, text, st.booleans(), st.none() | st.builds(Checkpoint, text, uint64, hashes)
    ),
    Kind.STATE: states(),
    Kind.HEARTBEAT: st.builds(Heartbeat, uint64, text, tuples(text, uint64)),
    Kind.TWIN: st.builds(TwinRecord, refs, hashes, hashes, numbers, numbers),
    Kind.ADVISORY: st.builds(Advisory, refs, hashes, hashes, numbers, numbers),
    Kind.COMMAND: st.builds(Command, text, text, st.none() | uint64, text, text),
    Kind.EVENT: st.builds(Event, uint64, text, raw),
    Kind.BEACON: st.builds(Beacon, uint64, uint64, hashes),
    Kind.RECEIPT: st.builds(AnchorReceipt, text, raw, raw, raw, raw),
    Kind.TOMBSTONE: st.builds(Tombstone, text, uint64, text),
    Kind.TEST: st.builds(TestManifest, tuples(text, hashes)),
    Kind.PEER: st.builds(Peer, text, raw),
}

STATE = State(1, 2, None, 3, (b"ab", None), (0, 2**32 - 1))
TWIN = TwinRecord((LeafRef("source/cell", 5, bytes(32)),), bytes(32), bytes(32), (1.0,), ())


def test_every_kind_is_here() -> None:
    assert set(STRATEGIES) == set(Kind)


@pytest.mark.parametrize("kind", Kind)
@given(data=st.data())
def test_bodies_round_trip(kind: Kind, data: st.DataObject) -> None:
    body = data.draw(STRATEGIES[kind])
    assert kind_of(body) is kind
    encoded = encode_body(body)
    assert decode_body(kind, encoded) == body
    assert encode_body(decode_body(kind, encoded)) == encoded


@pytest.mark.parametrize("kind", Kind)
@given(data=st.data())
def test_a_changed_body_is_refused_or_another_body(kind: Kind, data: st.DataObject) -> None:
    body = data.draw(STRATEGIES[kind])
    encoded = encode_body(body)
    cut = data.draw(st.integers(0, len(encoded) - 1), label="cut")
    for bad in (encoded[:cut], encoded + data.draw(st.binary(min_size=1, max_size=2), label="tail")):
        with pytest.raises(InvalidData):
            decode_body(kind, bad)
    bit = data.draw(st.integers(0, 8 * len(encoded) - 1), label="bit")
    flipped = bytearray(encoded)
    flipped[bit // 8] ^= 1 << (bit % 8)
    try:
        other = decode_body(kind, bytes(flipped))
    except InvalidData:
        return
    assert encode_body(other) == bytes(flipped)


@pytest.mark.parametrize("kind", Kind)
@given(data=st.data())
def test_every_wrong_type_in_every_field_is_refused(kind: Kind, data: st.DataObject) -> None:
    body: Any = data.draw(STRATEGIES[kind])
    for field in fields(body):
        present = getattr(body, field.name)
        wrongs: tuple[object, ...] = (1.5, {}, [], (object(),), ((),), ((1, 2, 3),), bytearray(32), -1, 2**64, "\ud800")
        for wrong in wrongs:
            if isinstance(present, tuple) and wrong == present:
                continue
            with pytest.raises(InvalidData):
                encode_body(replace(body, **{field.name: wrong}))


@pytest.mark.parametrize("kind", Kind)
@given(data=st.data())
def test_another_number_of_positions_is_refused(kind: Kind, data: st.DataObject) -> None:
    items = cbor.decode(encode_body(data.draw(STRATEGIES[kind])))
    assert isinstance(items, list)
    # A genesis has four positions, or five where it names a predecessor.
    shorter = items[: min(len(items), 4) - 1] if kind is Kind.GENESIS else items[:-1]
    for other in (shorter, [*items, None], items[0], None):
        with pytest.raises(InvalidData):
            decode_body(kind, cbor.encode(other))


def test_a_bool_is_not_an_integer() -> None:
    for state in (
        replace(STATE, boot=True),
        replace(STATE, scan=True),
        replace(STATE, device_time_ns=False),
        replace(STATE, receive_time_ns=True),
    ):
        with pytest.raises(InvalidData, match="not a uint64"):
            encode_body(state)
    with pytest.raises(InvalidData, match="statuses"):
        encode_body(replace(STATE, statuses=(True, False)))
    items = cbor.decode(encode_body(STATE))
    assert isinstance(items, list)
    with pytest.raises(InvalidData, match="boot"):
        decode_body(Kind.STATE, cbor.encode([True, *items[1:]]))
    with pytest.raises(InvalidData, match="simulated"):
        decode_body(Kind.GENESIS, cbor.encode(["log", bytes(32), "1", 1]))


def test_an_integer_is_not_a_float() -> None:
    for wrong in ((1,), (True,), (None,), ("1.0",)):
        with pytest.raises(InvalidData, match="twin: state"):
            encode_body(replace(TWIN, state=wrong))  # type: ignore[arg-type]  # what must be refused


def test_lengths_are_exact() -> None:
    for length in (0, 31, 33):
        with pytest.raises(InvalidData):
            encode_body(Beacon(1, 1, bytes(length)))
        with pytest.raises(InvalidData):
            decode_body(Kind.BEACON, cbor.encode([1, 1, bytes(length)]))
    for length in (0, 63, 65):
        with pytest.raises(InvalidData):
            encode_body(replace(STATE, signature=bytes(length)))
    for status in (-1, 2**32):
        with pytest.raises(InvalidData):
            encode_body(replace(STATE, statuses=(0, status)))
    for length in (1, 7, 9):
        with pytest.raises(InvalidData):
            decode_body(Kind.TWIN, cbor.encode([[], bytes(32), bytes(32), bytes(length), b""]))


def test_a_state_has_a_status_for_each_value() -> None:
    with pytest.raises(InvalidData, match="2 values, 1 statuses"):
        encode_body(replace(STATE, statuses=(0,)))
    with pytest.raises(InvalidData, match="0 values, 1 statuses"):
        decode_body(Kind.STATE, cbor.encode([1, None, None, 3, [], [0], None, None]))


def test_nan_keeps_its_payload() -> None:
    nan = struct.unpack(">d", bytes.fromhex("7ff8000000abcdef"))[0]
    record = replace(TWIN, state=(nan, -0.0), outputs=(math.inf,))
    encoded = encode_body(record)
    assert bytes.fromhex("7ff8000000abcdef8000000000000000") in encoded
    assert encode_body(decode_body(Kind.TWIN, encoded)) == encoded


def test_a_body_of_one_kind_is_not_read_as_another_with_other_positions() -> None:
    with pytest.raises(InvalidData):
        decode_body(Kind.TWIN, encode_body(STATE))
    advisory = decode_body(Kind.ADVISORY, encode_body(TWIN))
    assert isinstance(advisory, Advisory)


def test_what_is_no_body() -> None:
    for wrong in (None, "state", LeafRef("source", 0, bytes(32))):
        with pytest.raises(InvalidData):
            kind_of(wrong)  # type: ignore[arg-type]  # what must be refused
        with pytest.raises(InvalidData):
            encode_body(wrong)  # type: ignore[arg-type]  # what must be refused


def test_what_repeats_in_a_log_is_kept_once() -> None:
    states = [State(1, scan, None, scan, (b"\0\0\x80\x3f", bytes([7, 8, 9, scan])), (0, 0)) for scan in (1, 2)]
    one, other = (decode_body(Kind.STATE, encode_body(state)) for state in states)
    assert isinstance(one, State)
    assert isinstance(other, State)
    assert [one, other] == states
    assert one.values[0] is other.values[0]
    assert one.statuses is other.statuses
    assert one.values[1] != other.values[1]
