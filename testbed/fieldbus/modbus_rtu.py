"""Modbus RTU framing as a server reads it (MODBUS over Serial Line V1.02, section 2.5.1).

A request ends by a silence of 3.5 characters. Converters and operating systems pass silences on as they like, so a
request whose function says how long it is counts as whole once its checksum is right; all others wait for the silence.
"""

from pymodbus.framer import FramerRTU

from testbed.fieldbus.modbus_frames import Frame, FrameBuffer

BROADCAST = 0
"""The unit that all devices are: they do what they are told, and none answers (section 2.1)."""
_LEAST = 4
"""Unit, function, checksum."""
_CHECKSUM = 2
_LENGTHS = {1: 8, 2: 8, 3: 8, 4: 8, 5: 8, 6: 8, 22: 10, 43: 7}
"""Bytes of a whole request, by function."""
_COUNTED = {15: (6, 9), 16: (6, 9), 23: (10, 13)}
"""Where the count of bytes stands, and how long a request is without them."""


class RtuBuffer(FrameBuffer):
    """Bytes as they come from a serial line, and the whole requests among them."""

    def room(self) -> memoryview:
        """Where the next bytes go. What fills all of it without a request is thrown away."""
        room = super().room()
        if len(room) == 0:
            self.clear()
            room = super().room()
        return room

    def take(self) -> Frame | None:
        """The next request whose length is known and whose checksum is right; None when there is none yet."""
        start, held = self._start, self._end - self._start
        if held < _LEAST:
            return None
        function = self._data[start + 1]
        length = _LENGTHS.get(function, 0)
        if function in _COUNTED:
            count_at, bare = _COUNTED[function]
            length = bare + self._data[start + count_at] if held > count_at else 0
        if not length or held < length:
            return None
        return self._cut(length)

    def quiet(self) -> Frame | None:
        """The line has been silent: what is there is one request, or nothing that is meant for anybody here."""
        held = self._end - self._start
        frame = self._cut(held) if held >= _LEAST else None
        self.clear()
        return frame

    def clear(self) -> None:
        """Forget what has come."""
        self._start = self._end = 0

    def _cut(self, length: int) -> Frame | None:
        whole = bytes(self._view[self._start : self._start + length])
        body, check = whole[:-_CHECKSUM], int.from_bytes(whole[-_CHECKSUM:], "big")
        if not FramerRTU.check_CRC(body, check):
            return None  # noise, or another device's answer: wait for the silence
        self._start += length
        return Frame(0, 0, body[0], body[1:])


def encode_rtu(unit: int, pdu: bytes) -> bytes:
    """A frame, with its checksum."""
    body = bytes((unit,)) + pdu
    return body + FramerRTU.compute_CRC(body).to_bytes(_CHECKSUM, "big")
