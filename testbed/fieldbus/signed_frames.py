"""Where a PLC that signs shows its signed frames, and what a driver has to know of them.

A signed frame is a signature of 64 bytes and the frame behind it, both of one scan. By Modbus it stands in input
registers from 65000 on, as many as it fills, which one request reads; no tag may stand there. By OPC UA it is one
ByteString, in the node `<plc>.device.frame`. Drivers carry it as it comes. They judge nothing but whose scan it is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from testbed.core.tags import Value

FRAME_AT = 65_000
"""The first input register of a signed frame."""
FRAME_NAME = "device.frame"
"""Of the OPC UA node, behind the name of the PLC."""
SIGNATURE_SIZE = 64


@dataclass(frozen=True, slots=True)
class SignedFrames:
    """The signed frames of one PLC. size: bytes of one, signature included; node: string identifier by OPC UA;

    counters: (boot, scan) that a frame names, without its signature; None for bytes that name none.
    """

    size: int
    node: str
    counters: Callable[[bytes], tuple[int, int] | None]

    def fits(self, frame: bytes | None, boot: int, scan: int | None) -> bool:
        """Whether a frame, without its signature, names these counters; where there is none, nothing is at odds."""
        return frame is None or self.counters(frame) == (boot, scan)


class FrameSource(Protocol):
    """A process image with its signed frame. Safe to call from any thread."""

    def latched(self) -> tuple[Mapping[str, Value], bytes]:
        """The snapshot of a scan, and the signed frame of the same one; b"" where none was signed."""
        ...
