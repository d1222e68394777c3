"""Tag lists that Kepware exports, as CSV: one device, one heading, one tag a line.

The list says nothing of how the device is reached, nor in which order the words of a long value come. Kepware's Modbus
drivers take the low word first unless told otherwise, which is CDAB.
"""

import csv
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from testbed.core.errors import UsageError
from testbed.core.tags import ByteOrder, DataType, ModbusAddress, ModbusTable
from testbed.fieldbus.s7_address import Area
from testbed.outward.draft import RANGES, Draft, DraftTag, NotTaken, Remark, settled
from testbed.outward.kepware_address import is_siemens, modbus_place, s7_place

_NAMES = {
    "tag name": "name",
    "address": "address",
    "data type": "type",
    "client access": "access",
    "scan rate": "rate",
    "scaling": "scaling",
    "raw low": "raw_low",
    "raw high": "raw_high",
    "scaled low": "scaled_low",
    "scaled high": "scaled_high",
    "eng units": "unit",
    "eng. units": "unit",
    "engineering units": "unit",
    "description": "note",
    "negate value": "negate",
}
_TYPES = {
    "boolean": DataType.BOOL,
    "char": DataType.INT16,
    "byte": DataType.UINT16,
    "short": DataType.INT16,
    "word": DataType.UINT16,
    "long": DataType.INT32,
    "dword": DataType.UINT32,
    "float": DataType.FLOAT32,
    "double": DataType.FLOAT64,
}
_ONE_BYTE = ("char", "byte")
_UNKNOWN_TYPES = {
    "string": "leave it to the other tool: a tag is a number or a bit",
    "date": "leave it to the other tool, or take its seconds as a number",
    "bcd": "take it as Word and scale it where it is used, or change the program to binary",
    "lbcd": "take it as DWord and scale it where it is used, or change the program to binary",
    "llong": "take its two halves as DWord",
    "qword": "take its two halves as DWord",
}
_READ_ONLY = ("ro", "r", "read only")


def from_kepware(text: str, label: str, *, host: str, byte_order: ByteOrder = ByteOrder.CDAB) -> Draft:
    """The draft. label: name of the file, for messages; host: where the device is; byte_order: of long values.

    Raises UsageError for a text that is no such list, or has no tag that could be taken over.
    """
    rows = list(_rows(text, label))
    siemens = bool(rows) and is_siemens(rows[0][1]["address"])
    tags: list[DraftTag] = []
    left: list[Remark] = []
    assumed: list[Remark] = []
    for line, row in rows:
        try:
            tags.append(_tag(line, row, byte_order, siemens=siemens))
        except NotTaken as error:
            left.append(Remark(line, f"{row['name']}: {error}", error.mend))
    if not tags:
        reasons = "".join(f"\n  line {remark.line}: {remark.what}" for remark in left[:10])
        raise UsageError(f"{label}: none of {len(rows)} tags could be taken over{reasons}", "export a device with tags")
    connect: dict[str, str | int] = {"protocol": "s7" if siemens else "modbus-tcp", "host": host}
    if siemens:
        connect |= {"rack": 0, "slot": 1}
        assumed.append(Remark(1, "rack 0 and slot 1", "correct [plc.connect]: an S7-300 has slot 2"))
    else:
        connect |= {"unit": 1}
        assumed.append(Remark(1, "unit 1", "correct unit in [plc.connect]"))
        if any(tag.type.size > 2 for tag in tags):
            mend = "compare one value with the device's own display; else import again with another --byte-order"
            assumed.append(Remark(1, f"words of long values in the order {byte_order.value}", mend))
    assumed.append(Remark(1, f"the device at {host}", "correct host in [plc.connect]"))
    return settled(connect, tags, left, assumed)


def _rows(text: str, label: str) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Lines below the heading, by our names of the columns."""
    text = text.lstrip("\ufeff")
    first = text.lstrip().partition("\n")[0]
    delimiter = ";" if first.count(";") > first.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    columns: list[str] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not columns:
                columns = [_NAMES.get(cell.strip().lower(), "") for cell in cells]
                if "name" not in columns or "address" not in columns:
                    raise UsageError(
                        f"{label}:{reader.line_num}: no heading with 'Tag Name' and 'Address'",
                        "export the tags of one device from Kepware with File > Export CSV",
                    )
                continue
            row = dict.fromkeys(_NAMES.values(), "")
            row |= {key: cell.strip() for key, cell in zip(columns, cells, strict=False) if key}
            yield reader.line_num, row
    except csv.Error as error:
        raise UsageError(f"{label}:{reader.line_num}: not CSV: {error}", "export the file anew") from error


def _tag(line: int, row: Mapping[str, str], byte_order: ByteOrder, *, siemens: bool) -> DraftTag:
    if is_siemens(row["address"]) is not siemens:
        mend = "export each device into a file of its own"
        raise NotTaken(f"{row['address']} is an address of another driver", mend)
    if row["access"].lower() == "wo":
        raise NotTaken("it can only be written", "let the device show it, and export it as R/W")
    kind = _type(row["type"])
    may_write = row["access"].lower() not in _READ_ONLY
    if siemens:
        tag = _s7_tag(line, row, kind, may_write=may_write)
    else:
        tag = _modbus_tag(line, row, kind, byte_order, may_write=may_write)
    return _scaled(replace(tag, scan_ms=_rate(row["rate"])), row)


def _type(text: str) -> DataType | None:
    """None where the list leaves it to the address."""
    name = text.lower()
    if name in ("", "default"):
        return None
    if name.endswith("array"):
        raise NotTaken(f"{text} is an array", "give each of its elements that you need a tag of its own")
    if name not in _TYPES:
        mend = _UNKNOWN_TYPES.get(name, f"take one of {', '.join(_TYPES)}")
        raise NotTaken(f"{text} is no type of a tag", mend)
    return _TYPES[name]


def _modbus_tag(
    line: int, row: Mapping[str, str], kind: DataType | None, byte_order: ByteOrder, *, may_write: bool
) -> DraftTag:
    place = modbus_place(row["address"])
    if kind is None:
        kind = DataType.BOOL if place.table.is_bit else DataType.UINT16
    if row["type"].lower() in _ONE_BYTE:
        raise NotTaken(f"{row['type']} is half a register", "take the whole register as Word")
    if (kind is DataType.BOOL) is not place.table.is_bit:
        mend = "take a coil or discrete input for a Boolean, a register for a number"
        raise NotTaken(f"a {row['type']} cannot stand at {row['address']}", mend)
    order = byte_order if kind.size > 2 else ByteOrder.ABCD
    where = ModbusAddress(place.table, place.address, order)
    writable = may_write and place.table in (ModbusTable.COIL, ModbusTable.HOLDING_REGISTER)
    return DraftTag(line, row["name"], kind, where, unit=row["unit"], writable=writable, note=row["note"])


def _s7_tag(line: int, row: Mapping[str, str], kind: DataType | None, *, may_write: bool) -> DraftTag:
    place = s7_place(row["address"])
    kind = kind or place.type
    bytes_of_kind = 1 if row["type"].lower() in _ONE_BYTE or kind is DataType.BOOL else kind.size
    bytes_there = place.address.size
    if (kind is DataType.BOOL) is not (place.address.bit is not None):
        raise NotTaken(f"a {row['type']} cannot stand at {row['address']}", "name a bit for a Boolean, as DB1,X0.3")
    if row["type"] and row["type"].lower() != "default" and bytes_of_kind != bytes_there:
        mend = f"take a type of {bytes_there} bytes, or correct the address"
        raise NotTaken(f"a {row['type']} cannot stand at {row['address']}", mend)
    writable = may_write and place.address.area is not Area.INPUT
    s7 = str(place.address)
    span = None
    if place.address.size == 1 and kind is not DataType.BOOL:
        span = (-128.0, 127.0) if kind is DataType.INT16 else (0.0, 255.0)
    return DraftTag(line, row["name"], kind, s7=s7, unit=row["unit"], range=span, writable=writable, note=row["note"])


def _scaled(tag: DraftTag, row: Mapping[str, str]) -> DraftTag:
    """With scale and offset of a straight line, its ends as the range."""
    negated = -1.0 if row["negate"] == "1" else 1.0
    how = row["scaling"].lower()
    if tag.type is DataType.BOOL or how in ("", "none"):
        if negated < 0 and tag.type is not DataType.BOOL:
            low, high = tag.range or RANGES[tag.type]
            return replace(tag, scale=-1.0, range=(-high, -low))
        return tag
    if how != "linear":
        raise NotTaken(f"{row['scaling']} scaling", "take the value as it is, and scale it where it is used")
    line = _line(*(row[key] for key in ("raw_low", "raw_high", "scaled_low", "scaled_high")))
    if line is None:
        ends = f"{row['raw_low']}..{row['raw_high']} to {row['scaled_low']}..{row['scaled_high']}"
        raise NotTaken(f"scaling {ends} is no line", "write four numbers, and no two equal ends")
    scale, offset, low, high = (negated * number for number in line)
    return replace(tag, scale=scale, offset=offset, range=(min(low, high), max(low, high)))


def _line(raw_low: str, raw_high: str, scaled_low: str, scaled_high: str) -> tuple[float, float, float, float] | None:
    """Scale, offset, and the scaled ends; None where there is no such line."""
    try:
        low, high, first, second = (float(end) for end in (scaled_low, scaled_high, raw_low, raw_high))
        scale = (high - low) / (second - first)
    except (ValueError, ZeroDivisionError):
        return None
    offset = low - first * scale
    # 1/3 of a line's ends come back with an error of some bits: a scale is what people write.
    numbers = float(f"{scale:.12g}"), float(f"{offset:.12g}"), low, high
    return numbers if scale and all(map(math.isfinite, numbers)) else None


def _rate(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else None
