"""The emulated PLC as a controller in the same process: no wire, and no time but that of its scans."""

from collections.abc import Sequence
from typing import Protocol

from testbed.core.errors import DeviceError, DeviceRefused, UsageError
from testbed.core.identity import Identity
from testbed.core.tags import Tag, Value
from testbed.fieldbus.poll import Poll
from testbed.fieldbus.registers import encode
from testbed.fieldbus.source import ImageSource, held


class Scanned(Protocol):
    """A PLC in this process, such as an Emulator: its process image, and its next scan."""

    @property
    def image(self) -> ImageSource: ...
    def scan(self) -> None: ...


class LocalController:
    """Stands where a driver stands, before a PLC that it scans itself.

    Each poll sees the current scan, and `scan` brings the next one: time is virtual. `restarted` puts another PLC in
    the place of the one before, as when it is switched off and on: connections end. tags: in the order of the
    polls. scan_tag, boot_tag: names of the counters, None where the tag list has none.
    """

    def __init__(
        self,
        tags: Sequence[Tag],
        plc: Scanned,
        identity: Identity,
        scan_tag: str | None = "plc.scan",
        boot_tag: str | None = "plc.boot",
    ) -> None:
        self._tags = tuple(tags)
        self._identity = identity
        self._scan_tag = scan_tag
        self._boot_tag = boot_tag
        self._open = False
        self._plc = plc

    @property
    def tags(self) -> Sequence[Tag]:
        """The tags, in the byte order of the tag list."""
        return self._tags

    @property
    def repeats(self) -> int:
        """0: no scan ends while a poll is taken."""
        return 0

    def scan(self) -> None:
        """One scan of the PLC. It scans whether somebody is connected or not."""
        self._plc.scan()

    def restarted(self, plc: Scanned) -> None:
        """Go on with another PLC. Raises DeviceError on the next poll, until `connect`."""
        self._plc = plc
        self._open = False

    async def connect(self) -> None:
        """Open the connection; there is always a PLC."""
        self._open = True

    async def identify(self) -> Identity:
        """What the emulated device says of itself."""
        self._must_be_open()
        return self._identity

    async def poll(self) -> Poll:
        """The current scan. Raises DeviceError while not connected."""
        self._must_be_open()
        image = self._plc.image.snapshot()
        boot = 0 if self._boot_tag is None else int(image[self._boot_tag])
        scan = None if self._scan_tag is None else int(image[self._scan_tag])
        return Poll(boot, scan, tuple(encode(tag, image[tag.name]) for tag in self._tags))

    async def write(self, tag: Tag, value: Value) -> None:
        """Hand a value over for the next scan. Raises as `Controller.write`, DeviceError while not connected."""
        self._must_be_open()
        if not tag.writable:
            raise UsageError(f"{tag.name} cannot be written", "write a set-point, a manual value or the mode instead")
        value = held(tag, value)
        try:
            self._plc.image.write(tag.name, value)
        except UsageError as error:
            raise DeviceRefused(error.problem, error.mend) from None

    async def close(self) -> None:
        """Close the connection; closing twice is fine."""
        self._open = False

    def _must_be_open(self) -> None:
        if not self._open:
            raise DeviceError("the emulated PLC in this process: not connected", "connect first")
