"""Answers to Modbus reads whose bytes stay as they came, and the tags' raw values cut out of them.

pymodbus makes an int of every register and a bool of every bit, of which the bytes of a value would have to be made
again; and it writes a text for its log of every answer, read or not.
"""

import struct
from collections.abc import Callable, Sequence

from pymodbus.exceptions import ModbusIOException
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from testbed.core.tags import ModbusTable
from testbed.fieldbus.layout import Block

REQUESTS: dict[ModbusTable, type[ModbusPDU]] = {
    ModbusTable.COIL: ReadCoilsRequest,
    ModbusTable.DISCRETE_INPUT: ReadDiscreteInputsRequest,
    ModbusTable.HOLDING_REGISTER: ReadHoldingRegistersRequest,
    ModbusTable.INPUT_REGISTER: ReadInputRegistersRequest,
}
_BITS = (b"\x00", b"\x01")

Cut = Callable[[bytes], Sequence[bytes]]
"""Raw values, by the block's tags, out of the bytes of its answer."""


class RawRead(ModbusPDU):
    """Answer to one of the four reads. raw: registers as they came, most significant byte first, or bits, eight a byte.

    The layout of all four is a count of bytes, and the bytes (Modbus Application Protocol V1.1b3, sections 6.1..6.4).
    """

    rtu_byte_count_pos = 2
    raw = b""

    def decode(self, data: bytes) -> None:
        """Called by pymodbus, which takes this exception for an answer that is none."""
        if data[0] != len(data) - 1:
            raise ModbusIOException(f"{len(data) - 1} bytes came, and the answer says {data[0]}")
        self.raw = data[1:]

    def __str__(self) -> str:
        return f"function {self.function_code}: {len(self.raw)} bytes"


class RawCoils(RawRead):
    """Answer to function 1."""

    function_code = 1


class RawDiscreteInputs(RawRead):
    """Answer to function 2."""

    function_code = 2


class RawHoldingRegisters(RawRead):
    """Answer to function 3."""

    function_code = 3


class RawInputRegisters(RawRead):
    """Answer to function 4."""

    function_code = 4


ANSWERS = (RawCoils, RawDiscreteInputs, RawHoldingRegisters, RawInputRegisters)


def size(block: Block) -> int:
    """Bytes that an answer for `block` has. Bits travel in whole bytes."""
    return (block.count + 7) // 8 if block.table.is_bit else 2 * block.count


def cut(block: Block) -> Cut:
    """The function that cuts raw values out of an answer of the right size."""
    if block.table.is_bit:
        places = [tag.modbus.address - block.address for tag in block.tags]

        def bits(raw: bytes) -> Sequence[bytes]:
            whole = int.from_bytes(raw, "little")
            return [_BITS[whole >> place & 1] for place in places]

        return bits
    layout, at = "", block.address
    for tag in block.tags:
        layout += f"{2 * (tag.modbus.address - at)}x{tag.type.size}s"
        at = tag.modbus.address + tag.type.size // 2
    return struct.Struct(f"{layout}{2 * (block.address + block.count - at)}x").unpack
