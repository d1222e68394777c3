"""Where tags may stand, and how few requests read them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import UsageError
from testbed.core.tags import DataType, ModbusAddress, ModbusTable, Tag
from testbed.fieldbus.layout import MOST_BITS, MOST_REGISTERS, plan, tables, width
from testbed.rig.bench import load_bench

HOLDING, COIL = ModbusTable.HOLDING_REGISTER, ModbusTable.COIL


def tag_at(address: int, kind: DataType = DataType.UINT16, table: ModbusTable = HOLDING) -> Tag:
    return Tag(f"at.{table.value}.{address}", kind, "", 0, 1, True, ModbusAddress(table, address), f"cell.{address}")


def test_the_water_cell_takes_four_reads() -> None:
    blocks = [(block.table.value, block.address, block.count) for block in plan(load_bench(None).tags, gap=1)]
    assert sorted(blocks) == [
        ("coil", 0, 2),
        ("discrete_input", 0, 7),
        ("holding_register", 0, 15),
        ("input_register", 0, 20),
    ]
    assert len(plan(load_bench(None).tags, gap=0)) == 5


@given(st.sets(st.integers(0, 3000), max_size=60), st.integers(0, 40), st.sampled_from([HOLDING, COIL]))
def test_a_plan_reads_every_tag_once_and_keeps_the_limits(addresses: set[int], gap: int, table: ModbusTable) -> None:
    kind = DataType.BOOL if table.is_bit else DataType.UINT32
    scale = 1 if table.is_bit else 2
    tags = [tag_at(scale * address, kind, table) for address in addresses]
    blocks = plan(tags, gap)
    assert sorted(tag.name for block in blocks for tag in block.tags) == sorted(tag.name for tag in tags)
    for block in blocks:
        assert 1 <= block.count <= (MOST_BITS if table.is_bit else MOST_REGISTERS)
        idle = block.count - sum(width(tag) for tag in block.tags)
        assert idle <= gap * (len(block.tags) - 1)
        for tag in block.tags:
            assert block.address <= tag.modbus.address
            assert tag.modbus.address + width(tag) <= block.address + block.count


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        ([tag_at(0, DataType.BOOL)], "cannot stand"),
        ([tag_at(0, DataType.UINT16, COIL)], "cannot stand"),
        ([tag_at(65535, DataType.FLOAT32)], "65535"),
        ([tag_at(-1)], "address -1"),
        ([tag_at(0, DataType.FLOAT32), tag_at(1)], "overlap"),
        ([tag_at(4), replace(tag_at(4), name="other")], "overlap"),
    ],
)
def test_tags_that_do_not_fit_are_named(tags: list[Tag], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        tables(tags)
