"""One device as its wire sees it: which units it answers to, and how its answers are framed."""

from typing import Protocol

from pymodbus.constants import ExcCodes

from testbed.fieldbus.modbus_access import WRITES
from testbed.fieldbus.modbus_frames import Frame, FrameBuffer, encode_frame
from testbed.fieldbus.modbus_requests import Requests, refusal
from testbed.fieldbus.modbus_rtu import BROADCAST, RtuBuffer, encode_rtu

_DIRECT_UNITS = frozenset((0, 255))
RTU_SILENCE_S = 0.05
"""Silence that ends a frame where a network carries it: none of its parts is kept back for longer in a local one."""


class Station(Protocol):
    """silence: s without a byte after which what has come is judged, 0 where frames say how long they are."""

    @property
    def silence(self) -> float: ...
    def frames(self) -> FrameBuffer:
        """Where the bytes of one connection go."""
        ...

    def answer(self, frame: Frame, may_write: bool) -> bytes | None:
        """The whole frame that answers; b"" where the request is done and nobody answers, None where it is not ours."""
        ...


class TcpStation:
    """A device that is reached directly. For another unit it says 0B (Messaging Guide V1.0b, section 4.4.2)."""

    silence = 0.0

    def __init__(self, requests: Requests, unit: int) -> None:
        self._requests = requests
        self._units = _DIRECT_UNITS | {unit}

    def frames(self) -> FrameBuffer:
        return FrameBuffer()

    def answer(self, frame: Frame, may_write: bool) -> bytes | None:
        """As Station has it; a frame of another protocol is passed over (section 4.4)."""
        if frame.protocol != 0:
            return None
        if frame.unit not in self._units:
            pdu = refusal(frame.pdu[0], ExcCodes.GATEWAY_NO_RESPONSE)
        else:
            pdu = _answer(self._requests, frame.pdu, may_write)
        return encode_frame(frame.transaction, frame.unit, pdu)


class RtuStation:
    """A device on a line with others. silence: s that ends a frame."""

    def __init__(self, requests: Requests, unit: int, silence: float = RTU_SILENCE_S) -> None:
        self._requests = requests
        self._unit = unit
        self._silence = silence

    @property
    def silence(self) -> float:
        return self._silence

    def frames(self) -> FrameBuffer:
        return RtuBuffer()

    def answer(self, frame: Frame, may_write: bool) -> bytes | None:
        if frame.unit not in (self._unit, BROADCAST):
            return None
        pdu = _answer(self._requests, frame.pdu, may_write)
        return b"" if frame.unit == BROADCAST else encode_rtu(frame.unit, pdu)


def _answer(requests: Requests, pdu: bytes, may_write: bool) -> bytes:
    if not may_write and pdu[0] in WRITES:
        return refusal(pdu[0], ExcCodes.ILLEGAL_FUNCTION)
    return requests.answer(pdu)
