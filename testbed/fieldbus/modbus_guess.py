"""What registers might hold, by their bits alone: a guess, for a person to confirm."""

import math
import struct
from collections.abc import Mapping

from testbed.core.tags import ByteOrder

_LEAST, _MOST = 1e-3, 1e7
"""Magnitudes of what plants measure, in the units that people use for it."""


def float_pairs(values: Mapping[int, int]) -> tuple[ByteOrder, dict[int, float]]:
    """Pairs of registers that look like one float32: their order, and each value by its first address.

    values: what each address held. All pairs of a table have one order of registers, the one in which more of them look
    like floats. A pair of zeros looks like nothing.
    """
    found = {order: _in_order(values, order) for order in (ByteOrder.ABCD, ByteOrder.CDAB)}
    order = max(found, key=lambda one: len(found[one]))  # of two that are equal the first, big endian
    return order, found[order]


def _in_order(values: Mapping[int, int], order: ByteOrder) -> dict[int, float]:
    pairs: dict[int, float] = {}
    best: dict[int, float] = {}
    for address in sorted(values):
        if address - 1 not in values:
            pairs |= best
            best = _in_run(values, address, order)
    return pairs | best


def _in_run(values: Mapping[int, int], first: int, order: ByteOrder) -> dict[int, float]:
    """Pairs of the run that begins at `first`, counted from an even or an odd place of it, whichever gives more."""
    last = first
    while last + 1 in values:
        last += 1
    counted: list[dict[int, float]] = []
    for start in (first, first + 1):
        found: dict[int, float] = {}
        for address in range(start, last, 2):
            words = (values[address], values[address + 1])
            high, low = words if order is ByteOrder.ABCD else words[::-1]
            value: float = struct.unpack(">f", struct.pack(">HH", high, low))[0]
            if math.isfinite(value) and _LEAST <= abs(value) <= _MOST:
                found[address] = value
        counted.append(found)
    return max(counted, key=len)
