"""Telegraf's inputs.s7comm: addresses such as DB1.R4 and DB1.X2.1. It reads and never writes."""

import re

from testbed.core.errors import InvalidData
from testbed.core.tags import DataType
from testbed.fieldbus.s7_address import Area, S7Address, parse
from testbed.outward.draft import Draft, DraftTag, NotTaken, Remark, settled
from testbed.outward.telegraf_table import Table

_ADDRESS = re.compile(
    r"(?P<area>DB|PE|PA|MK)(?P<db>[0-9]{0,5})\.(?P<type>[A-Z]+)(?P<byte>[0-9]{1,5})(?:\.(?P<extra>.+))?"
)
_AREAS = {"DB": Area.DATA_BLOCK, "PE": Area.INPUT, "PA": Area.OUTPUT, "MK": Area.MEMORY}
_TYPES: dict[str, tuple[int, DataType]] = {
    "X": (1, DataType.BOOL),
    "B": (1, DataType.UINT16),
    "W": (2, DataType.UINT16),
    "I": (2, DataType.INT16),
    "DW": (4, DataType.UINT32),
    "DI": (4, DataType.INT32),
    "R": (4, DataType.FLOAT32),
    "LR": (8, DataType.FLOAT64),
}
_PORT = 102


def s7_draft(table: Table, every_ms: int) -> Draft:
    """The draft of one [[inputs.s7comm]]. Raises NotTaken where the way to the device has no match."""
    host, _, port = table.word("server").partition(":")
    if not host or (port and not port.isdecimal()):
        raise NotTaken(f"server = {table.word('server')!r}", 'write it as "192.168.0.10:102"')
    tags: list[DraftTag] = []
    left: list[Remark] = []
    for metric in table.tables("metric"):
        for field in metric.tables("fields"):
            name = str(field.values.get("name", ""))
            try:
                tags.append(_tag(field, metric.word("name"), every_ms))
            except NotTaken as error:
                left.append(field.remark(f"{name}: {error}", error.mend))
    connect: dict[str, str | int] = {
        "protocol": "s7",
        "host": host,
        "port": int(port or _PORT),
        "rack": table.whole("rack"),
        "slot": table.whole("slot"),
        "timeout_ms": table.patience_ms("timeout", 10_000),
    }
    return settled(connect, tags, left, [])


def _tag(field: Table, measurement: str, every_ms: int) -> DraftTag:
    name = field.word("name")
    if not name:
        raise NotTaken("it has no name", "give it one")
    address, kind = address_of(field.word("address"))
    whole = name if measurement in ("", "s7comm") else f"{measurement}.{name}"
    span = (0.0, 255.0) if address.size == 1 and kind is DataType.UINT16 else None
    return DraftTag(field.line, whole, kind, s7=str(address), range=span, scan_ms=every_ms)


def address_of(text: str) -> tuple[S7Address, DataType]:
    """Where it stands, and what it is. Raises NotTaken."""
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise NotTaken(f"address = {text!r}", "a bench takes DB, PE, PA and MK, as DB1.R4 or DB1.X2.1")
    kind, extra = found["type"], found["extra"]
    if kind not in _TYPES:
        raise NotTaken(f"{text}: {kind} is a text, a time or of 64 bits", f"take one of {', '.join(_TYPES)}")
    if (kind == "X") is not (extra is not None and extra in "01234567"):
        raise NotTaken(f"{text}: {kind} {'needs a bit from 0 to 7' if kind == 'X' else 'has no bits'}", "correct it")
    size, data_type = _TYPES[kind]
    area, bit = _AREAS[found["area"]], int(extra) if kind == "X" else None
    address = S7Address(area, int(found["db"] or 0) if area is Area.DATA_BLOCK else 0, int(found["byte"]), bit, size)
    try:
        return parse(str(address)), data_type
    except InvalidData as error:
        raise NotTaken(f"{text}: {error}", "correct the address") from error
