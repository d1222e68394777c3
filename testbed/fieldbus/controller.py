"""The seam between the bench and a PLC: emulated in this process or behind a wire, it is read and written so."""

from collections.abc import Sequence
from typing import Protocol

from testbed.core.identity import Identity
from testbed.core.tags import Tag, Value
from testbed.fieldbus.poll import Poll


class Controller(Protocol):
    """A connection to one PLC. Nothing is retried in the background: after a DeviceError, connect again.

    `tests/fieldbus/test_controllers.py` is what every implementation must do.
    """

    @property
    def tags(self) -> Sequence[Tag]:
        """The tags in the order of a poll's values, in the byte order in which this wire brings them."""
        ...

    @property
    def repeats(self) -> int:
        """Polls that were begun again because a scan ended meanwhile."""
        ...

    async def connect(self) -> None:
        """Open the connection; an open one is closed first. Raises DeviceError where nobody answers."""
        ...

    async def identify(self) -> Identity:
        """What the device says of itself. Raises DeviceError; a device that has no such answer gives empty fields."""
        ...

    async def poll(self) -> Poll:
        """Read the tags, all of one scan where the PLC counts scans.

        A value that alone could not be read is None with its OPC UA StatusCode, and the others are there. Raises
        DeviceError where nothing could be read.
        """
        ...

    async def write(self, tag: Tag, value: Value) -> None:
        """Write one tag whole, in its engineering unit.

        Raises UsageError for what the tag cannot hold, DeviceRefused where the PLC answers that it will not, and
        DeviceError where there was no good answer: then nobody knows whether it took the value.
        """
        ...

    async def close(self) -> None:
        """Close the connection; closing twice is fine."""
        ...


class Around:
    """A controller around another one: it does as that one does, but for what a subclass does otherwise."""

    def __init__(self, inner: Controller) -> None:
        self._inner = inner

    @property
    def tags(self) -> Sequence[Tag]:
        return self._inner.tags

    @property
    def repeats(self) -> int:
        return self._inner.repeats

    async def connect(self) -> None:
        await self._inner.connect()

    async def identify(self) -> Identity:
        return await self._inner.identify()

    async def poll(self) -> Poll:
        return await self._inner.poll()

    async def write(self, tag: Tag, value: Value) -> None:
        await self._inner.write(tag, value)

    async def close(self) -> None:
        await self._inner.close()
