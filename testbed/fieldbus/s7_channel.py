"""A connection to an S7 controller: one request at a time, each answered within a time or the connection is closed.

python-snap7's asynchronous client opens it (ISO on TCP, RFC 1006, and the length of a PDU) and carries the frames.
"""

import asyncio
import contextlib

from snap7.async_client import AsyncClient, AsyncISOTCPConnection
from snap7.error import S7ConnectionError, S7Error, S7ProtocolError
from snap7.s7protocol import S7Protocol

from testbed.core.errors import DeviceError, InvalidData
from testbed.core.identity import Identity
from testbed.fieldbus.s7_wire import must_answer, with_reference

_LONGEST_PDU = 960
"""What an S7-1500 agrees to; smaller controllers name less."""
_SHORTEST_PDU = 64
_BROKEN = (S7Error, OSError, RuntimeError, ValueError)
"""What the library raises where no good answer came, and InvalidData."""
_UNKNOWN = (S7ProtocolError, RuntimeError, ValueError)
"""What it raises for a question that a controller does not know, or answers with what cannot be read."""
_PG = 1
"""Kind of connection, as a programming device has it: the first byte of the address that is called."""


class _Connection(AsyncISOTCPConnection):
    """The library's, but that nothing is timed here: the channel times a whole exchange, at a third of the cost."""

    async def _recv_exact(self, size: int) -> bytes:
        if self._reader is None:
            raise S7ConnectionError("not connected")
        try:
            return await self._reader.readexactly(size)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise S7ConnectionError("the connection was closed") from error


class Channel:
    """Closed until `open`, and again after the first request that was not answered well.

    timeout: s for each answer, and for connecting; pause: s between an answer and the next request.
    """

    def __init__(self, host: str, port: int, rack: int, slot: int, timeout: float, pause: float) -> None:
        self._host = host
        self._port = port
        self._rack = rack
        self._slot = slot
        self._timeout = timeout
        self._pause = pause
        self._opened: tuple[AsyncClient, _Connection, int] | None = None
        self._one = asyncio.Lock()
        self._reference = 0

    @property
    def where(self) -> str:
        """Host and port."""
        return f"{self._host}:{self._port}"

    @property
    def pdu(self) -> int:
        """Bytes of the longest request or answer."""
        return self._connected()[2]

    async def open(self) -> None:
        """Connect. Raises DeviceError."""
        await self.close()
        client = AsyncClient()
        client.connection = connection = _Connection(
            self._host, self._port, remote_tsap=_PG << 8 | self._rack << 5 | self._slot
        )
        try:
            async with asyncio.timeout(self._timeout):
                await connection.connect(self._timeout)
                pdu = await _agreed(connection)
        except BaseException as error:
            await self._leave(client)
            if isinstance(error, (*_BROKEN, TimeoutError)):
                raise DeviceError(
                    f"{self.where}: no connection: {self._what(error)}",
                    "start the controller, or correct host, port, rack and slot (an S7-1200 or S7-1500 has rack 0,"
                    " slot 1, an S7-300 slot 2)",
                ) from error
            raise
        client.connected = True
        self._opened = client, connection, pdu

    async def ask(self, request: bytes, function: int, count: int) -> bytes:
        """The answer to a request, whose reference is set here.

        Raises Refused for an answer that is an error. Raises DeviceError where no good one came; then it is closed.
        """
        async with self._one:
            _, connection, _ = self._connected()
            self._reference = self._reference % 0xFFFF + 1
            if self._pause:
                await asyncio.sleep(self._pause)
            try:
                async with asyncio.timeout(self._timeout):
                    await connection.send_data(with_reference(request, self._reference))
                    answer = await connection.receive_data()
                must_answer(answer, self._reference, function, count)
            except (*_BROKEN, TimeoutError, asyncio.CancelledError) as error:
                # An answer that comes late must not be taken for the next one.
                await self.close()
                if isinstance(error, asyncio.CancelledError):
                    raise
                raise self.fault(self._what(error)) from error
            return answer

    async def identify(self) -> Identity:
        """What the controller's system status list says of it (SZL 0011 and 001C); "" for what it does not say."""
        async with self._one:
            client, _, _ = self._connected()
            product = firmware = vendor = serial = name = ""
            try:
                async with asyncio.timeout(self._timeout):
                    with contextlib.suppress(*_UNKNOWN):
                        order = await client.get_order_code()
                        product = _text(order.OrderCode)
                        if order.V1 or order.V2 or order.V3:
                            firmware = f"V{order.V1}.{order.V2}.{order.V3}"
                    with contextlib.suppress(*_UNKNOWN):
                        info = await client.get_cpu_info()
                        vendor, serial = _text(info.Copyright), _text(info.SerialNumber)
                        name = _text(info.ModuleTypeName) or _text(info.ModuleName)
            except (*_BROKEN, TimeoutError, asyncio.CancelledError) as error:
                await self.close()
                if isinstance(error, asyncio.CancelledError):
                    raise
                raise self.fault(self._what(error)) from error
            return Identity(vendor, " ".join(part for part in (name, product) if part), firmware, serial)

    async def close(self) -> None:
        """Close the connection, within the timeout; closing twice is fine."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await self._leave(opened[0])

    def fault(self, what: str) -> DeviceError:
        """An error that says where it happened."""
        return DeviceError(f"{self.where}: {what}", "check that this is an S7 controller, and that it runs")

    async def _leave(self, client: AsyncClient) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timeout):
                await client.disconnect()

    def _connected(self) -> tuple[AsyncClient, _Connection, int]:
        if self._opened is None:
            raise DeviceError(f"{self.where}: not connected", "connect first, or start the controller again")
        return self._opened

    def _what(self, error: BaseException) -> str:
        if isinstance(error, InvalidData):
            return str(error)
        if isinstance(error, TimeoutError):
            return f"no answer within {self._timeout:g} s"
        return str(error) or type(error).__name__


async def _agreed(connection: AsyncISOTCPConnection) -> int:
    """The length of a PDU, as the controller names it. Raises S7ProtocolError where it names none that may be."""
    protocol = S7Protocol()
    await connection.send_data(protocol.build_setup_communication_request(pdu_length=_LONGEST_PDU))
    said = protocol.parse_response(await connection.receive_data())["parameters"] or {}
    pdu = int(said.get("pdu_length", 0))
    if not _SHORTEST_PDU <= pdu <= _LONGEST_PDU:
        raise S7ProtocolError(f"it wants requests of {pdu} bytes")
    return pdu


def _text(field: bytes) -> str:
    return "".join(letter for letter in field.decode("latin-1") if letter.isprintable()).strip()
