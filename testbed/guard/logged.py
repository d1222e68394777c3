"""A controller whose writes are commands: each is in the operator's log before it is sent, and its outcome after."""

from collections.abc import Callable, Collection

from testbed.core.bodies import CONFIRMED, INTENDED, REFUSED, UNCONFIRMED, Command
from testbed.core.errors import DeviceError, DeviceRefused
from testbed.core.tags import DataType, Tag, Value
from testbed.fieldbus.controller import Around, Controller
from testbed.fieldbus.poll import Poll
from testbed.fieldbus.registers import encode
from testbed.fieldbus.source import held
from testbed.guard.operator import Sink
from testbed.record.commands import command_text


class LoggedController(Around):
    """Any controller, written to by `who`. A write counts as confirmed once a later poll shows its value.

    momentary: tags that the PLC takes back by itself, confirmed when it took them; passes: tags whose writes are no
    commands, such as a watchdog's. `settle` at the end, so that the log says that nobody knows the rest.
    """

    def __init__(
        self,
        inner: Controller,
        who: str,
        log: Sink,
        momentary: Collection[str] = (),
        passes: Callable[[Tag], bool] = lambda _: False,
    ) -> None:
        super().__init__(inner)
        self._who = who
        self._log = log
        self._momentary = frozenset(momentary)
        self._passes = passes
        self._pending: dict[str, tuple[str, bytes]] = {}

    async def poll(self) -> Poll:
        poll = await self._inner.poll()
        if self._pending:
            shown = dict(zip((tag.name for tag in self.tags), poll.values, strict=True))
            for name, (text, wanted) in list(self._pending.items()):
                if shown[name] == wanted:
                    del self._pending[name]
                    self._record(text, f"{CONFIRMED}: read back")
        return poll

    async def write(self, tag: Tag, value: Value) -> None:
        """As `Controller.write`. StoreError: it could not be logged, so it was not sent."""
        if self._passes(tag):
            await self._inner.write(tag, value)
            return
        own = next((own for own in self.tags if own.name == tag.name), tag)
        wanted = encode(own, held(own, value))  # what cannot be is not logged either
        text = command_text(tag.name, _typed(own, value))
        if tag.name in self._pending:
            self._record(self._pending.pop(tag.name)[0], f"{UNCONFIRMED}: not read back before the next one")
        self._record(text, INTENDED)
        try:
            await self._inner.write(tag, value)
        except DeviceRefused as error:
            self._record(text, f"{REFUSED}: {error.problem}")
            raise
        except DeviceError as error:
            self._record(text, f"{UNCONFIRMED}: {error.problem}")
            raise
        if tag.name in self._momentary:
            self._record(text, f"{CONFIRMED}: the PLC took it")
        else:
            self._pending[tag.name] = (text, wanted)

    def settle(self) -> None:
        """Log of each write that was not read back that nobody knows what became of it."""
        for text, _ in self._pending.values():
            self._record(text, f"{UNCONFIRMED}: not read back")
        self._pending.clear()

    def _record(self, text: str, outcome: str) -> None:
        self._log.append([(self._who, Command(self._who, text, None, "", outcome))])


def _typed(tag: Tag, value: Value) -> Value:
    return float(value) if tag.scaled or tag.type in (DataType.FLOAT32, DataType.FLOAT64) else value
