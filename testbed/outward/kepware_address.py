"""Addresses in Kepware's tag lists, of its Modbus and its Siemens drivers.

Modbus: one digit for the table (0 coils, 1 discrete inputs, 3 input registers, 4 holding registers), and a number from
1 in four or five more digits: 40001 and 400001 are the first holding register, which is address 0 on the wire.
Siemens: an area, a type and a byte: DB1,REAL4; DB1,X0.3; MINT10; I0.7. A bit of a word is counted from its lowest one.
"""

import re
from dataclasses import dataclass

from testbed.core.tags import DataType, ModbusTable
from testbed.fieldbus.s7_address import Area, S7Address
from testbed.outward.draft import NotTaken

_TABLES = {
    "0": ModbusTable.COIL,
    "1": ModbusTable.DISCRETE_INPUT,
    "3": ModbusTable.INPUT_REGISTER,
    "4": ModbusTable.HOLDING_REGISTER,
}
_MODBUS = re.compile(r"(?P<table>[0134])(?P<number>[0-9]{4,5})(?:\.(?P<bit>[0-9]{1,2}))?")
_MANY = re.compile(r".*\[\s*\d+\s*\](?:\s*\[\s*\d+\s*\])?", re.DOTALL)
_MODBUS_TEXT = re.compile(r"[34][0-9]{4,5}\.[0-9]+[HL]", re.IGNORECASE)
_WRITE_ONLY = re.compile(r"W4[0-9]{4,5}", re.IGNORECASE)
_MOST = 65536

_DB = re.compile(r"DB(?P<db>[0-9]{1,5})[,.:](?:DB)?(?P<type>[A-Z]+)(?P<byte>[0-9]{1,5})(?:\.(?P<extra>[0-9]+))?")
_AREA = re.compile(r"(?P<area>[IEQAMF])(?P<type>[A-Z]*)(?P<byte>[0-9]{1,5})(?:\.(?P<extra>[0-9]+))?")
_AREAS = {"I": Area.INPUT, "E": Area.INPUT, "Q": Area.OUTPUT, "A": Area.OUTPUT, "M": Area.MEMORY, "F": Area.MEMORY}
_OTHER_AREA = re.compile(r"(?:P[IEQA]|[TCZ])[A-Z]*[0-9]+.*")
_TYPES: dict[str, tuple[int, DataType]] = {
    "B": (1, DataType.UINT16),
    "BYTE": (1, DataType.UINT16),
    "C": (1, DataType.INT16),
    "CHAR": (1, DataType.INT16),
    "W": (2, DataType.UINT16),
    "WORD": (2, DataType.UINT16),
    "I": (2, DataType.INT16),
    "INT": (2, DataType.INT16),
    "D": (4, DataType.UINT32),
    "DWORD": (4, DataType.UINT32),
    "DI": (4, DataType.INT32),
    "DINT": (4, DataType.INT32),
    "REAL": (4, DataType.FLOAT32),
    "LREAL": (8, DataType.FLOAT64),
}
"""Bytes, and the type where the list names none."""
_NO_NUMBER = ("STRING", "DATE", "TIME", "TOD", "DT", "DTL", "T", "S5TIME", "LINT", "ULINT", "LWORD", "LTIME")


@dataclass(frozen=True, slots=True)
class ModbusPlace:
    """address: on the wire, from 0."""

    table: ModbusTable
    address: int

    def __str__(self) -> str:
        digit = next(digit for digit, table in _TABLES.items() if table is self.table)
        return f"{digit}{self.address + 1:05d}"


@dataclass(frozen=True, slots=True)
class S7Place:
    """type: what such an address is read as where the list names no other type."""

    address: S7Address
    type: DataType


def modbus_place(text: str) -> ModbusPlace:
    """Where a Modbus tag stands. Raises NotTaken."""
    if _WRITE_ONLY.fullmatch(text):
        raise NotTaken(f"{text} can only be written", f"take {text[1:]} if the device lets you read it")
    if _MODBUS_TEXT.fullmatch(text):
        raise NotTaken(f"{text} is text", "a tag is a number or a bit: leave it to the other tool")
    _must_be_one(text)
    found = _MODBUS.fullmatch(text)
    if found is None:
        mend = "write it with its table and all its digits, as 000001, 100001, 300001 or 400001"
        raise NotTaken(f"{text!r} is no Modbus address", mend)
    number = int(found["number"])
    if not 1 <= number <= _MOST:
        raise NotTaken(f"{text}: numbers go from 1 to {_MOST}", "correct the address")
    table = _TABLES[found["table"]]
    if found["bit"] is not None:
        whole = text.partition(".")[0]
        raise NotTaken(f"{text} is a bit of a register", f"take the whole register {whole} as uint16")
    return ModbusPlace(table, number - 1)


def s7_place(text: str) -> S7Place:
    """Where a Siemens tag stands. Raises NotTaken."""
    plain = text.upper().replace(" ", "")
    _must_be_one(plain)
    found = _DB.fullmatch(plain) or _AREA.fullmatch(plain)
    if found is None:
        if _OTHER_AREA.fullmatch(plain):
            mend = "copy it into a data block or into memory, in the program"
            raise NotTaken(f"{text} is a timer, a counter or a periphery, which is not read", mend)
        raise NotTaken(f"{text!r} is no S7 address", "write it as DB1,REAL4, DB1,X0.3, MW10 or I0.7")
    parts = found.groupdict()
    area = _AREAS[parts["area"]] if "area" in parts else Area.DATA_BLOCK
    kind, byte, extra = parts["type"], int(parts["byte"]), parts["extra"]
    if kind in _NO_NUMBER:
        raise NotTaken(f"{text} is a text, a time or of 64 bits", "a tag is a number of up to 32 bits, a REAL or LREAL")
    if kind in ("X", "") and extra is None:
        raise NotTaken(f"{text} names no bit", f"write {text}.0 for the lowest one")
    if kind not in ("X", "", *_TYPES):
        raise NotTaken(f"{text}: {kind} is no type of S7 that a bench has", f"take one of {', '.join(_TYPES)}")
    size, plain_type = (1, DataType.BOOL) if kind in ("X", "") else _TYPES[kind]
    bit = None
    if extra is not None:
        bit = int(extra)
        if bit >= 8 * size or size > 4 or kind == "REAL":
            raise NotTaken(f"{text}: there is no bit {bit}", f"bits of it go from 0 to {8 * min(size, 4) - 1}")
        # The lowest bit of a word stands in its last byte.
        byte, bit, size, plain_type = byte + size - 1 - bit // 8, bit % 8, 1, DataType.BOOL
    db = int(parts.get("db") or 0)
    if byte + size > _MOST or (area is Area.DATA_BLOCK and not 1 <= db < _MOST):
        raise NotTaken(f"{text}: blocks go from 1, bytes from 0, both to {_MOST - 1}", "correct the address")
    return S7Place(S7Address(area, db, byte, bit, size), plain_type)


def is_siemens(text: str) -> bool:
    """Whether an address looks like one of the Siemens driver."""
    return not text[:1].isdigit() and not _WRITE_ONLY.fullmatch(text)


def _must_be_one(text: str) -> None:
    if _MANY.fullmatch(text):
        raise NotTaken(f"{text} is an array", "give each of its elements that you need a tag of its own")
