"""The frame that a device signs: one scan's process image, by the word of the device itself.

A signed frame is the Ed25519 signature, 64 bytes, and the frame behind it. A frame, numbers big endian:

    version   1   always 1
    form      1   0: the image itself; 1: its SHA-256, where the image is too long
    image     n   the tags' raw bytes, packed, in the order of the tag list; one 00 behind an odd number of them
    scan      4   scan counter
    boot      4   restart counter
    device    8   SHA-256(name || 0A || 01 || public key), its first 8 bytes

What is signed is `frame_message` and nothing else: the namespace, the hash of what the packed bytes mean, the frame.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from testbed.core.errors import InvalidData
from testbed.core.tags import Tag
from testbed.record import cbor

SIGNATURE_SIZE = 64
MOST_FRAME = 186
"""Bytes of a frame: with its signature 125 registers, the most of one Modbus request (V1.1b3, section 6.4)."""
MOST_IMAGE = 168
"""Bytes of an image that stands in its frame itself."""
DEVICE_SIZE = 8

_VERSION = 1
_DIGEST_SIZE = 32
_NAMESPACE = b"attestbed/device-frame/v1\n"
_HEAD = struct.Struct(">BB")
_TAIL = struct.Struct(f">II{DEVICE_SIZE}s")
_COUNTERS = struct.Struct(">II")


class Form(IntEnum):
    """How a frame shows its image."""

    WHOLE = 0
    DIGEST = 1


@dataclass(frozen=True, slots=True)
class DeviceFrame:
    """image: as it stands in the frame, with its filling; scan, boot: uint32; device: 8 bytes."""

    form: Form
    image: bytes
    scan: int
    boot: int
    device: bytes

    def shows(self, image: bytes) -> bool:
        """Whether this is the frame of an image, given without filling."""
        return (self.form, self.image) == _shown(image)


def encode_frame(image: bytes, scan: int, boot: int, device: bytes) -> bytes:
    """A frame of an image, which is packed and not yet filled; raises InvalidData for a number or id that cannot be."""
    if len(device) != DEVICE_SIZE:
        raise InvalidData(f"device frame: an id of {len(device)} bytes, not {DEVICE_SIZE}")
    form, shown = _shown(image)
    try:
        return _HEAD.pack(_VERSION, form) + shown + _TAIL.pack(scan, boot, device)
    except struct.error as error:
        raise InvalidData(f"device frame: scan {scan}, boot {boot}: {error}") from error


def decode_frame(data: bytes) -> DeviceFrame:
    """The frame; raises InvalidData unless these bytes are one."""
    size = len(data) - _HEAD.size - _TAIL.size
    if size < 0:
        raise InvalidData(f"device frame: {len(data)} bytes")
    version, form = _HEAD.unpack_from(data)
    if version != _VERSION:
        raise InvalidData(f"device frame: version {version}, not {_VERSION}")
    if form not in (Form.WHOLE, Form.DIGEST):
        raise InvalidData(f"device frame: form {form}")
    fits = size == _DIGEST_SIZE if form == Form.DIGEST else size <= MOST_IMAGE and size % 2 == 0
    if not fits:
        raise InvalidData(f"device frame: an image of {size} bytes in form {form}")
    scan, boot, device = _TAIL.unpack_from(data, _HEAD.size + size)
    return DeviceFrame(Form(form), data[_HEAD.size : _HEAD.size + size], scan, boot, device)


def counters_of(frame: bytes) -> tuple[int, int] | None:
    """Boot and scan of a frame, without a look at the rest; None where there is no place for them."""
    if len(frame) < _TAIL.size:
        return None
    scan, boot = _COUNTERS.unpack_from(frame, len(frame) - _TAIL.size)
    return boot, scan


def frame_size(image_size: int) -> int:
    """Bytes of the frame of an image of so many bytes: always even."""
    return _HEAD.size + len(_shown(bytes(image_size))[1]) + _TAIL.size


def frame_message(meaning: bytes, frame: bytes) -> bytes:
    """What a device signs. meaning: `image_meaning` of its tag list, which both sides know and nobody sends."""
    if len(meaning) != _DIGEST_SIZE:
        raise InvalidData(f"device frame: a meaning of {len(meaning)} bytes, not {_DIGEST_SIZE}")
    return _NAMESPACE + meaning + frame


def image_meaning(tags: Sequence[Tag]) -> bytes:
    """SHA-256 of [[name, type, unit] ...]: what the bytes of an image are, wherever a protocol has them."""
    return hashlib.sha256(cbor.encode([[tag.name, tag.type.value, tag.unit] for tag in tags])).digest()


def _shown(image: bytes) -> tuple[Form, bytes]:
    if len(image) > MOST_IMAGE:
        return Form.DIGEST, hashlib.sha256(image).digest()
    return Form.WHOLE, image + bytes(len(image) % 2)
