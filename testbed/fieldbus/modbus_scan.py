"""The wire of a Modbus scan: asks one question after the other, with a pause between them, and never writes."""

import asyncio
import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerType
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.mei_message import ReadDeviceInformationRequest, ReadDeviceInformationResponse

from testbed.core.errors import DeviceError
from testbed.core.identity import Identity
from testbed.fieldbus.modbus_answers import ANSWERS, REQUESTS, RawRead
from testbed.fieldbus.modbus_ranges import Answer, Ask
from testbed.fieldbus.modbus_survey import Question

_BUSY = (5, 6)
"""Acknowledge and server device busy: ask again (Modbus Application Protocol V1.1b3, section 7)."""
_BUSY_ATTEMPTS = 5
_BUSY_PAUSE_S = 0.2
_BASIC, _REGULAR = 1, 2
_MORE = 0xFF
_MOST_OBJECTS = 16
"""Parts in which an identity may come: one that never ends is no identity."""

Result = TypeVar("Result")

# A silence is an answer here; without a handler of its own this library would print it to standard error.
logging.getLogger("pymodbus").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class Line:
    """Where the device is. protocol: modbus-tcp, modbus-rtu-tcp or modbus-rtu; host, port for the first two; device,
    baud, parity (N, E, O), stop_bits for the last; timeout: s for an answer; pause: s between two requests.
    """

    protocol: str
    host: str = ""
    port: int = 502
    device: str = ""
    baud: int = 19200
    parity: str = "E"
    stop_bits: int = 1
    timeout: float = 1.0
    pause: float = 0.01

    @property
    def place(self) -> str:
        """For a person."""
        return self.device if self.protocol == "modbus-rtu" else f"{self.host}:{self.port}"


class Wire:
    """A connection that asks. After a silence it is opened anew: a late answer is not taken for the next one."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._client: AsyncModbusTcpClient | AsyncModbusSerialClient | None = None

    async def open(self) -> AsyncModbusTcpClient | AsyncModbusSerialClient:
        """Open the connection; an open one is closed first.

        Raises DeviceError where nobody listens, or the serial device cannot be opened.
        """
        self.close()
        client = self._made()
        if not await client.connect():
            client.close()
            raise DeviceError(f"{self._line.place}: no connection", "start the device, or correct where it is")
        for answer in ANSWERS:
            client.register(answer)
        self._client = client
        return client

    def close(self) -> None:
        """Closing twice is fine."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def read(self, unit: int, ask: Ask) -> Answer:
        """What came of a read. Raises DeviceError where the connection is lost and cannot be made again."""
        request = REQUESTS[ask.table](address=ask.address, count=ask.count, dev_id=unit)
        answer = await self._ask(request)
        if answer is None:
            return Answer(None)
        if answer.isError():
            return Answer(None, answer.exception_code)
        if not isinstance(answer, RawRead) or (values := _values(ask, answer.raw)) is None:
            return Answer(None)
        return Answer(values)

    async def identify(self, unit: int) -> Identity:
        """What the unit says of itself, by 43/14; empty where it does not serve it. Raises DeviceError as `read`."""
        for code in (_REGULAR, _BASIC):
            if texts := await self._objects(unit, code):
                product = texts.get(4) or texts.get(5) or texts.get(1, "")
                return Identity(texts.get(0, ""), product, texts.get(2, ""))
        return Identity()

    async def _objects(self, unit: int, code: int) -> dict[int, str]:
        texts: dict[int, str] = {}
        at = 0
        for _ in range(_MOST_OBJECTS):
            answer = await self._ask(ReadDeviceInformationRequest(code, at, unit))
            if not isinstance(answer, ReadDeviceInformationResponse):
                break
            for number, text in answer.information.items():
                parts = text if isinstance(text, list) else [text]
                texts[number] = b" ".join(parts).decode("ascii", "replace").strip("\0 ")
            if answer.more_follows != _MORE:
                break
            at = answer.next_object_id
        return texts

    async def _ask(self, request: ModbusPDU) -> ModbusPDU | None:
        """The answer, None where none came."""
        for _ in range(_BUSY_ATTEMPTS):
            await asyncio.sleep(self._line.pause)  # the pause is asked for: slow devices need it
            client = self._client if self._client is not None and self._client.connected else await self.open()
            try:
                answer: ModbusPDU = await client.execute(False, request)
            except ModbusException:
                self.close()
                return None
            if not (answer.isError() and answer.exception_code in _BUSY):
                return answer
            await asyncio.sleep(_BUSY_PAUSE_S)
        return answer

    def _made(self) -> AsyncModbusTcpClient | AsyncModbusSerialClient:
        line = self._line
        if line.protocol == "modbus-rtu":
            return AsyncModbusSerialClient(
                line.device,
                baudrate=line.baud,
                parity=line.parity,
                stopbits=line.stop_bits,
                timeout=line.timeout,
                retries=0,
                reconnect_delay=0,
                reconnect_delay_max=0,
            )
        return AsyncModbusTcpClient(
            line.host,
            port=line.port,
            framer=FramerType.RTU if line.protocol == "modbus-rtu-tcp" else FramerType.SOCKET,
            timeout=line.timeout,
            retries=0,
            reconnect_delay=0,
            reconnect_delay_max=0,
        )


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


def _values(ask: Ask, raw: bytes) -> tuple[int, ...] | None:
    """Registers or bits, None where there are more or fewer bytes than were asked for."""
    if len(raw) != ((ask.count + 7) // 8 if ask.table.is_bit else 2 * ask.count):
        return None
    if ask.table.is_bit:
        return tuple(raw[at // 8] >> at % 8 & 1 for at in range(ask.count))
    return tuple(int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2))
