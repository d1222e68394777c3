"""What one reading of a PLC brings, by whatever protocol."""

from dataclasses import dataclass, replace

from testbed.fieldbus.signed_frames import SIGNATURE_SIZE


@dataclass(frozen=True, slots=True)
class Poll:
    """All values of one scan.

    boot: 0 where no tag says it; scan: the scan counter; values: raw bytes by tag, as they came over the wire, None
    where nothing was read; statuses: OPC UA StatusCode by tag, all Good (0) where left out; device_time_ns: UTC,
    None where the protocol does not say it; frame, signature: the device's own signed frame of this scan, as it came,
    None where it does not sign or was not asked for one.
    """

    boot: int
    scan: int | None
    values: tuple[bytes | None, ...]
    statuses: tuple[int, ...] = ()
    device_time_ns: int | None = None
    frame: bytes | None = None
    signature: bytes | None = None

    def __post_init__(self) -> None:
        if not self.statuses:
            object.__setattr__(self, "statuses", (0,) * len(self.values))


def with_frame(poll: Poll, signed: bytes) -> Poll:
    """The poll with the signed frame that came along: signature and frame in one."""
    return replace(poll, frame=signed[SIGNATURE_SIZE:], signature=signed[:SIGNATURE_SIZE])
