"""A device's frame: read back as written, and no other bytes are one."""

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import InvalidData
from testbed.keys.ed25519 import SigningKey
from testbed.record.device_frame import (
    MOST_FRAME,
    MOST_IMAGE,
    DeviceFrame,
    Form,
    counters_of,
    decode_frame,
    encode_frame,
    frame_message,
    frame_size,
    image_meaning,
)
from testbed.rig.bench import load_bench

IMAGES = st.binary(max_size=MOST_IMAGE + 40)
COUNTERS = st.integers(0, 2**32 - 1)
DEVICE = b"\x01\x02\x03\x04\x05\x06\x07\x08"


@given(IMAGES, COUNTERS, COUNTERS, st.binary(min_size=8, max_size=8))
def test_what_is_written_is_read_back(image: bytes, scan: int, boot: int, device: bytes) -> None:
    data = encode_frame(image, scan, boot, device)
    frame = decode_frame(data)
    assert (frame.scan, frame.boot, frame.device) == (scan, boot, device)
    assert frame.shows(image)
    assert counters_of(data) == (boot, scan)
    # One request reads it with its signature, in whole registers.
    assert len(data) == frame_size(len(image)) <= MOST_FRAME == 2 * 125 - 64
    assert len(data) % 2 == 0
    assert frame.form is (Form.DIGEST if len(image) > MOST_IMAGE else Form.WHOLE)
    if frame.form is Form.DIGEST:
        assert frame.image == hashlib.sha256(image).digest()


@given(st.binary(max_size=200))
def test_bytes_that_are_read_are_those_that_would_be_written(data: bytes) -> None:
    try:
        frame = decode_frame(data)
    except InvalidData:
        return
    again = encode_frame(frame.image, frame.scan, frame.boot, frame.device)
    if frame.form is Form.WHOLE:
        assert again == data
    else:
        assert len(frame.image) == 32


@given(IMAGES.filter(bool), st.data())
def test_a_frame_shows_its_own_image_alone(image: bytes, data: st.DataObject) -> None:
    frame = decode_frame(encode_frame(image, 1, 1, DEVICE))
    bit = data.draw(st.integers(0, 8 * len(image) - 1))
    other = bytearray(image)
    other[bit // 8] ^= 1 << bit % 8
    assert not frame.shows(bytes(other))
    assert not frame.shows(image + b"\x01")
    assert not frame.shows(image[:-1]) or image[-1:] == b"\x00"


GOOD = encode_frame(b"abcde", 7, 2, DEVICE)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD[:-1],
        GOOD + b"\x00",
        b"\x02" + GOOD[1:],
        GOOD[:1] + b"\x02" + GOOD[2:],
        GOOD[:1] + b"\x01" + GOOD[2:],
        b"\x01\x00" + bytes(MOST_IMAGE + 2) + GOOD[-16:],
    ],
    ids=["nothing", "cut off", "longer", "version", "form", "no digest", "too long an image"],
)
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidData, match="device frame"):
        decode_frame(data)


@pytest.mark.parametrize(("scan", "boot", "device"), [(2**32, 0, DEVICE), (0, -1, DEVICE), (0, 0, DEVICE[:7])])
def test_numbers_that_cannot_be_are_refused(scan: int, boot: int, device: bytes) -> None:
    with pytest.raises(InvalidData, match="device frame"):
        encode_frame(b"", scan, boot, device)


def test_bytes_too_few_for_counters_name_none() -> None:
    assert counters_of(bytes(15)) is None
    assert counters_of(bytes(16)) == (0, 0)


def test_every_bit_of_what_is_signed_counts() -> None:
    key, tags = SigningKey.from_seed("bench/plc", b"d" * 32), load_bench(None).tags
    meaning = image_meaning(tags)
    message = frame_message(meaning, GOOD)
    assert message.startswith(b"attestbed/device-frame/v1\n")
    signature, verifier = key.sign(message), key.verifier()
    assert verifier.verify(message, signature)
    for bit in range(8 * len(message)):
        other = bytearray(message)
        other[bit // 8] ^= 1 << bit % 8
        assert not verifier.verify(bytes(other), signature)
    for bit in range(8 * len(signature)):
        forged = bytearray(signature)
        forged[bit // 8] ^= 1 << bit % 8
        assert not verifier.verify(message, bytes(forged))


def test_a_meaning_is_that_of_names_types_and_units_in_their_order_wherever_they_stand() -> None:
    tags = load_bench(None).tags
    meaning = image_meaning(tags)
    one, *others = tags
    moved = replace(one, modbus=replace(one.modbus, address=500), opcua="elsewhere")
    assert image_meaning((moved, *others)) == meaning
    for changed in (replace(one, name="plc.count"), replace(one, unit="m"), replace(one, type=tags[2].type)):
        assert image_meaning((changed, *others)) != meaning
    assert image_meaning((*others, one)) != meaning
    with pytest.raises(InvalidData, match="a meaning of 31 bytes"):
        frame_message(meaning[:-1], GOOD)


def test_a_frame_stays_what_it_is() -> None:
    """Known bytes: a frame that was signed once must be checked the same for ever."""
    assert GOOD.hex() == "0100" + b"abcde\x00".hex() + "00000007" + "00000002" + DEVICE.hex()
    assert decode_frame(GOOD) == DeviceFrame(Form.WHOLE, b"abcde\x00", 7, 2, DEVICE)
