"""Tags: the named values of a PLC, with type, unit, range and where they stand on each protocol."""

from dataclasses import dataclass
from enum import Enum

Value = bool | int | float
"""What a tag holds once decoded: bool for BOOL, int for integers that are not scaled, float for all others."""


class DataType(Enum):
    """IEC 61131-3 elementary types, under the names that OPC UA gives them."""

    BOOL = "bool"
    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    FLOAT32 = "float32"
    FLOAT64 = "float64"

    @property
    def size(self) -> int:
        """Bytes on the wire; a BOOL is one coil or discrete input and travels here as one byte, 00 or 01."""
        return {"bool": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "float32": 4, "float64": 8}[self.value]


class ModbusTable(Enum):
    """The four primary tables (Modbus Application Protocol V1.1b3, section 4.3)."""

    COIL = "coil"
    DISCRETE_INPUT = "discrete_input"
    INPUT_REGISTER = "input_register"
    HOLDING_REGISTER = "holding_register"

    @property
    def is_bit(self) -> bool:
        return self in (ModbusTable.COIL, ModbusTable.DISCRETE_INPUT)

    @property
    def is_writable(self) -> bool:
        return self in (ModbusTable.COIL, ModbusTable.HOLDING_REGISTER)


class ByteOrder(Enum):
    """Order of the bytes of a value in its registers; A is the most significant byte.

    For 64-bit values the pattern extends: ABCD is big endian, DCBA little endian, CDAB swaps the registers
    (least significant register first, bytes within a register in order), BADC swaps the bytes within each register.
    """

    ABCD = "ABCD"
    CDAB = "CDAB"
    BADC = "BADC"
    DCBA = "DCBA"


@dataclass(frozen=True, slots=True)
class ModbusAddress:
    """Where a tag starts: table, zero-based protocol address 0..65535, byte order of its registers."""

    table: ModbusTable
    address: int
    byte_order: ByteOrder = ByteOrder.ABCD


@dataclass(frozen=True, slots=True)
class Tag:
    """One named value of a PLC.

    name: dotted path, such as "tank1.level"; unit: as people write it ("m", "m3/h", "degC"), "" for none;
    low, high: engineering range (OPC UA EURange) in that unit; opcua: string identifier of the OPC UA node;
    scale, offset: what the PLC holds, times scale, plus offset, is the value in that unit: 0.1 and 0.0 for tenths;
    unit_id: Modbus unit identifier of a device behind a gateway, None for the PLC's own; s7: as "DB1.DBD4", "" for
    none.
    """

    name: str
    type: DataType
    unit: str
    low: float
    high: float
    writable: bool
    modbus: ModbusAddress
    opcua: str
    scale: float = 1.0
    offset: float = 0.0
    unit_id: int | None = None
    s7: str = ""

    @property
    def scaled(self) -> bool:
        """Whether the PLC holds another number than the value: then the value is a float whatever the type."""
        return (self.scale, self.offset) != (1.0, 0.0)
