"""The bridge: a physical PLC as a process image, so that the bench's own servers show it under the same tags."""

from collections.abc import Mapping, Sequence

from testbed.core.errors import DeviceError, DeviceRefused, InvalidData, TornPoll, UsageError
from testbed.core.tags import Tag, Value
from testbed.fieldbus.controller import Controller
from testbed.fieldbus.poll import Poll
from testbed.fieldbus.registers import decode
from testbed.plc.image import ProcessImage

NOT_ASKED = 0x00A50000
"""OPC UA StatusCode GoodNoData (OPC 10000-4, section 7.39.2): the tag's scan class was not due in this poll."""

MOST_TORN = 50
"""Polls in a row that no scan contained, before what is shown is too old to be shown."""
_SEVERITY = 0xC000_0000
"""The bits of a StatusCode that say Uncertain or Bad (OPC 10000-4, section 7.39.1)."""


class Bridge:
    """An image source before a controller: each step hands on what was written, and shows one poll.

    tags: as the servers show them; values are those of the controller's tags of the same names. A tag that could not be
    read is in no snapshot until it is read again. *refused*: writes that the PLC did not take; *lost*: those that
    waited or were on their way when the PLC was lost: nobody knows that it has them, and they are not sent later;
    *torn*: polls in a row that no scan contained. deadband: by tag, in its unit; a change that is not more is not
    shown, and what is logged is what a reader of the PLC itself reads.
    """

    def __init__(
        self, tags: Sequence[Tag], controller: Controller, deadband: Mapping[str, float] | None = None
    ) -> None:
        self._controller = controller
        self._deadband = dict(deadband or {})
        self._image = ProcessImage(tags, {}, whole=False)
        self._connected = False
        self.polls = 0
        self.torn = 0
        self.refused = 0
        self.lost = 0
        self.problem = "the PLC was not asked yet"

    def snapshot(self) -> Mapping[str, Value]:
        """All values of the last poll that could be read."""
        return self._image.snapshot()

    def latest(self, name: str) -> Value:
        """What was last written to the tag, until a poll shows it, else what it shows. KeyError where it is lost."""
        return self._image.latest(name)

    def write(self, name: str, value: Value) -> None:
        """Hand `value` over for the next step. Raises UsageError as ProcessImage does; DeviceError while it is lost."""
        self.write_all({name: value})

    def write_all(self, values: Mapping[str, Value]) -> None:
        """As `write`, for several."""
        if not self._connected:
            raise DeviceError(f"nothing can be written: {self.problem}", "wait until the PLC answers again")
        self._image.write_all(values)

    async def step(self) -> None:
        """Hand on what was written, then poll. Raises DeviceError: every tag is lost then, the next step connects.

        What was written and not handed on by then is dropped: it must not move the machine once that is back. A poll
        that no scan contained leaves what is shown as it is.
        """
        try:
            if not self._connected:
                await self._controller.connect()
                self._connected = True
            await self._hand_on(self._image.take_writes())
            try:
                self._show(await self._controller.poll())
            except TornPoll:
                self.torn += 1
                if self.torn >= MOST_TORN:
                    raise
                return
        except DeviceError as error:
            self.problem = error.problem
            await self.close()
            raise
        self.polls += 1
        self.torn = 0

    async def close(self) -> None:
        """Leave the PLC; every tag is lost."""
        self._connected = False
        self.lost += len(self._image.take_writes())
        self._image.publish({})
        await self._controller.close()

    async def _hand_on(self, writes: Mapping[str, Value]) -> None:
        tags = {tag.name: tag for tag in self._controller.tags}
        for sent, (name, value) in enumerate(writes.items(), 1):
            try:
                await self._controller.write(tags[name], value)
            except (DeviceRefused, UsageError) as error:
                self.refused += 1
                self.problem = error.problem
            except DeviceError:
                self.lost += len(writes) - sent + 1  # what became of this one nobody knows
                raise

    def _show(self, poll: Poll) -> None:
        before = self._image.snapshot()
        shown: dict[str, Value] = {}
        for tag, raw, status in zip(self._controller.tags, poll.values, poll.statuses, strict=True):
            if raw is None and status == NOT_ASKED and tag.name in before:
                shown[tag.name] = before[tag.name]
            elif raw is not None and not status & _SEVERITY:
                try:
                    shown[tag.name] = self._moved(tag.name, decode(tag, raw), before.get(tag.name))
                except InvalidData:
                    continue  # bytes that are no value of this type: the servers say that there is none
        self._image.publish(shown)

    def _moved(self, name: str, value: Value, before: Value | None) -> Value:
        """What to show: what is shown, unless the value has left the deadband around it."""
        band = self._deadband.get(name, 0.0)
        return value if before is None or not abs(value - before) <= band else before
