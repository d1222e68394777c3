"""One open way to Modbus devices: a request, its answer, and then the next one.

pymodbus opens the way, and makes and reads the frames. Its clients leave open what is settled here: a lost connection
ends the request that waits at once, bytes that are no answer end it as well, late answers before the right one do it no
harm, and why a connection could not be opened or was lost is kept.
"""

import asyncio
import ssl
import struct
import termios
from typing import cast

from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.transport import CommParams, CommType, ModbusProtocol

from testbed.core.errors import DeviceError, DeviceRefused
from testbed.fieldbus.modbus_answers import ANSWERS
from testbed.fieldbus.modbus_transports import Transport

EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge, it will take long",
    6: "server device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}
"""Exception codes (Modbus Application Protocol V1.1b3, section 7)."""
_OVERHEAD = 16
"""Bytes of a request and of what surrounds the data of its answer, on a serial line."""
_MOST_NUMBER = 0xFFFF
_MOST_HELD = 1024
"""Bytes that wait to become a frame; the longest has 260."""
_MEND_TAGS = "compare unit, table, address and type of the tags with the PLC's"


class NoAnswer(DeviceError):
    """Nothing came in time, or the connection is gone, or what came is no answer: a unit, or the whole way, is down."""


class Refused(DeviceRefused):
    """An exception response. code: as EXCEPTIONS has them."""

    def __init__(self, problem: str, mend: str, code: int) -> None:
        super().__init__(problem, mend)
        self.code = code


class _Broken(Exception):
    """A request has no answer. late: the time for it is over, and nothing else is known to be wrong."""

    def __init__(self, what: str, *, late: bool = False) -> None:
        super().__init__(what)
        self.late = late


class _Wire(ModbusProtocol):
    """pymodbus's connection or serial line, with one request at a time on it.

    framer: of its frames; wrong: why it was lost or did not come about; answered: whether any answer ever came.
    """

    def __init__(self, params: CommParams, framer: FramerSocket | FramerRTU) -> None:
        super().__init__(params, is_server=False)
        self._framer = framer
        self._numbered = isinstance(framer, FramerSocket)
        self._number = 0
        self._unit = 0
        self._came = b""
        self._made = self.loop.create_future()
        self._answer: asyncio.Future[ModbusPDU] = self.loop.create_future()
        self.wrong: BaseException | None = None
        self.answered = False

    async def connect(self) -> bool:
        """As pymodbus's, but the reason of a failure is kept."""
        self.is_closing = False
        try:
            self.transport, _ = await asyncio.wait_for(self.call_create(), self.comm_params.timeout_connect)
            await self._made  # a serial port is there before it is read
        except (TimeoutError, OSError, termios.error) as error:  # the last: a line does not take its settings
            self.wrong = error
            return False
        return True

    async def exchange(self, request: ModbusPDU, waits: float) -> ModbusPDU:
        """The answer to `request`, which gets its number here. waits: s. Raises _Broken."""
        if self._numbered:
            self._number = self._number % _MOST_NUMBER + 1
        else:
            self._came = b""  # nothing says to which request it would belong
        request.transaction_id, self._unit = self._number, request.dev_id
        answer: asyncio.Future[ModbusPDU] = self.loop.create_future()
        self._answer = answer
        timer = self.loop.call_later(waits, self._fail, _Broken(f"no answer within {waits:g} s", late=True))
        cast("asyncio.Transport", self.transport).write(self._framer.buildFrame(request))
        try:
            return await answer
        finally:
            timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Bytes came: frames of other units and with other numbers are passed over, also one that was cut in two."""
        self._came += data
        try:
            used, answer = self._framer.handleFrame(self._came, self._unit, self._number)
        except (ModbusException, ValueError, LookupError, struct.error) as error:
            self._came = b""
            self._fail(_Broken(f"no answer can be made of what came: {error}"))
            return
        self._came = self._came[used:] if len(self._came) - used <= _MOST_HELD else b""
        if answer is not None:
            self.answered = True
            if not self._answer.done():
                self._answer.set_result(answer)

    def callback_new_connection(self) -> ModbusProtocol:
        """Of a server."""
        return self

    def callback_data(self, data: bytes, addr: tuple[str, int] | None = None) -> int:  # noqa: ARG002  # not called here
        """What data_received does."""
        return len(data)

    def callback_connected(self) -> None:
        if not self._made.done():
            self._made.set_result(None)

    def callback_disconnected(self, exc: Exception | None) -> None:
        self.wrong = exc
        self._fail(_Broken("the connection is gone"))

    def _fail(self, error: _Broken) -> None:
        if not self._answer.done():
            self._answer.set_exception(error)
            self._answer.exception()  # nobody may be waiting for it


class Link:
    """One connection or serial line. pause: s between an answer and the next request, on top of the line's silence.

    Nothing is opened again by itself. RTU frames bear no number that says to which request an answer belongs (MODBUS
    over Serial Line V1.02, section 2.5.1): so a unit whose answer did not come in time is asked again only when as much
    time has passed once more. What comes meanwhile is dropped; a unit that is slower than both is beyond any client.
    """

    def __init__(self, transport: Transport, timeout: float, pause: float) -> None:
        self._transport = transport
        self._timeout = timeout
        self._pause = pause + transport.silence
        self._busy = asyncio.Lock()
        self._free_at = 0.0
        self._numbered = issubclass(transport.framer, FramerSocket)
        self._owed_until: dict[int, float] = {}
        """By unit: until when a late answer of it may come."""
        self._open: _Wire | None = None

    @property
    def connected(self) -> bool:
        """Whether it was opened, and nobody has closed it."""
        return self._open is not None and self._open.is_active()

    async def open(self, patience: float | None = None) -> None:
        """Open it; an open one is closed first. patience: s, less than the timeout. Raises DeviceError, UsageError."""
        self.close()
        params = self._transport.params(self._timeout if patience is None else min(patience, self._timeout))
        decoder = DecodePDU(False)
        for answer in ANSWERS:
            decoder.register(answer)
        made = _Wire(params, self._transport.framer(decoder))
        try:
            opened = await made.connect()
        except BaseException:
            made.close()
            raise
        if not opened:
            made.close()
            raise NoAnswer(f"{self._transport}: no connection: {_reason(made)}", _mend(made))
        self._open = made

    def close(self) -> None:
        """Close it; closing twice is fine."""
        if self._open is not None:
            self._open.close()
            self._open = None

    async def ask(self, request: ModbusPDU, where: str, size: int = 0, patience: float | None = None) -> ModbusPDU:
        """The answer to `request`. where: for messages; size: bytes of data in it; patience: s, None for the timeout.

        Raises Refused for an exception response, NoAnswer where nothing good came in time.
        """
        async with self._busy:
            made = self._connected()
            loop = asyncio.get_running_loop()
            if self._pause and (left := self._free_at - loop.time()) > 0:
                await asyncio.sleep(left)
            waits = self._timeout if patience is None else min(patience, self._timeout)
            await self._let_late_come(request.dev_id, where, patience)
            try:
                answer = await made.exchange(request, waits + self._transport.byte_s * (size + _OVERHEAD))
            except _Broken as error:
                if error.late:
                    self._owes(request.dev_id)
                raise self._silent(made, where, waits, error) from error
            except asyncio.CancelledError:
                self._owes(request.dev_id)
                self.close()  # its answer may still come, and must not be taken for another one
                raise
            finally:
                self._free_at = loop.time() + self._pause
        return self._answer(made, request, answer, where)

    def _answer(self, made: _Wire, request: ModbusPDU, answer: ModbusPDU, where: str) -> ModbusPDU:
        place = f"{self._transport}, unit {request.dev_id}: {where}"
        if answer.transaction_id != request.transaction_id:
            raise NoAnswer(f"{place}: the answer bears another transaction's number", _mend(made))
        if answer.isError():
            code = answer.exception_code
            says = f"exception {code:02X}, {EXCEPTIONS.get(code, 'unknown')}"
            raise Refused(f"{place}: {says}", _MEND_TAGS, code)
        if answer.function_code != request.function_code:
            raise NoAnswer(
                f"{place}: function {answer.function_code} answered function {request.function_code}", _MEND_TAGS
            )
        return answer

    def _owes(self, unit: int) -> None:
        if not self._numbered:
            self._owed_until[unit] = asyncio.get_running_loop().time() + self._timeout

    async def _let_late_come(self, unit: int, where: str, patience: float | None) -> None:
        """Wait until no late answer of the unit can be taken for the next one; other units are not kept waiting."""
        left = self._owed_until.pop(unit, 0.0) - asyncio.get_running_loop().time()
        if left <= 0:
            return
        if patience is not None:
            self._owed_until[unit] = asyncio.get_running_loop().time() + left
            raise NoAnswer(
                f"{self._transport}, unit {unit}: {where}: an answer may still come that is too late",
                "check that the PLC runs, and give it more time",
            )
        await asyncio.sleep(left)

    def _connected(self) -> _Wire:
        if self._open is None or not self._open.is_active():
            why = "" if self._open is None else f": {_reason(self._open)}"
            raise NoAnswer(f"{self._transport}: not connected{why}", "connect first, or start the PLC again")
        return self._open

    def _silent(self, made: _Wire, where: str, waits: float, error: _Broken) -> NoAnswer:
        if not made.is_active():
            return NoAnswer(f"{self._transport}: {where}: {_reason(made)}", _mend(made))
        how = "" if error.late else f" ({error})"
        return NoAnswer(
            f"{self._transport}: {where}: no answer within {waits:g} s{how}",
            "check that the PLC runs and that unit and port are right",
        )


def _reason(made: _Wire) -> str:
    """Why a connection is not there."""
    wrong = made.wrong
    if isinstance(wrong, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted here: {wrong.verify_message}"
    if isinstance(wrong, ssl.SSLError) and "ALERT" in (wrong.reason or ""):
        return (
            f"the server refuses our certificate or what TLS we speak: {(wrong.reason or '').lower().replace('_', ' ')}"
        )
    dropped = wrong is None or isinstance(wrong, ConnectionResetError | BrokenPipeError | ssl.SSLError)
    if made.comm_params.comm_type == CommType.TLS and not made.answered and dropped:
        return "the server ended it before any answer: it may have refused our certificate"
    if isinstance(wrong, TimeoutError):
        return "nobody answered in time"
    return str(wrong) if wrong is not None else "the other side ended it"


def _mend(made: _Wire) -> str:
    if made.comm_params.comm_type == CommType.TLS and not isinstance(made.wrong, TimeoutError | ConnectionRefusedError):
        return "let each side trust the other's certificate, and look at their dates and names"
    if made.comm_params.comm_type == CommType.SERIAL:
        return "check the device's name, that nobody else holds it, and that you may open it"
    return "start the PLC, or correct host and port"
