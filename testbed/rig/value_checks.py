"""Whether the values of a device make sense: finite, within their ranges, and in which byte order they would."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from testbed.core.errors import InvalidData
from testbed.core.tags import ByteOrder, DataType, Tag, Value
from testbed.fieldbus.registers import decode

_MOST_NAMED = 5
_VANISHED = 1e-9
_LEAST, _MOST = 1e-3, 1e7
"""Magnitudes of what plants measure, in the units that people use for it."""


@dataclass(frozen=True, slots=True)
class ValueFault:
    """A value that cannot be right as the tag is described. orders: byte orders in which it would be."""

    tag: Tag
    value: Value
    orders: tuple[ByteOrder, ...]


def value_faults(values: Mapping[Tag, bytes]) -> list[ValueFault]:
    """Each tag whose raw value is not finite or out of its range, or so small that another byte order is meant."""
    found: list[ValueFault] = []
    for tag, raw in values.items():
        value = _value(tag, raw)
        if value is None:
            continue
        others = [order for order in ByteOrder if order is not tag.modbus.byte_order]
        turned = {order: _value(_in(tag, order), raw) for order in others if tag.type is not DataType.BOOL}
        fitting = tuple(order for order, other in turned.items() if _fits(tag, other))
        # A float in the wrong order mostly vanishes: 230.1 becomes 1.6e-23, which is finite and within 0..300.
        vanished = isinstance(value, float) and 0 < abs(value) < _VANISHED
        if not _fits(tag, value) or (vanished and any(_is_plain(turned[order]) for order in fitting)):
            found.append(ValueFault(tag, value, fitting))
    return found


def told(faults: Sequence[ValueFault], values: Mapping[Tag, bytes]) -> tuple[str, str]:
    """What is wrong and its mend, for a person; `faults` is not empty."""
    named = ", ".join(f"{_shown(fault.tag, fault.value)} ({_range(fault.tag)})" for fault in faults[:_MOST_NAMED])
    more = f", and {len(faults) - _MOST_NAMED} more" if len(faults) > _MOST_NAMED else ""
    turned = [fault for fault in faults if fault.orders]
    if order := _common_order(turned, values):
        fault = turned[0]
        instead = _shown(fault.tag, _value(_in(fault.tag, order), values[fault.tag]))
        tags = ", ".join(fault.tag.name for fault in turned[:_MOST_NAMED])
        rest = "" if len(turned) == len(faults) else "; of the others look at type, scale and range"
        return f"{named}{more}", f'write byte_order = "{order.value}" for {tags}: {instead}{rest}'
    return f"{named}{more}", "compare type, scale, byte_order, range and address with the device's manual"


def _common_order(faults: Sequence[ValueFault], values: Mapping[Tag, bytes]) -> ByteOrder | None:
    """The order that fits most of them; CDAB, which is met most, before the others."""
    if not faults:
        return None
    orders = (ByteOrder.CDAB, ByteOrder.ABCD, ByteOrder.BADC, ByteOrder.DCBA)
    # Of a float that was turned the wrong way, more than one order may be finite: the least extreme is meant.
    return max(
        orders, key=lambda order: (sum(order in fault.orders for fault in faults), _plain(faults, order, values))
    )


def _plain(faults: Sequence[ValueFault], order: ByteOrder, values: Mapping[Tag, bytes]) -> int:
    """How many values would be of a size that people measure."""
    shown = [_value(_in(fault.tag, order), values[fault.tag]) for fault in faults if order in fault.orders]
    return sum(_is_plain(value) for value in shown)


def _is_plain(value: Value | None) -> bool:
    return value is not None and _LEAST <= abs(value) <= _MOST


def _value(tag: Tag, raw: bytes) -> Value | None:
    try:
        return decode(tag, raw)
    except InvalidData:
        return None


def _in(tag: Tag, order: ByteOrder) -> Tag:
    return replace(tag, modbus=replace(tag.modbus, byte_order=order))


def _fits(tag: Tag, value: Value | None) -> bool:
    if isinstance(value, bool):
        return True
    return value is not None and math.isfinite(value) and tag.low <= value <= tag.high


def _shown(tag: Tag, value: Value | None) -> str:
    number = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{tag.name} = {number} {tag.unit}".rstrip()


def _range(tag: Tag) -> str:
    return f"range {tag.low:g}..{tag.high:g}"
