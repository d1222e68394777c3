"""A drafted profile: it loads as it stands, and says what a stranger's device said without obeying it."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testbed.core.identity import Identity
from testbed.core.tags import ByteOrder, DataType, ModbusTable, Tag
from testbed.fieldbus.modbus_ranges import Found
from testbed.fieldbus.modbus_survey import TABLES, Survey, Unit
from testbed.rig.bench import Bench, load_bench
from testbed.rig.draft import MOST_TAGS, draft

SILENT = Identity()
TCP: dict[str, object] = {"protocol": "modbus-tcp", "host": "192.168.0.10", "port": 502}


def unit(number: int, *tables: Found, identity: Identity = SILENT, same_as: int | None = None) -> Unit:
    return Unit(number, identity, tables, same_as)


def found(table: ModbusTable, values: dict[int, int], most: int | None = None, *, pairs: bool = False) -> Found:
    return Found(table, values, most, pairs, 0, ())


def loaded(folder: Path, *units: Unit, connect: dict[str, object] = TCP) -> tuple[Bench, str]:
    text = draft(Survey(units, (), False, 0), connect, "testbed scan 192.168.0.10")
    file = folder / "bench.toml"
    file.write_text(text, encoding="utf-8")
    return load_bench(file), text


def tag(bench: Bench, name: str) -> Tag:
    (one,) = [tag for tag in bench.tags if tag.name == name]
    return one


def test_tags_are_named_after_where_they_stand(tmp_path: Path) -> None:
    bench, text = loaded(
        tmp_path,
        unit(
            3,
            found(ModbusTable.HOLDING_REGISTER, {0: 17, 1: 65535}),
            found(ModbusTable.INPUT_REGISTER, {12: 0x4366, 13: 0x199A, 14: 3}),
            found(ModbusTable.COIL, {3: 1}),
            found(ModbusTable.DISCRETE_INPUT, {0: 0}),
            identity=Identity("Acme", "Pump 5", "1.2"),
        ),
    )
    assert [one.name for one in bench.tags] == ["hr_0", "hr_1", "ir_12", "ir_14", "coil_3", "di_0"]
    assert (tag(bench, "hr_1").type, tag(bench, "hr_1").high) == (DataType.UINT16, 65535)
    assert (tag(bench, "ir_12").type, tag(bench, "ir_12").modbus.byte_order) == (DataType.FLOAT32, ByteOrder.ABCD)
    assert 'type = "float32"  # a guess, by its bits' in text
    assert "# held 230.1" in text
    assert "# Unit 3: Acme, Pump 5, 1.2" in text
    assert not any(one.writable for one in bench.tags)
    connect = bench.plc.connect
    assert connect is not None
    assert (connect.protocol, connect.host, connect.unit, connect.gap) == ("modbus-tcp", "192.168.0.10", 3, 16)
    assert (bench.plc.kind, bench.scan_tag) == ("physical", None)


def test_several_units_and_their_limits(tmp_path: Path) -> None:
    bench, _ = loaded(
        tmp_path,
        unit(1, found(ModbusTable.HOLDING_REGISTER, dict.fromkeys((*range(70), *range(75, 80)), 1), 60)),
        unit(2, found(ModbusTable.HOLDING_REGISTER, {0: 1}, 40), found(ModbusTable.COIL, {0: 1}, 16)),
        unit(255, found(ModbusTable.HOLDING_REGISTER, {0: 1}, 40), same_as=2),
    )
    connect = bench.plc.connect
    assert connect is not None
    assert (connect.unit, connect.most_registers, connect.most_bits, connect.gap) == (1, 40, 16, 0)
    assert (tag(bench, "unit1.hr_0").unit_id, tag(bench, "unit2.hr_0").unit_id) == (None, 2)
    assert not any("255" in one.name for one in bench.tags)


def test_swapped_floats_and_pairs(tmp_path: Path) -> None:
    swapped = found(ModbusTable.HOLDING_REGISTER, {0: 0x199A, 1: 0x4366})
    pairs = found(ModbusTable.INPUT_REGISTER, {0: 0, 1: 0, 2: 0x4366, 3: 0x199A}, pairs=True)
    bench, text = loaded(tmp_path, unit(1, swapped, pairs))
    assert tag(bench, "hr_0").modbus.byte_order is ByteOrder.CDAB
    assert [(one.name, one.type) for one in bench.tags[1:]] == [("ir_0", DataType.UINT32), ("ir_2", DataType.FLOAT32)]
    assert text.count("# held 230.1") == 2


def test_of_very_many_those_that_hold_something_are_drafted(tmp_path: Path) -> None:
    values = {**dict.fromkeys(range(2000), 0), **{at: at for at in range(1500, 1560)}}
    bench, text = loaded(tmp_path, unit(1, found(ModbusTable.HOLDING_REGISTER, values)))
    names = [one.name for one in bench.tags]
    assert len(names) == MOST_TAGS
    assert [f"hr_{at}" for at in range(1500, 1560) if f"hr_{at}" not in names] == []
    assert names[0] == "hr_0"
    assert f"{2000 - MOST_TAGS} are left out" in text


def test_a_serial_line_is_drafted_with_its_settings(tmp_path: Path) -> None:
    line = {"protocol": "modbus-rtu", "device": "/dev/ttyUSB0", "baud": 9600, "parity": "N", "stop_bits": 2}
    bench, _ = loaded(tmp_path, unit(7, found(ModbusTable.COIL, {0: 1})), connect=line)
    connect = bench.plc.connect
    assert connect is not None
    assert (connect.device, connect.baud, connect.parity, connect.stop_bits, connect.unit) == (
        "/dev/ttyUSB0",
        9600,
        "N",
        2,
        7,
    )


@pytest.mark.parametrize("said", ['x"\n[plc]\nkind = "emulated"', "\r\nscan_ms = 1", "\0", "\N{LINE SEPARATOR}a = 1"])
def test_what_a_stranger_says_stays_within_its_comment(tmp_path: Path, said: str) -> None:
    plainly, _ = loaded(tmp_path, unit(1, found(ModbusTable.COIL, {0: 1})))
    other, text = loaded(tmp_path, unit(1, found(ModbusTable.COIL, {0: 1}), identity=Identity(said, said, said)))
    assert other.plc == plainly.plc
    assert len(text.splitlines()) == len(plainly.text.splitlines())


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.builds(
            found,
            st.sampled_from(TABLES),
            st.dictionaries(st.integers(0, 65535), st.integers(0, 65535), min_size=1, max_size=40),
            st.none() | st.integers(1, 100),
            pairs=st.booleans(),
        ),
        min_size=1,
        max_size=4,
        unique_by=lambda one: one.table,
    )
)
def test_every_draft_loads(tmp_path: Path, tables: list[Found]) -> None:
    bits = [
        Found(one.table, {at: value % 2 for at, value in one.values.items()}, one.most, False, 0, ())
        if one.table.is_bit
        else one
        for one in tables
    ]
    bench, _ = loaded(tmp_path, unit(1, *bits))
    for one in bench.tags:
        (table,) = [table for table in bits if table.table is one.modbus.table]
        width = 1 if one.modbus.table.is_bit else one.type.size // 2
        assert set(range(one.modbus.address, one.modbus.address + width)) <= table.values.keys()
