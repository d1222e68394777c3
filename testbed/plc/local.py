"""The emulated PLC as a controller in the same process: no wire, and no time but that of its scans."""

from collections.abc import Sequence

from testbed.core.errors import DeviceError
from testbed.core.identity import Identity
from testbed.core.tags import Tag, Value
from testbed.fieldbus.poll import Poll
from testbed.fieldbus.registers import encode
from testbed.plc.emulator import Emulator


class LocalController:
    """Stands where a driver stands, before an emulator that it scans itself.

    Each poll sees the current scan, and `scan` brings the next one: time is virtual. `restarted` puts another emulator
    in the place of the one before, as when the PLC is switched off and on: connections end. tags: in the order of the
    polls. scan_tag, boot_tag: names of the counters, None where the tag list has none.
    """

    def __init__(
        self,
        tags: Sequence[Tag],
        emulator: Emulator,
        identity: Identity,
        scan_tag: str | None = "plc.scan",
        boot_tag: str | None = "plc.boot",
    ) -> None:
        self._tags = tuple(tags)
        self._identity = identity
        self._scan_tag = scan_tag
        self._boot_tag = boot_tag
        self._open = False
        self.emulator = emulator

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
        self.emulator.scan()

    def restarted(self, emulator: Emulator) -> None:
        """Go on with another emulator. Raises DeviceError on the next poll, until `connect`."""
        self.emulator = emulator
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
        image = self.emulator.image.snapshot()
        boot = 0 if self._boot_tag is None else int(image[self._boot_tag])
        scan = None if self._scan_tag is None else int(image[self._scan_tag])
        return Poll(boot, scan, tuple(encode(tag, image[tag.name]) for tag in self._tags))

    async def write(self, tag: Tag, value: Value) -> None:
        """Hand a value over for the next scan. UsageError for what the tag cannot hold, DeviceError as `poll`."""
        self._must_be_open()
        self.emulator.image.write(tag.name, value)

    async def close(self) -> None:
        """Close the connection; closing twice is fine."""
        self._open = False

    def _must_be_open(self) -> None:
        if not self._open:
            raise DeviceError("the emulated PLC in this process: not connected", "connect first")
