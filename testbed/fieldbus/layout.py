"""Where tags stand in the four Modbus tables, and which requests read them all."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from testbed.core.errors import UsageError
from testbed.core.tags import DataType, ModbusTable, Tag

MOST_REGISTERS = 125
"""Registers in one read (Modbus Application Protocol V1.1b3, section 6.3)."""
MOST_BITS = 2000
"""Coils or discrete inputs in one read (section 6.1)."""


@dataclass(frozen=True, slots=True)
class Block:
    """One read request: `count` registers or bits from `address` on, and the tags that lie in it."""

    table: ModbusTable
    address: int
    count: int
    tags: tuple[Tag, ...]


def width(tag: Tag) -> int:
    """Addresses that the tag takes: registers, or one bit."""
    return 1 if tag.modbus.table.is_bit else tag.type.size // 2


def tables(tags: Sequence[Tag]) -> dict[ModbusTable, tuple[Tag, ...]]:
    """Tags of every table by rising address.

    Raises UsageError for a BOOL in a register or a number in a bit, for an address out of range, and for an overlap.
    """
    found: dict[ModbusTable, tuple[Tag, ...]] = {}
    for table in ModbusTable:
        here = sorted((tag for tag in tags if tag.modbus.table is table), key=lambda tag: tag.modbus.address)
        for tag in here:
            if (tag.type is DataType.BOOL) is not table.is_bit:
                raise UsageError(
                    f"tag {tag.name}: a {tag.type.value} cannot stand in a {table.value}",
                    "put a bool in a coil or discrete input, and a number in a register",
                )
            if not 0 <= tag.modbus.address <= 65536 - width(tag):
                raise UsageError(f"tag {tag.name}: address {tag.modbus.address}", "addresses go from 0 to 65535")
        for one, other in pairwise(here):
            if one.modbus.address + width(one) > other.modbus.address:
                raise UsageError(
                    f"tags {one.name} and {other.name} overlap in table {table.value}",
                    f"move {other.name} to address {one.modbus.address + width(one)} or above",
                )
        found[table] = tuple(here)
    return found


def plan(
    tags: Sequence[Tag], gap: int, most_registers: int = MOST_REGISTERS, most_bits: int = MOST_BITS
) -> tuple[Block, ...]:
    """The fewest reads that take in all tags; at most `gap` addresses without a tag are read along with the others.

    Raises UsageError as `tables` does.
    """
    blocks: list[Block] = []
    for table, here in tables(tags).items():
        most = most_bits if table.is_bit else most_registers
        start = end = 0
        members: list[Tag] = []
        for tag in here:
            address, stop = tag.modbus.address, tag.modbus.address + width(tag)
            if members and (address - end > gap or stop - start > most):
                blocks.append(Block(table, start, end - start, tuple(members)))
                members = []
            if not members:
                start = address
            members.append(tag)
            end = stop
        if members:
            blocks.append(Block(table, start, end - start, tuple(members)))
    return tuple(blocks)
