"""A Modbus/TCP server in front of a process image.

Each request is answered from one snapshot, so registers of one answer never mix two scans. A write must cover whole
tags; it takes effect in the PLC's next scan, and reads show it from then on. Addresses without a tag that lie between
tags read as 0 and cannot be written. Function codes 1-6, 15 and 16; 22 and 23 are refused, since reading and writing
in one request has no meaning where writes wait for a scan.

Exceptions (Modbus Application Protocol V1.1b3, section 7): 01 function not supported; 02 no tag there, read-only, or
a part of a tag; 03 value out of range; 04 the PLC does not take writes; 0B another unit.

Known defects of pymodbus 3.16's connection handling, which stands below this module: of several requests in one TCP
segment only the first is answered, and of several that follow at once one may be answered twice and another never (a
client that waits for each answer is served well); an unknown function or a quantity beyond its limit is answered by
function byte 0x80; a coil value other than FF00 and 0000 counts as on; a frame with a wrong protocol identifier makes
the connection deaf; coils are checked in groups of 16, so the rest of a group reads as off instead of 02.
"""

import asyncio
from collections.abc import Sequence
from typing import cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType as SimType
from pymodbus.simulator import SimData, SimDevice

from testbed.core.errors import DeviceError, UsageError
from testbed.core.tags import ModbusTable, Tag, Value
from testbed.fieldbus.layout import tables, width
from testbed.fieldbus.registers import bytes_of, decode, encode, registers_of
from testbed.fieldbus.source import ImageSource, held

_TABLES = {
    1: ModbusTable.COIL,
    2: ModbusTable.DISCRETE_INPUT,
    3: ModbusTable.HOLDING_REGISTER,
    4: ModbusTable.INPUT_REGISTER,
    5: ModbusTable.COIL,
    6: ModbusTable.HOLDING_REGISTER,
    15: ModbusTable.COIL,
    16: ModbusTable.HOLDING_REGISTER,
}
_SINGLE_WRITES = (5, 6)


class ModbusServer:
    """Serves `tags` of `source` as unit `unit` (1..255). Port 0 lets the system choose; `port` says which.

    Raises UsageError where tags do not fit the tables, and on `start` where nobody can listen there.
    """

    def __init__(
        self, tags: Sequence[Tag], source: ImageSource, host: str = "127.0.0.1", port: int = 0, unit: int = 1
    ) -> None:
        if not 1 <= unit <= 255:
            raise UsageError(f"Modbus unit {unit}", "give a unit from 1 to 255")
        self._tables = tables(tags)
        self._source = source
        self._host = host
        self._port = port
        self._unit = unit
        self._server: ModbusTcpServer | None = None

    @property
    def port(self) -> int:
        """The TCP port; once started, the real one."""
        return self._port

    async def start(self) -> None:
        """Listen, and return."""
        memory = (
            _bits(self._tables[ModbusTable.COIL]),
            _bits(self._tables[ModbusTable.DISCRETE_INPUT]),
            _registers(self._tables[ModbusTable.HOLDING_REGISTER]),
            _registers(self._tables[ModbusTable.INPUT_REGISTER]),
        )
        devices = [
            SimDevice(self._unit, memory, action=self._answer),
            # Device 0 stands for every unit that is not named; without it they would be answered by exception 04.
            SimDevice(0, memory, action=_no_such_unit),
        ]
        server = ModbusTcpServer(devices, address=(self._host, self._port))
        try:
            await server.serve_forever(background=True)
        except RuntimeError as error:
            raise UsageError(
                f"cannot listen on {self._host}:{self._port}", "choose a free port, or end what holds this one"
            ) from error
        self._server = server
        # pymodbus declares it a transport, but what listens is an asyncio.Server.
        self._port = cast("asyncio.Server", server.transport).sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close all connections and stop listening."""
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call]  # not typed in pymodbus
            self._server = None

    async def _answer(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        written: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Called by pymodbus for each request: `registers` is the table's memory from `start` on, in registers."""
        table = _TABLES.get(function)
        if table is None:
            return ExcCodes.ILLEGAL_FUNCTION
        if not self._tables[table]:
            return ExcCodes.ILLEGAL_ADDRESS
        if written is not None:
            return self._write(table, address, written)
        # A second call of functions 5 and 6 asks for their echo: the written value, which memory holds already.
        if function not in _SINGLE_WRITES:
            self._fill(table, start, address, count, registers)
        return None

    def _fill(self, table: ModbusTable, start: int, address: int, count: int, registers: list[int]) -> None:
        """Bring `count` registers from `address` up to the snapshot; of a bit table, from the bit `address` on."""
        snapshot = self._source.snapshot()
        if table.is_bit:
            first = address // 16
            for index in range(first, first + count):
                registers[index - start] = 0
            for tag in self._tables[table]:
                word, bit = divmod(tag.modbus.address, 16)
                if first <= word < first + count and snapshot[tag.name]:
                    registers[word - start] |= 1 << bit
            return
        for tag in self._tables[table]:
            begin, size = tag.modbus.address, width(tag)
            if begin < address + count and address < begin + size:
                offset = begin - start
                registers[offset : offset + size] = registers_of(encode(tag, snapshot[tag.name]))

    def _write(self, table: ModbusTable, address: int, written: list[int] | list[bool]) -> ExcCodes | None:
        end = address + len(written)
        values: dict[str, Value] = {}
        covered = 0
        for tag in self._tables[table]:
            begin, stop = tag.modbus.address, tag.modbus.address + width(tag)
            if stop <= address or begin >= end:
                continue
            if begin < address or stop > end or not tag.writable:
                return ExcCodes.ILLEGAL_ADDRESS
            part = written[begin - address : stop - address]
            covered += stop - begin
            try:
                values[tag.name] = held(tag, bool(part[0]) if table.is_bit else decode(tag, bytes_of(part)))
            except UsageError:
                return ExcCodes.ILLEGAL_VALUE
        if covered != len(written):
            return ExcCodes.ILLEGAL_ADDRESS
        try:
            self._source.write_all(values)
        except UsageError:
            return ExcCodes.ILLEGAL_VALUE
        except DeviceError:
            return ExcCodes.DEVICE_FAILURE
        return None


async def _no_such_unit(*_request: object) -> ExcCodes:
    return ExcCodes.GATEWAY_NO_RESPONSE


def _registers(tags: tuple[Tag, ...]) -> list[SimData]:
    """Memory from the first to the last tag. pymodbus wants some in every table, also in one without tags."""
    first = tags[0].modbus.address if tags else 0
    end = tags[-1].modbus.address + width(tags[-1]) if tags else 1
    return [SimData(first, values=[0] * (end - first), datatype=SimType.REGISTERS)]


def _bits(tags: tuple[Tag, ...]) -> list[SimData]:
    """As `_registers`, in whole groups of 16."""
    first = tags[0].modbus.address // 16 if tags else 0
    end = tags[-1].modbus.address // 16 + 1 if tags else 1
    return [SimData(first * 16, values=[False] * (16 * (end - first)), datatype=SimType.BITS)]
