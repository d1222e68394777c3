"""Modbus/TCP framing: the MBAP header before each PDU (Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3)."""

import struct
from typing import NamedTuple

from testbed.core.errors import InvalidData

HEADER = struct.Struct(">HHHB")
"""Transaction identifier, protocol identifier (0 is Modbus), length of what follows it, unit identifier."""
LEAST_LENGTH = 2
"""Unit identifier and function code."""
MOST_LENGTH = 254
"""Unit identifier and the longest PDU, 253 bytes (Modbus Application Protocol V1.1b3, section 4.1)."""
_BEFORE_UNIT = HEADER.size - 1
_ROOM = 2048
"""Bytes taken at once: several of the longest frames, and few enough that no client keeps the others waiting."""


class Frame(NamedTuple):
    """One request or answer."""

    transaction: int
    protocol: int
    unit: int
    pdu: bytes


class FrameBuffer:
    """Bytes as they come from a connection, and the whole frames among them; it never holds more than `_ROOM` bytes.

    Fill what `room` gives, say with `add` how much it was, then take frames until there is none: then there is room.
    """

    def __init__(self) -> None:
        self._data = bytearray(_ROOM)
        self._view = memoryview(self._data)
        self._start = 0
        self._end = 0

    def room(self) -> memoryview:
        """Where the next bytes go; at least one, once all whole frames are taken."""
        if self._start:
            rest = self._end - self._start
            self._view[:rest] = bytes(self._view[self._start : self._end])
            self._start, self._end = 0, rest
        return self._view[self._end :]

    def add(self, count: int) -> None:
        """`count` bytes were put into the room."""
        self._end += count

    @property
    def held(self) -> int:
        """Bytes that have come and are not taken yet."""
        return self._end - self._start

    def quiet(self) -> Frame | None:
        """Nothing has come for a while: here that means nothing."""
        return None

    def take(self) -> Frame | None:
        """The next whole frame, of any protocol; None when more bytes are needed.

        Raises InvalidData for a length that no frame has: where the next frame begins cannot be known any more.
        """
        start = self._start
        if self._end - start < HEADER.size:
            return None
        transaction, protocol, length, unit = HEADER.unpack_from(self._data, start)
        if not LEAST_LENGTH <= length <= MOST_LENGTH:
            raise InvalidData(f"MBAP length {length}, a frame has from {LEAST_LENGTH} to {MOST_LENGTH}")
        end = start + _BEFORE_UNIT + length
        if end > self._end:
            return None
        self._start = end
        return Frame(transaction, protocol, unit, bytes(self._view[start + HEADER.size : end]))


def encode_frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    """A frame of protocol 0. Raises InvalidData for a PDU that is empty or too long."""
    if not LEAST_LENGTH <= len(pdu) + 1 <= MOST_LENGTH:
        raise InvalidData(f"a PDU of {len(pdu)} bytes, it has from 1 to {MOST_LENGTH - 1}")
    return HEADER.pack(transaction, 0, len(pdu) + 1, unit) + pdu
