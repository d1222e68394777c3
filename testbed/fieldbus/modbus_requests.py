"""Modbus requests to answers: the functions of a server, as pure bytes (Modbus Application Protocol V1.1b3, section 6).

Functions 1-6, 15, 16, 22, 23 and 43/14. A request is judged in the order that the state diagrams of section 6 give:
01 function unknown; 03 a length, quantity, byte count or coil value that cannot be; 02 no tag there, read-only, or a
part of a tag; 03 a value that the tag cannot hold; 04 the PLC cannot take it. A refused request changes nothing.

The short fixed layouts are unpacked here and not by pymodbus, whose classes pass over trailing bytes and the value of
a coil.
"""

import struct
from collections.abc import Callable

from pymodbus.constants import ExcCodes

from testbed.core.tags import ModbusTable
from testbed.fieldbus.layout import MOST_BITS, MOST_REGISTERS
from testbed.fieldbus.modbus_identity import DeviceIdentity
from testbed.fieldbus.modbus_memory import Memory, Refused

MOST_WRITTEN_BITS = 1968
"""Coils in one write (section 6.11)."""
MOST_WRITTEN_REGISTERS = 123
"""Registers in one write (section 6.12)."""
MOST_EXCHANGED_REGISTERS = 121
"""Registers that are written by function 23 (section 6.17)."""

_ERROR = 0x80
_COIL = {b"\xff\x00": b"\x01", b"\x00\x00": b"\x00"}
_DEVICE_IDENTIFICATION = 14
_TWO = struct.Struct(">HH")
_THREE = struct.Struct(">HHH")
_WRITE = struct.Struct(">HHB")
_EXCHANGE = struct.Struct(">HHHHB")


def refusal(function: int, code: ExcCodes) -> bytes:
    """The exception response to a request of that function."""
    return bytes((function | _ERROR, code))


class Requests:
    """Answers requests to one device. `answer` never raises for what a request holds."""

    def __init__(self, memory: Memory, identity: DeviceIdentity) -> None:
        self._memory = memory
        self._identity = identity
        self._functions: dict[int, Callable[[bytes], bytes]] = {
            1: lambda data: self._read_bits(ModbusTable.COIL, data),
            2: lambda data: self._read_bits(ModbusTable.DISCRETE_INPUT, data),
            3: lambda data: self._read_registers(ModbusTable.HOLDING_REGISTER, data),
            4: lambda data: self._read_registers(ModbusTable.INPUT_REGISTER, data),
            5: self._write_coil,
            6: self._write_register,
            15: self._write_coils,
            16: self._write_registers,
            22: self._mask,
            23: self._exchange,
            43: self._identify,
        }

    def answer(self, pdu: bytes) -> bytes:
        """The PDU that answers `pdu`, which is not empty."""
        function = pdu[0]
        perform = self._functions.get(function)
        if perform is None:
            return refusal(function, ExcCodes.ILLEGAL_FUNCTION)
        try:
            return pdu[:1] + perform(pdu[1:])
        except Refused as refused:
            return refusal(function, refused.code)

    def _read_bits(self, table: ModbusTable, data: bytes) -> bytes:
        address, count = _unpacked(_TWO, data)
        _must(1 <= count <= MOST_BITS)
        bits = self._memory.read(table, address, count)
        # The first bit is the lowest of the first byte: the last one is the first digit of the number.
        digits = bits[::-1].translate(_DIGITS)
        packed = int(digits, 2).to_bytes((count + 7) // 8, "little")
        return bytes((len(packed),)) + packed

    def _read_registers(self, table: ModbusTable, data: bytes) -> bytes:
        address, count = _unpacked(_TWO, data)
        _must(1 <= count <= MOST_REGISTERS)
        return bytes((2 * count,)) + self._memory.read(table, address, count)

    def _write_coil(self, data: bytes) -> bytes:
        address, _ = _unpacked(_TWO, data)
        bit = _COIL.get(data[2:])
        if bit is None:
            raise Refused(ExcCodes.ILLEGAL_VALUE)
        self._memory.write(ModbusTable.COIL, address, bit)
        return data

    def _write_register(self, data: bytes) -> bytes:
        address, _ = _unpacked(_TWO, data)
        self._memory.write(ModbusTable.HOLDING_REGISTER, address, data[2:])
        return data

    def _write_coils(self, data: bytes) -> bytes:
        address, count, size = _unpacked(_WRITE, data[: _WRITE.size])
        packed = data[_WRITE.size :]
        _must(1 <= count <= MOST_WRITTEN_BITS and size == (count + 7) // 8 == len(packed))
        bits = bytes(packed[at >> 3] >> (at & 7) & 1 for at in range(count))
        self._memory.write(ModbusTable.COIL, address, bits)
        return data[: _TWO.size]

    def _write_registers(self, data: bytes) -> bytes:
        address, count, size = _unpacked(_WRITE, data[: _WRITE.size])
        raw = data[_WRITE.size :]
        _must(1 <= count <= MOST_WRITTEN_REGISTERS and size == 2 * count == len(raw))
        self._memory.write(ModbusTable.HOLDING_REGISTER, address, raw)
        return data[: _TWO.size]

    def _mask(self, data: bytes) -> bytes:
        address, and_mask, or_mask = _unpacked(_THREE, data)
        self._memory.mask(address, and_mask, or_mask)
        return data

    def _exchange(self, data: bytes) -> bytes:
        read_at, read_count, write_at, write_count, size = _unpacked(_EXCHANGE, data[: _EXCHANGE.size])
        raw = data[_EXCHANGE.size :]
        _must(1 <= read_count <= MOST_REGISTERS and 1 <= write_count <= MOST_EXCHANGED_REGISTERS)
        _must(size == 2 * write_count == len(raw))
        return bytes((2 * read_count,)) + self._memory.exchange(read_at, read_count, write_at, raw)

    def _identify(self, data: bytes) -> bytes:
        # The MEI type is a part of the function: one that is not served is an unknown function (section 6.21).
        if data and data[0] != _DEVICE_IDENTIFICATION:
            raise Refused(ExcCodes.ILLEGAL_FUNCTION)
        _must(len(data) == 3)
        return self._identity.answer(data[1], data[2])


_DIGITS = bytes.maketrans(b"\x00\x01", b"01")


def _unpacked(layout: struct.Struct, data: bytes) -> tuple[int, ...]:
    _must(len(data) == layout.size)
    return layout.unpack(data)


def _must(condition: bool) -> None:
    if not condition:
        raise Refused(ExcCodes.ILLEGAL_VALUE)
