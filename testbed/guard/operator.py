"""An operator's commands: logged before they are sent, sent once, read back, and the outcome logged as well."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Protocol

from testbed.core.bodies import CONFIRMED, INTENDED, REFUSED, UNCONFIRMED, Body, Command
from testbed.core.errors import DeviceError, DeviceRefused, UsageError
from testbed.core.failpoints import AFTER, BEFORE, reached
from testbed.core.tags import DataType, Tag, Value
from testbed.fieldbus.registers import encode
from testbed.fieldbus.source import held
from testbed.record.commands import command_text

LOOKS = 20
"""How often a command is looked for in the PLC before nobody knows what became of it."""


class Poll(Protocol):
    """One reading of the PLC: raw values by tag."""

    @property
    def values(self) -> tuple[bytes | None, ...]: ...


class Device(Protocol):
    """A PLC that can be written to and read."""

    async def connect(self) -> None: ...
    async def write(self, tag: Tag, value: Value) -> None: ...
    async def poll(self) -> Poll: ...
    async def close(self) -> None: ...


class Sink(Protocol):
    """The operator's log: when `append` returns, the records are on disk."""

    def append(self, records: Iterable[tuple[str, Body]]) -> object: ...


class Operator:
    """One person at one PLC.

    who: the person, source of the records; tags: of the PLC, in the order of its polls; momentary: names of the tags
    that it takes back by itself, which cannot be read back; pause: waits between two looks.
    """

    def __init__(
        self,
        who: str,
        log: Sink,
        device: Device,
        tags: Sequence[Tag],
        momentary: Collection[str],
        pause: Callable[[], Awaitable[None]],
    ) -> None:
        self._who = who
        self._log = log
        self._device = device
        self._tags = tuple(tags)
        self._momentary = frozenset(momentary)
        self._pause = pause

    async def write(self, name: str, value: Value) -> str:
        """Command one tag; the outcome as it was logged, which begins with CONFIRMED, REFUSED or UNCONFIRMED.

        Raises UsageError for a tag or value that cannot be, and DeviceError where there is no PLC to command: then
        nothing was logged, as nothing was meant to happen. StoreError: it could not be logged, so it was not sent.
        """
        tag = self._tag(name)
        wanted = encode(tag, held(tag, value))
        await self._device.connect()
        try:
            text = command_text(tag.name, _typed(tag, value))
            self._record(text, INTENDED)
            outcome = await self._carry_out(tag, value, wanted)
            self._record(text, outcome)
        finally:
            await self._device.close()
        return outcome

    async def _carry_out(self, tag: Tag, value: Value, wanted: bytes) -> str:
        try:
            reached("command", BEFORE, tag.name)
            await self._device.write(tag, value)
            reached("command", AFTER, tag.name)
            if tag.name in self._momentary:
                return f"{CONFIRMED}: the PLC took it"
            place = self._tags.index(tag)
            for _ in range(LOOKS):
                if (await self._device.poll()).values[place] == wanted:
                    return f"{CONFIRMED}: read back"
                await self._pause()
        except DeviceRefused as error:
            return f"{REFUSED}: {error.problem}"
        except DeviceError as error:
            return f"{UNCONFIRMED}: {error.problem}"
        return f"{UNCONFIRMED}: it shows another value after {LOOKS} looks"

    def _record(self, text: str, outcome: str) -> None:
        self._log.append([(self._who, Command(self._who, text, None, "", outcome))])

    def _tag(self, name: str) -> Tag:
        tag = next((tag for tag in self._tags if tag.name == name), None)
        writable = ", ".join(tag.name for tag in self._tags if tag.writable)
        if tag is None:
            raise UsageError(f"there is no tag {name!r}", f"these can be written: {writable}")
        if not tag.writable:
            raise UsageError(f"{name} cannot be written", f"these can: {writable}")
        return tag


def _typed(tag: Tag, value: Value) -> Value:
    return float(value) if tag.type in (DataType.FLOAT32, DataType.FLOAT64) else value
