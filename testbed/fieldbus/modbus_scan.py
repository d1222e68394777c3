"""The wire of a Modbus scan: asks one question after the other, with a pause between them, and never writes."""

import asyncio
import logging
from collections.abc import Callable, Generator
from typing import TypeVar

from testbed.core.errors import DeviceError
from testbed.core.identity import Identity
from testbed.fieldbus.modbus_answers import REQUESTS, RawRead
from testbed.fieldbus.modbus_link import Link, NoAnswer, Refused
from testbed.fieldbus.modbus_objects import identity_of
from testbed.fieldbus.modbus_ranges import Answer, Ask
from testbed.fieldbus.modbus_survey import Question
from testbed.fieldbus.modbus_transports import Transport

_BUSY = (5, 6)
"""Acknowledge and server device busy: ask again (Modbus Application Protocol V1.1b3, section 7)."""
_BUSY_ATTEMPTS = 5
_BUSY_PAUSE_S = 0.2

Result = TypeVar("Result")

# A silence is an answer here; without a handler of its own pymodbus would have it printed to standard error.
logging.getLogger("pymodbus").addHandler(logging.NullHandler())


class Wire:
    """A connection that asks. After a silence it is opened anew: a late answer is not taken for the next one.

    timeout: s for an answer; pause: s between two requests.
    """

    def __init__(self, transport: Transport, timeout: float, pause: float) -> None:
        self._link = Link(transport, timeout, pause)

    async def open(self) -> None:
        """Open the connection; an open one is closed first. Raises DeviceError, UsageError."""
        await self._link.open()

    def close(self) -> None:
        """Closing twice is fine."""
        self._link.close()

    async def read(self, unit: int, ask: Ask) -> Answer:
        """What came of a read. Raises DeviceError where the connection is lost and cannot be made again."""
        request = REQUESTS[ask.table](address=ask.address, count=ask.count, dev_id=unit)
        size = (ask.count + 7) // 8 if ask.table.is_bit else 2 * ask.count
        where = f"{ask.table.value} {ask.address}..{ask.address + ask.count - 1}"
        for attempt in range(_BUSY_ATTEMPTS):
            await self._ready()
            try:
                answer = await self._link.ask(request, where, size)
            except Refused as refused:
                if refused.code not in _BUSY or attempt == _BUSY_ATTEMPTS - 1:
                    return Answer(None, refused.code)
                await asyncio.sleep(_BUSY_PAUSE_S)
            except NoAnswer:
                self._link.close()
                break
            else:
                whole = isinstance(answer, RawRead) and len(answer.raw) == size
                return Answer(_values(ask, answer.raw) if isinstance(answer, RawRead) and whole else None)
        return Answer(None)

    async def identify(self, unit: int) -> Identity:
        """What the unit says of itself, by 43/14; empty where it does not serve it. Raises DeviceError as `read`."""
        await self._ready()
        try:
            return await identity_of(self._link, unit)
        except DeviceError:
            self._link.close()
            return Identity()

    async def _ready(self) -> None:
        if not self._link.connected:
            await self._link.open()


async def carry_out(
    questions: Generator[Question, Answer | Identity, Result],
    wire: Wire,
    told: Callable[[Question, int], None] = lambda _question, _asked: None,
) -> Result:
    """Ask one question after the other. told: called before each, with how many went before it."""
    asked = 0
    try:
        question = next(questions)
        while True:
            told(question, asked)
            unit, ask = question.unit, question.ask
            question = questions.send(await (wire.identify(unit) if ask is None else wire.read(unit, ask)))
            asked += 1
    except StopIteration as done:
        result: Result = done.value
        return result


def _values(ask: Ask, raw: bytes) -> tuple[int, ...]:
    """Registers or bits."""
    if ask.table.is_bit:
        return tuple(raw[at // 8] >> at % 8 & 1 for at in range(ask.count))
    return tuple(int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2))
