"""Values of tags as raw bytes, as they travel in Modbus registers and coils, and back.

A register is 16 bits, most significant byte first (Modbus Application Protocol V1.1b3, section 4.2). The order of the
registers of a wider value is not standardised, so every tag names it. A coil or discrete input is one byte, 00 or 01.
"""

import math
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from testbed.core.errors import InvalidData
from testbed.core.tags import ByteOrder, DataType, Tag, Value

FORMATS = {
    DataType.INT16: ">h",
    DataType.UINT16: ">H",
    DataType.INT32: ">i",
    DataType.UINT32: ">I",
    DataType.FLOAT32: ">f",
    DataType.FLOAT64: ">d",
}
"""Of `struct`, most significant byte first; a BOOL has none."""
_BITS = frozenset((b"\x00", b"\x01"))
_FLOATS = (DataType.FLOAT32, DataType.FLOAT64)


def encode(tag: Tag, value: Value) -> bytes:
    """Raw bytes of `value`, in the byte order of the tag; `tag.type.size` long. FLOAT32 rounds to the nearest.

    Raises InvalidData where the value is not of the tag's type, or does not fit it.
    """
    if tag.type is DataType.BOOL:
        if not isinstance(value, bool):
            raise InvalidData(f"{tag.name}: {value!r} is not a bool")
        return b"\x01" if value else b"\x00"
    if tag.scaled:
        value = unscaled(tag, value)
    if isinstance(value, bool) or not isinstance(value, float if tag.type in _FLOATS else int):
        raise InvalidData(f"{tag.name}: {value!r} is not of type {tag.type.value}")
    try:
        raw = struct.pack(FORMATS[tag.type], value)
    except (struct.error, OverflowError) as error:
        raise InvalidData(f"{tag.name}: {value!r} does not fit into {tag.type.value}") from error
    return reorder(raw, tag.modbus.byte_order)


def decode(tag: Tag, raw: bytes | None) -> Value:
    """The value that `raw` holds.

    Raises InvalidData for None (nothing was read), another length, or a BOOL that is neither 00 nor 01.
    """
    if raw is None:
        raise InvalidData(f"{tag.name}: nothing was read")
    if len(raw) != tag.type.size:
        raise InvalidData(f"{tag.name}: {len(raw)} bytes, {tag.type.value} has {tag.type.size}")
    if tag.type is DataType.BOOL:
        if raw not in (b"\x00", b"\x01"):
            raise InvalidData(f"{tag.name}: byte {raw.hex()} is neither 00 nor 01")
        return raw == b"\x01"
    value: int | float = struct.unpack(FORMATS[tag.type], reorder(raw, tag.modbus.byte_order))[0]
    return value * tag.scale + tag.offset if tag.scaled else value


def unscaled(tag: Tag, value: Value) -> Value:
    """What the PLC is to hold for a `value` in the tag's unit: the nearest whole number where the tag's type is one.

    Raises InvalidData for what is no number, or not finite.
    """
    if isinstance(value, bool) or not math.isfinite(value):
        raise InvalidData(f"{tag.name}: {value!r} is not a finite number")
    held = (value - tag.offset) / tag.scale
    return held if tag.type in _FLOATS else round(held)


def decoder_of(tags: Sequence[Tag]) -> Callable[[Sequence[bytes | None]], list[Value]]:
    """A function that decodes one raw value of each of `tags` at once, as `decode` does it one by one.

    It raises InvalidData as `decode` does, for the first value that is wrong, or for another number of values.
    """
    tags = tuple(tags)
    sizes = [tag.type.size for tag in tags]
    bools = [place for place, tag in enumerate(tags) if tag.type is DataType.BOOL]
    little = all(tag.type.size == 1 or _is_little(tag) for tag in tags)
    # What is in neither order of bytes is brought into the big one first.
    turned = [
        (place, tag.modbus.byte_order)
        for place, tag in enumerate(tags)
        if not little and tag.type is not DataType.BOOL and not _is_big(tag)
    ]
    scaled = [(place, tag.scale, tag.offset) for place, tag in enumerate(tags) if tag.scaled]
    layout = struct.Struct(
        ("<" if little else ">") + "".join("?" if tag.type is DataType.BOOL else FORMATS[tag.type][1] for tag in tags)
    )

    def one_by_one(raws: Sequence[bytes | None]) -> list[Value]:
        if len(raws) != len(tags):
            raise InvalidData(f"{len(raws)} values, there are {len(tags)} tags")
        return [decode(tag, raw) for tag, raw in zip(tags, raws, strict=True)]

    def all_at_once(raws: Sequence[bytes | None]) -> list[Value]:
        found = [raw for raw in raws if raw is not None]
        if (
            len(raws) != len(sizes)
            or list(map(len, found)) != sizes
            or not all(found[place] in _BITS for place in bools)
        ):
            return one_by_one(raws)
        for place, order in turned:
            found[place] = reorder(found[place], order)
        values: list[Value] = list(layout.unpack(b"".join(found)))
        for place, scale, offset in scaled:
            values[place] = values[place] * scale + offset
        return values

    return all_at_once


def as_read(tags: Sequence[Tag], *, scales: bool = False) -> tuple[Tag, ...]:
    """The tag list by which raw values of an OPC UA reader are decoded: the same tags, in byte order DCBA.

    The reader keeps a value's bytes as OPC UA has them, least significant byte first (OPC 10000-6, section 5.2.2),
    whatever order the same tag has in its Modbus registers. The schema of a log says how its values are to be read, so
    the schema of this reader's log is that of these tags, and `decode` needs no other rule.

    A scaled tag is a FLOAT64 in its unit there, which nobody has to scale: so our servers show it. scales: for a device
    that holds the unscaled number in its node as well; the tag stays as it is.
    """
    return tuple(_as_read(tag, scales) for tag in tags)


def _as_read(tag: Tag, scales: bool) -> Tag:
    modbus = replace(tag.modbus, byte_order=ByteOrder.DCBA)
    if tag.scaled and not scales:
        return replace(tag, modbus=modbus, type=DataType.FLOAT64, scale=1.0, offset=0.0)
    return replace(tag, modbus=modbus)


def registers_of(raw: bytes) -> list[int]:
    """The 16-bit registers of `raw`; raises InvalidData for an odd number of bytes."""
    if len(raw) % 2:
        raise InvalidData(f"{len(raw)} bytes do not fill whole registers")
    return list(struct.unpack(f">{len(raw) // 2}H", raw))


def bytes_of(registers: Iterable[int]) -> bytes:
    """The bytes of 16-bit registers, as they were on the wire."""
    return b"".join(register.to_bytes(2, "big") for register in registers)


def reorder(raw: bytes, order: ByteOrder) -> bytes:
    """Between big endian and `order`; each of the four orders undoes itself."""
    if order in (ByteOrder.BADC, ByteOrder.DCBA):
        raw = b"".join(raw[i + 1 : i + 2] + raw[i : i + 1] for i in range(0, len(raw), 2))
    if order in (ByteOrder.CDAB, ByteOrder.DCBA):
        raw = b"".join(raw[i : i + 2] for i in range(len(raw) - 2, -1, -2))
    return raw


def _is_big(tag: Tag) -> bool:
    order = tag.modbus.byte_order
    return order is ByteOrder.ABCD or (order is ByteOrder.CDAB and tag.type.size == 2)


def _is_little(tag: Tag) -> bool:
    order = tag.modbus.byte_order
    return order is ByteOrder.DCBA or (order is ByteOrder.BADC and tag.type.size == 2)
