"""A Modbus/TCP client that reads all tags of one scan, and writes single tags."""

from collections.abc import Sequence
from dataclasses import dataclass

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from testbed.core.errors import DeviceError, DeviceRefused, UsageError
from testbed.core.tags import DataType, ModbusTable, Tag, Value
from testbed.fieldbus.layout import Block, plan, width
from testbed.fieldbus.modbus_answers import ANSWERS, REQUESTS, Cut, RawRead, cut, size
from testbed.fieldbus.poll import Poll
from testbed.fieldbus.registers import decode, encode, registers_of
from testbed.fieldbus.source import held

_EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    6: "server device busy",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class _Read:
    """A request, used again and again, and what its answer must be. where: in words; size: bytes of the answer."""

    request: ModbusPDU
    where: str
    size: int
    cut: Cut


def _read(block: Block, unit: int) -> _Read:
    request = REQUESTS[block.table](address=block.address, count=block.count, dev_id=unit)
    where = f"{block.table.value} {block.address}..{block.address + block.count - 1}"
    return _Read(request, where, size(block), cut(block))


class ModbusReader:
    """A connection to one unit. Nothing is retried in the background: after a DeviceError, connect again.

    scan_tag: name of the scan counter; boot_tag: of the restart counter, None where the PLC has none;
    gap: addresses without a tag that may be read along (0 for a PLC that refuses them); timeout: s.
    Raises UsageError for tags that do not fit the tables, or counters that are not among them.
    """

    def __init__(
        self,
        tags: Sequence[Tag],
        host: str,
        port: int,
        unit: int = 1,
        scan_tag: str = "plc.scan",
        boot_tag: str | None = "plc.boot",
        *,
        gap: int = 16,
        timeout: float = 1.0,
    ) -> None:
        self._tags = tuple(tags)
        self._host = host
        self._port = port
        self._unit = unit
        self._timeout = timeout
        self._scan = self._counter(scan_tag)
        self._boot = None if boot_tag is None else self._counter(boot_tag)
        self._scan_at = self._tags.index(self._scan)
        self._boot_at = -1 if self._boot is None else self._tags.index(self._boot)
        counters = [tag for tag in (self._scan, self._boot) if tag is not None]
        # The counter first and again last: what lies between two equal readings belongs to that scan.
        blocks = sorted(plan(self._tags, gap), key=lambda block: self._scan not in block.tags)
        came = [tag for block in blocks for tag in block.tags]
        self._reads = [_read(block, unit) for block in blocks]
        self._order = [came.index(tag) for tag in self._tags]
        again = plan(counters, gap) if len(blocks) > 1 else ()
        self._again = [_read(block, unit) for block in again]
        self._same = [came.index(tag) for block in again for tag in block.tags]
        self._client: AsyncModbusTcpClient | None = None
        self.repeats = 0
        """Polls that were begun again because a scan ended meanwhile."""

    async def connect(self) -> None:
        """Open the connection. Raises DeviceError where nobody listens."""
        await self.close()
        client = AsyncModbusTcpClient(
            self._host, port=self._port, timeout=self._timeout, retries=0, reconnect_delay=0, reconnect_delay_max=0
        )
        if not await client.connect():
            client.close()
            raise DeviceError(f"{self._host}:{self._port}: no connection", "start the PLC, or correct host and port")
        for answer in ANSWERS:
            client.register(answer)
        self._client = client

    async def close(self) -> None:
        """Close the connection; closing twice is fine."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def poll(self) -> Poll:
        """Read every tag, all of one scan. Raises DeviceError; the connection is closed where no answer came."""
        for _ in range(_ATTEMPTS):
            raw: list[bytes] = []
            for read in self._reads:
                raw += await self._ask(read)
            again: list[bytes] = []
            for read in self._again:
                again += await self._ask(read)
            if again == [raw[place] for place in self._same]:
                values = tuple([raw[place] for place in self._order])
                boot = 0 if self._boot is None else int(decode(self._boot, values[self._boot_at]))
                return Poll(boot, int(decode(self._scan, values[self._scan_at])), values)
            self.repeats += 1
        raise DeviceError(
            f"{self._host}:{self._port}: a scan ended within each of {_ATTEMPTS} polls",
            "place the tags closer together so that fewer requests read them, or scan more slowly",
        )

    async def write(self, tag: Tag, value: Value) -> None:
        """Write one tag whole. Raises UsageError for what it cannot hold, DeviceRefused where the PLC refuses."""
        if not (tag.writable and tag.modbus.table.is_writable):
            raise UsageError(f"{tag.name} cannot be written", "write a set-point, a manual value or the mode instead")
        raw = encode(tag, held(tag, value))
        client, address = self._connected(), tag.modbus.address
        if tag.modbus.table is ModbusTable.COIL:
            request, function = client.write_coil(address, raw == b"\x01", device_id=self._unit), 5
        elif width(tag) == 1:
            request, function = client.write_register(address, registers_of(raw)[0], device_id=self._unit), 6
        else:
            request, function = client.write_registers(address, registers_of(raw), device_id=self._unit), 16
        where = f"{tag.modbus.table.value} {address} ({tag.name})"
        try:
            response = await request
        except ModbusException as error:
            raise await self._silent(where, error) from error
        self._must_answer(response, function, where)

    async def _ask(self, read: _Read) -> Sequence[bytes]:
        client = self._connected()
        try:
            answer = await client.execute(False, read.request)
        except ModbusException as error:
            raise await self._silent(read.where, error) from error
        self._must_answer(answer, read.request.function_code, read.where)
        if not isinstance(answer, RawRead) or len(answer.raw) != read.size:
            raise self._fault(read.where, f"{len(getattr(answer, 'raw', b''))} bytes came, not {read.size}")
        return read.cut(answer.raw)

    def _connected(self) -> AsyncModbusTcpClient:
        if self._client is None or not self._client.connected:
            raise DeviceError(f"{self._host}:{self._port}: not connected", "connect first, or start the PLC again")
        return self._client

    def _must_answer(self, response: ModbusPDU, function: int, where: str) -> None:
        if response.isError():
            code = response.exception_code
            refused = self._fault(where, f"exception {code:02X}, {_EXCEPTIONS.get(code, 'unknown')}")
            raise DeviceRefused(refused.problem, refused.mend)
        if response.function_code != function:
            raise self._fault(where, f"function {response.function_code} answered function {function}")

    async def _silent(self, where: str, error: ModbusException) -> DeviceError:
        # An answer that comes late must not be taken for the next one.
        await self.close()
        return DeviceError(
            f"{self._host}:{self._port}: {where}: no answer within {self._timeout:g} s ({type(error).__name__})",
            "check that the PLC runs and that unit and port are right",
        )

    def _fault(self, where: str, what: str) -> DeviceError:
        return DeviceError(
            f"{self._host}:{self._port}, unit {self._unit}: {where}: {what}",
            "compare unit, table, address and type of the tags with the PLC's",
        )

    def _counter(self, name: str) -> Tag:
        for tag in self._tags:
            if tag.name == name and tag.type not in (DataType.BOOL, DataType.FLOAT32, DataType.FLOAT64):
                return tag
        raise UsageError(f"no integer tag {name!r} to count by", "name the PLC's counter among the tags")
