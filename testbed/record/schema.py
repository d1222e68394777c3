"""Tag lists and parameters as bytes, and their hashes: what a genesis and a twin record commit to.

A tag is [name, type, unit, low, high, writable, [table, address, byte order], opcua], and where it has one of them,
[scale, offset, unit identifier, S7 address] behind it. Type, table and byte order are the values of their enums; low,
high, scale and offset 8 raw bytes. Parameters are [[name, 8 raw bytes] ...], sorted by name.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TypeVar

from testbed.core.errors import InvalidData
from testbed.core.tags import ByteOrder, DataType, ModbusAddress, ModbusTable, Tag
from testbed.record import cbor

NO_SCHEMA = bytes(32)
"""Stands in the genesis of a log without tags."""

_E = TypeVar("_E", bound=Enum)


def encode_tags(tags: Sequence[Tag]) -> bytes:
    """The tag list's bytes, order kept; raises InvalidData for a field of a wrong type."""
    return cbor.encode([_tag_items(tag) for tag in tags])


def decode_tags(data: bytes) -> tuple[Tag, ...]:
    """The tag list; raises InvalidData unless `encode_tags` gives back these very bytes."""
    return tuple(_tag(item) for item in _array(cbor.decode(data), None))


def schema_hash(tags: Sequence[Tag]) -> bytes:
    """SHA-256 of the tag list's bytes."""
    return hashlib.sha256(encode_tags(tags)).digest()


def encode_parameters(parameters: Mapping[str, float]) -> bytes:
    """A model's parameters in the units that the model states, sorted by name."""
    return cbor.encode([[_text(name), cbor.float8(parameters[name])] for name in sorted(parameters)])


def decode_parameters(data: bytes) -> dict[str, float]:
    """Parameters by name; raises InvalidData where names are not in order or stand twice."""
    parameters: dict[str, float] = {}
    last: str | None = None
    for item in _array(cbor.decode(data), None):
        name, raw = _array(item, 2)
        name = _text(name)
        if last is not None and name <= last:
            raise InvalidData(f"parameters: {name!r} after {last!r}")
        parameters[name] = cbor.unfloat8(_bytes(raw))
        last = name
    return parameters


def parameters_hash(parameters: bytes | Mapping[str, float]) -> bytes:
    """SHA-256 of the parameters' bytes."""
    data = parameters if isinstance(parameters, bytes) else encode_parameters(parameters)
    return hashlib.sha256(data).digest()


def _tag_items(tag: Tag) -> list[object]:
    # Checked by reading back: a tag that cannot be read back must not be written.
    address = tag.modbus
    items: list[object] = [
        tag.name,
        tag.type.value,
        tag.unit,
        cbor.float8(tag.low),
        cbor.float8(tag.high),
        tag.writable,
        [address.table.value, address.address, address.byte_order.value],
        tag.opcua,
    ]
    if tag.scaled or tag.unit_id is not None or tag.s7:
        items.append([cbor.float8(tag.scale), cbor.float8(tag.offset), tag.unit_id, tag.s7])
    _tag(items)
    return items


def _tag(item: object) -> Tag:
    items = _array(item, None)
    if len(items) not in (8, 9):
        raise InvalidData("schema: a tag is an array of 8 or 9")
    name, type_, unit, low, high, writable, modbus, opcua, *more = items
    scale, offset, unit_id, s7 = _device(more)
    table, address, byte_order = _array(modbus, 3)
    if type(writable) is not bool:
        raise InvalidData("tag: writable is not a bool")
    if type(address) is not int or not 0 <= address <= 65535:
        raise InvalidData("tag: Modbus address is not 0..65535")
    return Tag(
        name=_text(name),
        type=_enum(DataType, type_),
        unit=_text(unit),
        low=cbor.unfloat8(_bytes(low)),
        high=cbor.unfloat8(_bytes(high)),
        writable=writable,
        modbus=ModbusAddress(_enum(ModbusTable, table), address, _enum(ByteOrder, byte_order)),
        opcua=_text(opcua),
        scale=scale,
        offset=offset,
        unit_id=unit_id,
        s7=s7,
    )


def _device(more: list[object]) -> tuple[float, float, int | None, str]:
    """Scale, offset, unit identifier and S7 address; a tag that has none of them does not have the array either."""
    if not more:
        return 1.0, 0.0, None, ""
    scale, offset, unit_id, s7 = _array(more[0], 4)
    if unit_id is not None and (type(unit_id) is not int or not 0 <= unit_id <= 255):
        raise InvalidData("tag: Modbus unit identifier is not 0..255")
    found = (cbor.unfloat8(_bytes(scale)), cbor.unfloat8(_bytes(offset)), unit_id, _text(s7))
    if not (math.isfinite(found[0]) and math.isfinite(found[1]) and found[0]):
        raise InvalidData("tag: scale and offset are not finite, or the scale is zero")
    if found == (1.0, 0.0, None, ""):
        raise InvalidData("tag: an array that says nothing")
    return found


def _array(item: object, size: int | None) -> list[object]:
    if not isinstance(item, list) or (size is not None and len(item) != size):
        raise InvalidData("schema: not an array" if size is None else f"schema: not an array of {size}")
    return item


def _text(item: object) -> str:
    if type(item) is not str:
        raise InvalidData("schema: not text")
    return item


def _bytes(item: object) -> bytes:
    if type(item) is not bytes:
        raise InvalidData("schema: not bytes")
    return item


def _enum(enum: type[_E], item: object) -> _E:
    try:
        return enum(_text(item))
    except ValueError as error:
        raise InvalidData(f"schema: {error}") from error
