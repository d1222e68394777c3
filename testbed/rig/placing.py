"""Where tags stand on the bench's own Modbus server, when the PLC itself has other addresses or several units."""

from collections.abc import Sequence
from dataclasses import replace

from testbed.core.tags import ByteOrder, DataType, ModbusAddress, ModbusTable, Tag
from testbed.fieldbus.node_text import own_nodes
from testbed.rig.bench_file import TagTable
from testbed.rig.tag_checks import places


def placed(tags: Sequence[TagTable]) -> list[ModbusAddress]:
    """The Modbus address of each tag: its own, or the next free one behind all that are given."""
    free = dict.fromkeys(ModbusTable, 0)
    for tag in tags:
        if tag.modbus is not None:
            table = ModbusTable(tag.modbus.table)
            free[table] = max(free[table], tag.modbus.address + places(tag, table))
    found: list[ModbusAddress] = []
    for tag in tags:
        if tag.modbus is not None:
            order = ByteOrder(tag.modbus.byte_order)
            found.append(ModbusAddress(ModbusTable(tag.modbus.table), tag.modbus.address, order))
            continue
        table = _table(DataType(tag.type), writable=tag.writable)
        found.append(ModbusAddress(table, free[table]))
        free[table] += places(tag, table)
    return found


def shown(tags: Sequence[Tag]) -> tuple[Tag, ...]:
    """The tags as the bench's own servers show them: one unit, so that those of several are laid out anew, and
    nodes of our own.
    """
    tags = own_nodes(tags)
    if all(tag.unit_id is None and not tag.s7 for tag in tags):
        return tags
    several = len({tag.unit_id for tag in tags}) > 1
    free = dict.fromkeys(ModbusTable, 0)
    found: list[Tag] = []
    for tag in tags:
        place, width = tag.modbus, 1 if tag.modbus.table.is_bit else tag.type.size // 2
        if several:
            place = replace(place, address=free[place.table])
            free[place.table] += width
        found.append(replace(tag, modbus=place, unit_id=None, s7=""))
    return tuple(found)


def _table(kind: DataType, *, writable: bool) -> ModbusTable:
    if kind is DataType.BOOL:
        return ModbusTable.COIL if writable else ModbusTable.DISCRETE_INPUT
    return ModbusTable.HOLDING_REGISTER if writable else ModbusTable.INPUT_REGISTER
