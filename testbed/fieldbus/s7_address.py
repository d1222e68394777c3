"""Where a value stands in a Siemens S7 controller: "DB1.DBX0.3", "DB1.DBD4", "I0.0", "QW2", "%MD20".

The letters of the international mnemonics are the ones that are written: I, Q, M. The German E and A are read as I and
Q, and LOGO!'s V, the variable memory that it shows as data block 1, as DB1. An L, for eight bytes, has no name of
Siemens' own: STEP 7 has no absolute address for an LREAL.
"""

import re
from dataclasses import dataclass
from enum import Enum

from testbed.core.errors import InvalidData, UsageError
from testbed.core.tags import DataType, Tag


class Area(Enum):
    """Memory areas, by the code that they have in a request."""

    INPUT = 0x81
    OUTPUT = 0x82
    MEMORY = 0x83
    DATA_BLOCK = 0x84


_LETTERS = {Area.INPUT: "I", Area.OUTPUT: "Q", Area.MEMORY: "M"}
_AREAS = {"I": Area.INPUT, "E": Area.INPUT, "Q": Area.OUTPUT, "A": Area.OUTPUT, "M": Area.MEMORY, "V": Area.DATA_BLOCK}
_SIZES = {"X": 1, "B": 1, "W": 2, "D": 4, "L": 8}
_WIDTHS = {1: "B", 2: "W", 4: "D", 8: "L"}
_HIGHEST = 65535
_IN_BLOCK = re.compile(
    r"%?DB(?P<db>[0-9]{1,5})[.,]DB(?P<width>[XBWDL])(?P<byte>[0-9]{1,5})(?:\.(?P<bit>[0-9]))?", re.IGNORECASE
)
_IN_AREA = re.compile(
    r"%?(?P<area>[IEQAMV])(?P<width>[XBWDL]?)(?P<byte>[0-9]{1,5})(?:\.(?P<bit>[0-9]))?", re.IGNORECASE
)
_FITTING = {
    DataType.INT16: (2, 1),
    DataType.UINT16: (2, 1),
    DataType.INT32: (4,),
    DataType.UINT32: (4,),
    DataType.FLOAT32: (4,),
    DataType.FLOAT64: (8,),
}


@dataclass(frozen=True, slots=True)
class S7Address:
    """db: number of the data block, 0 in other areas; byte: where it begins; bit: 0..7, None for whole bytes; size:
    bytes, 1 for a bit.
    """

    area: Area
    db: int
    byte: int
    bit: int | None
    size: int

    def __str__(self) -> str:
        if self.bit is None:
            width, rest = _WIDTHS[self.size], ""
        else:
            width, rest = "X", f".{self.bit}"
        if self.area is Area.DATA_BLOCK:
            return f"DB{self.db}.DB{width}{self.byte}{rest}"
        return f"{_LETTERS[self.area]}{width if self.bit is None else ''}{self.byte}{rest}"


def parse(text: str) -> S7Address:
    """The address that `text` writes. Raises InvalidData, which says what is wrong with it."""
    found = _IN_BLOCK.fullmatch(text) or _IN_AREA.fullmatch(text)
    if found is None:
        raise InvalidData(f"{text!r} is no S7 address")
    parts = found.groupdict()
    area, db = Area.DATA_BLOCK, int(parts.get("db") or 1)
    if "area" in parts:
        area = _AREAS[parts["area"].upper()]
        db = 1 if area is Area.DATA_BLOCK else 0
    width, bit = parts["width"].upper(), parts["bit"]
    if width in ("X", "") and bit is None:
        raise InvalidData(f"{text!r} names no bit")
    if width not in ("X", "") and bit is not None:
        raise InvalidData(f"{text!r} names a bit of what is no bit")
    if bit is not None and int(bit) > 7:
        raise InvalidData(f"{text!r}: bits go from 0 to 7")
    size, byte = _SIZES[width or "X"], int(parts["byte"])
    if byte + size - 1 > _HIGHEST:
        raise InvalidData(f"{text!r}: bytes go from 0 to {_HIGHEST}")
    if area is Area.DATA_BLOCK and not 1 <= db <= _HIGHEST:
        raise InvalidData(f"{text!r}: data blocks go from 1 to {_HIGHEST}")
    return S7Address(area, db, byte, None if bit is None else int(bit), size)


def address_of(tag: Tag) -> S7Address:
    """Where the tag stands. A number of 16 bits may stand in one byte: with a sign for int16, without for uint16.

    Raises UsageError for a tag without an address, with one that is none, or that its type does not fit.
    """
    if not tag.s7:
        raise UsageError(f"tag {tag.name}: no S7 address", 'give it one, such as s7 = "DB1.DBD4"')
    try:
        address = parse(tag.s7)
    except InvalidData as error:
        raise UsageError(
            f"tag {tag.name}: {error}",
            'write it as "DB1.DBX0.3", "DB1.DBW2", "DB1.DBD4", "DB1.DBL8", "I0.0", "IW2", "Q0.0" or "MD4"',
        ) from error
    if tag.type is DataType.BOOL:
        if address.bit is None:
            raise UsageError(f"tag {tag.name}: a bool cannot stand in {address}", f"name a bit: {_a_bit(address)}")
    elif address.bit is not None or address.size not in _FITTING[tag.type]:
        size = _FITTING[tag.type][0]
        fits = S7Address(address.area, address.db, address.byte, None, size)
        raise UsageError(
            f"tag {tag.name}: a {tag.type.value} cannot stand in {address}",
            f"name {size} bytes, such as {fits}, or correct the tag's type",
        )
    return address


def _a_bit(address: S7Address) -> S7Address:
    return S7Address(address.area, address.db, address.byte, 0, 1)
