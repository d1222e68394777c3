"""Frames come out of a stream whole and in order, however it is cut, and a length that cannot be ends it."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU

from testbed.core.errors import InvalidData
from testbed.fieldbus.modbus_frames import HEADER, Frame, FrameBuffer, encode_frame

FRAMES = st.builds(
    Frame,
    st.integers(0, 0xFFFF),
    st.sampled_from([0, 0, 0, 1, 0xFFFF]),
    st.integers(0, 255),
    st.binary(min_size=1, max_size=253),
)


def bytes_of(frame: Frame) -> bytes:
    return HEADER.pack(frame.transaction, frame.protocol, len(frame.pdu) + 1, frame.unit) + frame.pdu


def taken(chunks: Iterable[bytes]) -> list[Frame]:
    """What a connection would take from these chunks."""
    buffer = FrameBuffer()
    frames = []
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            room = buffer.room()
            count = min(len(room), len(rest))
            assert count > 0
            room[:count] = rest[:count]
            buffer.add(count)
            rest = rest[count:]
            while (frame := buffer.take()) is not None:
                frames.append(frame)
    return frames


@given(st.lists(FRAMES, max_size=40), st.lists(st.integers(1, 700), min_size=1, max_size=30))
def test_frames_survive_every_way_of_cutting(frames: list[Frame], sizes: list[int]) -> None:
    stream = b"".join(map(bytes_of, frames))
    chunks = []
    while stream:
        sizes = sizes[1:] + sizes[:1]
        chunks.append(stream[: sizes[0]])
        stream = stream[sizes[0] :]
    assert taken(chunks) == frames


def test_byte_by_byte() -> None:
    frames = [Frame(n, 0, 1, bytes((3, 0, 0, 0, 1))) for n in range(5)]
    stream = b"".join(map(bytes_of, frames))
    assert taken(stream[at : at + 1] for at in range(len(stream))) == frames


@pytest.mark.parametrize("length", [0, 1, 255, 256, 0xFFFF])
def test_a_length_that_no_frame_has_ends_the_stream(length: int) -> None:
    good = bytes_of(Frame(1, 0, 1, b"\x03"))
    buffer = FrameBuffer()
    data = good + HEADER.pack(2, 0, length, 1)
    buffer.room()[: len(data)] = data
    buffer.add(len(data))
    assert buffer.take() == Frame(1, 0, 1, b"\x03")
    with pytest.raises(InvalidData, match=f"length {length}"):
        buffer.take()


@given(st.integers(0, 0xFFFF), st.integers(0, 255), st.binary(min_size=1, max_size=253))
def test_an_encoded_frame_is_what_pymodbus_makes_of_it(transaction: int, unit: int, pdu: bytes) -> None:
    raw = encode_frame(transaction, unit, pdu)
    assert raw == FramerSocket(DecodePDU(False)).encode(pdu, unit, transaction)
    assert taken([raw]) == [Frame(transaction, 0, unit, pdu)]


@pytest.mark.parametrize("size", [0, 254])
def test_a_pdu_that_does_not_fit_is_not_sent(size: int) -> None:
    with pytest.raises(InvalidData, match=f"{size} bytes"):
        encode_frame(1, 1, bytes(size))
