"""One open way to Modbus devices: a request, its answer, and then the next one.

pymodbus makes and reads the frames. What it leaves open is settled here: a lost connection ends the request that waits
at once, bytes that are no answer end it as well, and why a connection could not be opened or was lost is kept.
"""

import asyncio
import ssl
import struct

from pymodbus.exceptions import ConnectionException, ModbusException, ModbusIOException
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.transaction import TransactionManager
from pymodbus.transport import CommType

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
_MEND_TAGS = "compare unit, table, address and type of the tags with the PLC's"


class NoAnswer(DeviceError):
    """Nothing came in time, or the connection is gone, or what came is no answer: a unit, or the whole way, is down."""


class Refused(DeviceRefused):
    """An exception response. code: as EXCEPTIONS has them."""

    def __init__(self, problem: str, mend: str, code: int) -> None:
        super().__init__(problem, mend)
        self.code = code


class _Transactions(TransactionManager):
    """pymodbus's transactions. wrong: why the connection was lost or did not come about; answered: whether any did."""

    wrong: BaseException | None = None
    answered = False
    made: "asyncio.Future[None] | None" = None

    async def connect(self) -> bool:
        """As pymodbus's, but the reason of a failure is kept."""
        self.is_closing = False
        self.made = asyncio.get_running_loop().create_future()
        try:
            self.transport, _ = await asyncio.wait_for(self.call_create(), self.comm_params.timeout_connect)
            await self.made  # a serial port is there before it is read
        except (TimeoutError, OSError) as error:
            self.wrong = error
            return False
        return True

    def callback_connected(self) -> None:
        super().callback_connected()
        if self.made is not None and not self.made.done():
            self.made.set_result(None)

    def callback_disconnected(self, exc: Exception | None) -> None:
        super().callback_disconnected(exc)
        self.wrong = exc
        self._fail(ConnectionException("the connection is gone"))

    def callback_data(self, data: bytes, addr: tuple[str, int] | None = None) -> int:
        try:
            used = super().callback_data(data, addr)
        except (ModbusException, ValueError, LookupError, struct.error) as error:
            self._fail(ModbusIOException(f"no answer can be made of what came: {error}"))
            return len(data)
        self.answered = self.answered or self.last_pdu is not None
        return used

    def _fail(self, error: ModbusException) -> None:
        if not self.response_future.done():
            self.response_future.set_exception(error)
            self.response_future.exception()  # nobody may be waiting for it


class Link:
    """One connection or serial line. pause: s between an answer and the next request, on top of the line's silence.

    Nothing is opened again by itself.
    """

    def __init__(self, transport: Transport, timeout: float, pause: float) -> None:
        self._transport = transport
        self._timeout = timeout
        self._pause = pause + transport.silence
        self._busy = asyncio.Lock()
        self._free_at = 0.0
        self._open: _Transactions | None = None

    @property
    def connected(self) -> bool:
        """Whether it was opened, and nobody has closed it."""
        return self._open is not None and self._open.is_active()

    async def open(self, patience: float | None = None) -> None:
        """Open it; an open one is closed first. patience: s, less than the timeout. Raises DeviceError, UsageError."""
        self.close()
        params = self._transport.params(self._timeout if patience is None else min(patience, self._timeout))
        made = _Transactions(params, self._transport.framer(DecodePDU(False)), 0, False, None, None, None)
        for answer in ANSWERS:
            made.framer.decoder.register(answer)
        try:
            opened = await made.connect()
        except BaseException:
            made.close()
            raise
        if not opened:
            made.close()
            raise NoAnswer(f"{self._transport}: no connection: {_reason(made)}", _mend(made))
        made.max_until_disconnect = made.count_until_disconnect = 1 << 60  # who is closed is decided here
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
            made.comm_params.timeout_connect = waits + self._transport.byte_s * (size + _OVERHEAD)
            try:
                answer = await made.execute(False, request)
            except ModbusException as error:
                raise self._silent(made, where, waits, error) from error
            except asyncio.CancelledError:
                self.close()  # its answer may still come, and must not be taken for another one
                raise
            finally:
                self._free_at = loop.time() + self._pause
        return self._answer(made, request, answer, where)

    def _answer(self, made: _Transactions, request: ModbusPDU, answer: ModbusPDU, where: str) -> ModbusPDU:
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

    def _connected(self) -> _Transactions:
        if self._open is None or not self._open.is_active():
            why = "" if self._open is None else f": {_reason(self._open)}"
            raise NoAnswer(f"{self._transport}: not connected{why}", "connect first, or start the PLC again")
        return self._open

    def _silent(self, made: _Transactions, where: str, waits: float, error: ModbusException) -> NoAnswer:
        if not made.is_active():
            return NoAnswer(f"{self._transport}: {where}: {_reason(made)}", _mend(made))
        how = "" if "No response" in str(error) else f" ({error})"
        return NoAnswer(
            f"{self._transport}: {where}: no answer within {waits:g} s{how}",
            "check that the PLC runs and that unit and port are right",
        )


def _reason(made: _Transactions) -> str:
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


def _mend(made: _Transactions) -> str:
    if made.comm_params.comm_type == CommType.TLS and not isinstance(made.wrong, TimeoutError | ConnectionRefusedError):
        return "let each side trust the other's certificate, and look at their dates and names"
    if made.comm_params.comm_type == CommType.SERIAL:
        return "check the device's name, that nobody else holds it, and that you may open it"
    return "start the PLC, or correct host and port"
