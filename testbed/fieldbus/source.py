"""What a fieldbus server needs of a PLC: one consistent snapshot for each request, and a place for writes."""

import math
import struct
from collections.abc import Mapping
from typing import Protocol

from testbed.core.errors import UsageError
from testbed.core.tags import DataType, Tag, Value

_INTEGERS = {
    DataType.INT16: (-(2**15), 2**15 - 1),
    DataType.UINT16: (0, 2**16 - 1),
    DataType.INT32: (-(2**31), 2**31 - 1),
    DataType.UINT32: (0, 2**32 - 1),
}


class ImageSource(Protocol):
    """A process image as servers see it. Safe to call from any thread."""

    def snapshot(self) -> Mapping[str, Value]:
        """All values of one scan, by tag name. The mapping never changes: the next scan brings another one.

        A tag that a bridged PLC does not give is left out: servers say that it has no value.
        """
        ...

    def latest(self, name: str) -> Value:
        """What was last written to the tag, until a scan publishes it, else what it shows. KeyError without a value."""
        ...

    def write(self, name: str, value: Value) -> None:
        """Hand a value over for the next scan. Raises UsageError (refused) or DeviceError (cannot take it now)."""
        ...

    def write_all(self, values: Mapping[str, Value]) -> None:
        """As `write`, for values that take effect in the same scan: all of them, or none."""
        ...


def float32(value: float) -> float:
    """`value` rounded to an IEEE 754 binary32; overflows to infinity as the format asks for."""
    try:
        rounded: float = struct.unpack(">f", struct.pack(">f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)
    return rounded


def held(tag: Tag, value: Value) -> Value:
    """The value as the tag will hold it: a FLOAT32 is rounded, an int becomes a float where the tag is one.

    Raises UsageError where the type is wrong, or the value is not a number or outside the tag's range.
    """
    if tag.type is DataType.BOOL:
        if not isinstance(value, bool):
            raise UsageError(f"{tag.name}: {value!r} is not a bool", "write true or false")
        return value
    whole = tag.type in _INTEGERS and not tag.scaled
    if isinstance(value, bool) or (whole and not isinstance(value, int)):
        raise UsageError(f"{tag.name}: {value!r} is not of type {tag.type.value}", f"write a {tag.type.value}")
    low, high = tag.low, tag.high
    if whole:
        least, most = _INTEGERS[tag.type]
        low, high = max(low, least), min(high, most)
    else:
        try:
            value = float(value)
        except OverflowError:
            value = math.inf
        except (TypeError, ValueError):
            raise UsageError(f"{tag.name}: {value!r} is no number", "write a number") from None
        if tag.type is DataType.FLOAT32 and not tag.scaled:
            # The limits are rounded as well, or a value at a limit such as 0.1 would be out of range.
            value, low, high = float32(value), float32(low), float32(high)
    if not (math.isfinite(value) and low <= value <= high):
        unit = f" {tag.unit}" if tag.unit else ""
        raise UsageError(f"{tag.name}: {value!r} is out of range", f"write a value from {low:g} to {high:g}{unit}")
    return value
