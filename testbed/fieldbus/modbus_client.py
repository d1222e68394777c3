"""A Modbus/TCP client that reads all tags of one scan, and writes single tags."""

from collections.abc import Sequence

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from testbed.core.errors import DeviceError, DeviceRefused, UsageError
from testbed.core.tags import DataType, ModbusTable, Tag, Value
from testbed.fieldbus.layout import Block, plan, width
from testbed.fieldbus.poll import Poll
from testbed.fieldbus.registers import bytes_of, decode, encode, registers_of
from testbed.fieldbus.source import held

_READS = {
    ModbusTable.COIL: 1,
    ModbusTable.DISCRETE_INPUT: 2,
    ModbusTable.HOLDING_REGISTER: 3,
    ModbusTable.INPUT_REGISTER: 4,
}
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
        counters = [tag for tag in (self._scan, self._boot) if tag is not None]
        self._again = plan(counters, gap)
        # The counter first and again last: what lies between two equal readings belongs to that scan.
        self._blocks = tuple(sorted(plan(self._tags, gap), key=lambda block: self._scan not in block.tags))
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
        self._client = client

    async def close(self) -> None:
        """Close the connection; closing twice is fine."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def poll(self) -> Poll:
        """Read every tag, all of one scan. Raises DeviceError; the connection is closed where no answer came."""
        for _ in range(_ATTEMPTS):
            raw: dict[str, bytes] = {}
            for block in self._blocks:
                raw.update(await self._read(block))
            again: dict[str, bytes] = {}
            if len(self._blocks) > 1:
                for block in self._again:
                    again.update(await self._read(block))
            if all(raw[name] == value for name, value in again.items()):
                boot = 0 if self._boot is None else int(decode(self._boot, raw[self._boot.name]))
                scan = int(decode(self._scan, raw[self._scan.name]))
                return Poll(boot, scan, tuple(raw[tag.name] for tag in self._tags))
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

    async def _read(self, block: Block) -> dict[str, bytes]:
        client = self._connected()
        read = {
            ModbusTable.COIL: client.read_coils,
            ModbusTable.DISCRETE_INPUT: client.read_discrete_inputs,
            ModbusTable.HOLDING_REGISTER: client.read_holding_registers,
            ModbusTable.INPUT_REGISTER: client.read_input_registers,
        }[block.table]
        where = f"{block.table.value} {block.address}..{block.address + block.count - 1}"
        try:
            response = await read(block.address, count=block.count, device_id=self._unit)
        except ModbusException as error:
            raise await self._silent(where, error) from error
        self._must_answer(response, _READS[block.table], where)
        if block.table.is_bit:
            # Bits travel in whole bytes: the padding is no value (Modbus Application Protocol V1.1b3, section 6.1).
            if len(response.bits) != (block.count + 7) // 8 * 8:
                raise self._fault(where, f"{len(response.bits)} bits came for {block.count}")
            return {tag.name: bytes([response.bits[tag.modbus.address - block.address]]) for tag in block.tags}
        if len(response.registers) != block.count:
            raise self._fault(where, f"{len(response.registers)} registers came for {block.count}")
        data = bytes_of(response.registers)
        starts = ((tag, 2 * (tag.modbus.address - block.address)) for tag in block.tags)
        return {tag.name: data[start : start + tag.type.size] for tag, start in starts}

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
