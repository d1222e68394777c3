"""Telegraf's inputs.modbus in its three styles: by register, by request and by metric. It reads and never writes."""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from testbed.core.tags import ByteOrder, DataType, ModbusAddress, ModbusTable
from testbed.outward.draft import Draft, DraftTag, NotTaken, Remark, settled
from testbed.outward.telegraf_table import Table

_TABLES = {
    "coil": ModbusTable.COIL,
    "discrete": ModbusTable.DISCRETE_INPUT,
    "input": ModbusTable.INPUT_REGISTER,
    "holding": ModbusTable.HOLDING_REGISTER,
}
_LISTS = {"coils": "coil", "discrete_inputs": "discrete", "input_registers": "input", "holding_registers": "holding"}
_TYPES = {
    "INT16": DataType.INT16,
    "UINT16": DataType.UINT16,
    "INT32": DataType.INT32,
    "UINT32": DataType.UINT32,
    "FLOAT32": DataType.FLOAT32,
    "FLOAT64": DataType.FLOAT64,
    "FLOAT32-IEEE": DataType.FLOAT32,
    "FLOAT64-IEEE": DataType.FLOAT64,
}
_FIXED = {"FIXED": (DataType.INT16, DataType.INT32), "UFIXED": (DataType.UINT16, DataType.UINT32)}
"""Whole numbers in one register and in two. FLOAT32 is an old name of UFIXED, but in this style only."""
_OLD = {**_FIXED, "FLOAT32": _FIXED["UFIXED"]}
_MENDS = {
    "INT64": "take its two halves as UINT32",
    "UINT64": "take its two halves as UINT32",
    "FLOAT16-IEEE": "take it as UINT16, and convert it where it is used",
    "FLOAT16": "take it as UINT16, and convert it where it is used",
    "STRING": "leave it to Telegraf: a tag is a number or a bit",
    "BIT": "take the whole register as UINT16",
    "INT8L": "take the whole register as UINT16",
    "INT8H": "take the whole register as UINT16",
    "UINT8L": "take the whole register as UINT16",
    "UINT8H": "take the whole register as UINT16",
}
_ORDERS = {
    "AB": ByteOrder.ABCD,
    "BA": ByteOrder.DCBA,
    "ABCD": ByteOrder.ABCD,
    "DCBA": ByteOrder.DCBA,
    "BADC": ByteOrder.BADC,
    "CDAB": ByteOrder.CDAB,
    "ABCDEFGH": ByteOrder.ABCD,
    "HGFEDCBA": ByteOrder.DCBA,
    "BADCFEHG": ByteOrder.BADC,
    "GHEFCDAB": ByteOrder.CDAB,
}
_MEASUREMENT = "modbus"
_PORT = 502


def modbus_draft(table: Table, every_ms: int) -> Draft:
    """The draft of one [[inputs.modbus]]. Raises NotTaken where the way to the device has no match."""
    style = table.word("configuration_type", "register")
    if style not in ("register", "request", "metric"):
        raise NotTaken(f"configuration_type = {style!r} is not known", "take register, request or metric")
    left: list[Remark] = []
    unit = table.whole("slave_id", 1)
    found = list(_by_register(table, left)) if style == "register" else list(_by_group(table, style, left))
    if style != "register" and found:
        unit = found[0][0]
    tags = [replace(tag, unit_id=None if own == unit else own, scan_ms=every_ms) for own, tag in found]
    unread = {*_LISTS} if style != "register" else set()
    unread |= {"request", "metric"} - {style}
    left += [
        table.remark(f"{key}: Telegraf does not read it either", f"configuration_type is {style}")
        for key in sorted(unread)
        if table.values.get(key)
    ]
    connect: dict[str, str | int] = {**_way(table), "unit": unit, "timeout_ms": table.patience_ms("timeout", 1000)}
    if (pause := table.inner("workarounds").duration_ms("pause_between_requests", 0)) > 0:
        connect["pause_ms"] = pause
    return settled(connect, tags, left, [])


def _way(table: Table) -> dict[str, str | int]:
    controller, mode = table.word("controller"), table.word("transmission_mode", "auto").lower()
    parts = urlsplit(controller)
    if parts.scheme == "tcp" and parts.hostname:
        protocols = {"auto": "modbus-tcp", "tcp": "modbus-tcp", "rtuovertcp": "modbus-rtu-tcp"}
        if mode not in protocols:
            raise NotTaken(f"transmission_mode = {mode!r} over TCP", "take TCP or RTUoverTCP")
        return {"protocol": protocols[mode], "host": parts.hostname, "port": parts.port or _PORT}
    device = parts.path if parts.scheme == "file" else controller
    if not device.startswith("/") or parts.scheme not in ("file", ""):
        raise NotTaken(f"controller = {controller!r}", 'a bench takes "tcp://host:502" or "file:///dev/ttyUSB0"')
    if mode not in ("auto", "rtu"):
        raise NotTaken(f"transmission_mode = {mode!r} on a serial line", "take RTU")
    if table.whole("data_bits", 8) != 8:
        raise NotTaken(f"data_bits = {table.whole('data_bits')}", "RTU has eight")
    parity = table.word("parity", "N")
    return {
        "protocol": "modbus-rtu",
        "device": device,
        "baud": table.whole("baud_rate", 9600),
        "parity": parity[:1].upper() or "N",
        "stop_bits": table.whole("stop_bits", 1),
    }


def _by_register(table: Table, left: list[Remark]) -> Iterator[tuple[int, DraftTag]]:
    unit = table.whole("slave_id", 1)
    for key, register in _LISTS.items():
        for field in table.tables(key):
            try:
                yield unit, _register_tag(field, register)
            except NotTaken as error:
                left.append(field.remark(f"{_name(field)}: {error}", error.mend))


def _by_group(table: Table, style: str, left: list[Remark]) -> Iterator[tuple[int, DraftTag]]:
    for group in table.tables(style):
        for field in group.tables("fields"):
            try:
                if field.flag("omit"):
                    left.append(field.remark(f"{_name(field)}: omit = true", "take omit away to have it"))
                    continue
                yield group.whole("slave_id"), _field_tag(field, group)
            except NotTaken as error:
                left.append(field.remark(f"{_name(field)}: {error}", error.mend))


def _register_tag(field: Table, register: str) -> DraftTag:
    addresses = field.values.get("address")
    if not isinstance(addresses, list) or not addresses or not all(type(at) is int for at in addresses):
        raise NotTaken(f"address = {addresses!r}", "write it as [0] or [0, 1]")
    first = addresses[0]
    if addresses != list(range(first, first + len(addresses))):
        raise NotTaken(f"addresses {addresses} do not follow one another", "give each register a tag of its own")
    table = _TABLES[register]
    if table.is_bit:
        return _tag(field, DataType.BOOL, table, first, "", ByteOrder.ABCD)
    kind = field.word("data_type").upper()
    if kind in _OLD and len(addresses) <= 2:
        found = _OLD[kind][len(addresses) - 1]
    else:
        found = _type({"FLOAT32": "UFIXED"}.get(kind, kind))
    if 2 * len(addresses) != found.size:
        mend = f"give it {found.size // 2} addresses, or another type"
        raise NotTaken(f"{kind} in {len(addresses)} registers", mend)
    return _tag(field, found, table, first, "", _order(field))


def _field_tag(field: Table, group: Table) -> DraftTag:
    register = (field if field.has("register") else group).word("register", "holding")
    if register not in _TABLES:
        raise NotTaken(f"register = {register!r}", f"take one of {', '.join(_TABLES)}")
    table = _TABLES[register]
    if not field.has("address"):
        raise NotTaken("it has no address", "give it one")
    kind = DataType.BOOL if table.is_bit else _type(field.word("type").upper())
    order = ByteOrder.ABCD if table.is_bit else _order(group)
    return _tag(field, kind, table, field.whole("address"), group.word("measurement"), order)


def _tag(
    field: Table, kind: DataType, table: ModbusTable, address: int, measurement: str, order: ByteOrder
) -> DraftTag:
    if not 0 <= address <= 65535:
        raise NotTaken(f"address {address}", "addresses go from 0 to 65535")
    name, measurement = field.word("name"), field.word("measurement", measurement)
    if not name:
        raise NotTaken("it has no name", "give it one")
    scale = 1.0 if kind is DataType.BOOL else field.number("scale", 1.0)
    whole = name if measurement in ("", _MEASUREMENT) else f"{measurement}.{name}"
    if order is ByteOrder.CDAB and kind.size == 2:
        order = ByteOrder.ABCD  # one word has no other one to change places with
    return DraftTag(field.line, whole, kind, ModbusAddress(table, address, order), scale=scale or 1.0)


def _type(kind: str) -> DataType:
    if kind not in _TYPES:
        mend = _MENDS.get(kind, f"take one of {', '.join(_TYPES)}")
        raise NotTaken(f"type {kind}" if kind else "it has no type", mend)
    return _TYPES[kind]


def _order(table: Table) -> ByteOrder:
    order = table.word("byte_order", "ABCD").upper()
    if order not in _ORDERS:
        raise NotTaken(f"byte_order = {order!r}", f"take one of {', '.join(_ORDERS)}")
    return _ORDERS[order]


def _name(field: Table) -> str:
    return str(field.values.get("name") or f"address {field.values.get('address')}")
