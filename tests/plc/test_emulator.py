"""PLC and plant together, under simulated time."""

from dataclasses import replace

import pytest

from testbed.core.errors import DeviceError, UsageError
from testbed.core.tags import DataType, ModbusAddress, ModbusTable, Tag, Value
from testbed.fieldbus.source import float32
from testbed.plant.cell import CellParameters
from testbed.plc.emulator import Emulator
from testbed.plc.image import MOST_PENDING
from testbed.rig.bench import load_bench

TAGS = load_bench(None).tags


def run(emulator: Emulator, seconds: float) -> dict[str, Value]:
    for _ in range(round(seconds / emulator.scan_s)):
        emulator.scan()
    return dict(emulator.image.snapshot())


def test_level_and_temperature_reach_their_set_points() -> None:
    values = run(Emulator(TAGS, seed=1), 1500)
    assert values["tank2.level"] == pytest.approx(1.0, abs=0.01)
    assert values["tank2.temperature"] == pytest.approx(40.0, abs=1.5)
    assert values["pump.flow"] > 0.5
    assert not any(value for name, value in values.items() if name.startswith(("alarm", "interlock", "estop")))


def test_a_new_level_set_point_is_followed() -> None:
    emulator = Emulator(TAGS, seed=1)
    run(emulator, 300)
    emulator.image.write("control.level_setpoint", 1.4)
    assert run(emulator, 400)["tank2.level"] == pytest.approx(1.4, abs=0.02)


def test_the_estop_stops_pump_and_heater_until_reset() -> None:
    emulator = Emulator(TAGS, seed=1)
    run(emulator, 20)
    emulator.image.write("estop.pressed", True)
    values = run(emulator, 10)
    assert values["estop.active"] is True
    assert values["pump.speed"] == values["heater.power"] == 0.0
    assert values["pump.flow"] < 0.01
    emulator.image.write("estop.pressed", False)
    assert run(emulator, 1)["estop.active"] is True
    emulator.image.write("control.reset", True)
    values = run(emulator, 10)
    assert values["estop.active"] is False
    assert values["pump.speed"] > 10


def test_reset_is_a_push_button() -> None:
    emulator = Emulator(TAGS)
    emulator.image.write("control.reset", True)
    emulator.scan()
    assert emulator.image.snapshot()["control.reset"] is True
    emulator.scan()
    assert emulator.image.snapshot()["control.reset"] is False


def test_a_leak_ends_with_an_empty_reservoir_and_a_stopped_pump() -> None:
    emulator = Emulator(TAGS, seed=2)
    run(emulator, 60)
    emulator.disturb(leak=1.0)
    values = run(emulator, 900)
    assert values["alarm.low_level"] is True
    assert values["interlock.pump"] is True
    assert values["pump.speed"] == 0.0
    with pytest.raises(UsageError, match="leek"):
        emulator.disturb(leek=1.0)


def test_a_write_takes_effect_in_the_next_scan_and_not_before() -> None:
    emulator = Emulator(TAGS)
    before = emulator.image.snapshot()
    emulator.image.write("control.level_setpoint", 1.25)
    assert emulator.image.snapshot() is before
    emulator.scan()
    assert emulator.image.snapshot()["control.level_setpoint"] == 1.25
    assert before["control.level_setpoint"] == 1.0


def test_the_same_seed_and_writes_give_the_same_values() -> None:
    def trace(seed: int) -> list[dict[str, Value]]:
        emulator = Emulator(TAGS, CellParameters(noise=0.01), seed)
        values = []
        for index in range(200):
            if index == 50:
                emulator.image.write("control.level_setpoint", 1.3)
            emulator.scan()
            values.append(dict(emulator.image.snapshot()))
        return values

    assert trace(1) == trace(1)
    assert trace(1) != trace(2)


def test_the_scan_counter_counts_and_wraps() -> None:
    emulator = Emulator(TAGS, boot=7)
    assert emulator.image.snapshot()["plc.boot"] == 7
    emulator._count = 0xFFFFFFFE
    seen = []
    for _ in range(3):
        emulator.scan()
        seen.append(emulator.image.snapshot()["plc.scan"])
    assert seen == [0xFFFFFFFF, 0, 1]


def test_float32_tags_hold_what_a_float32_can_hold() -> None:
    emulator = Emulator(TAGS, seed=4)
    emulator.image.write("control.level_setpoint", 0.7)
    values = run(emulator, 3)
    for tag in TAGS:
        value = values[tag.name]
        if tag.type is DataType.FLOAT32:
            assert isinstance(value, float)
            assert value == float32(value)
    assert values["control.level_setpoint"] == float32(0.7) != 0.7


def test_a_snapshot_cannot_be_changed() -> None:
    snapshot = Emulator(TAGS).image.snapshot()
    with pytest.raises(TypeError):
        snapshot["plc.scan"] = 1  # type: ignore[index]  # this is what is tried


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("control.level_setpoint", 2.5, "out of range"),
        ("control.level_setpoint", float("nan"), "out of range"),
        ("control.level_setpoint", True, "not of type float32"),
        ("control.mode", 3, "out of range"),
        ("control.mode", -1, "out of range"),
        ("control.mode", 1.0, "not of type uint16"),
        ("estop.pressed", 1, "not a bool"),
        ("tank1.level", 1.0, "cannot be written"),
        ("no.such", 1.0, "no tag"),
    ],
)
def test_a_write_that_a_tag_cannot_hold_is_refused(name: str, value: Value, says: str) -> None:
    image = Emulator(TAGS).image
    with pytest.raises(UsageError, match=says):
        image.write(name, value)
    with pytest.raises(UsageError, match=says):
        image.write_all({"control.temperature_setpoint": 50.0, name: value})
    assert image.take_writes() == {}


def test_the_latest_value_is_what_waits_or_is_taken_in_or_is_shown() -> None:
    image = Emulator(TAGS).image
    shown = image.snapshot()
    assert image.latest("control.mode") == 2
    image.write("control.mode", 1)
    assert image.latest("control.mode") == 1
    # While a scan is under way, what it took is in no snapshot yet.
    assert image.take_writes() == {"control.mode": 1}
    assert image.latest("control.mode") == 1
    image.write("control.mode", 0)
    assert image.latest("control.mode") == 0
    image.publish({**shown, "control.mode": 1})
    assert image.latest("control.mode") == 0
    image.take_writes()
    image.publish({**shown, "control.mode": 2})
    assert image.latest("control.mode") == 2


def test_too_many_waiting_writes_are_refused() -> None:
    emulator = Emulator(TAGS)
    for _ in range(MOST_PENDING):
        emulator.image.write("control.level_setpoint", 1.0)
    with pytest.raises(DeviceError, match="wait for a scan"):
        emulator.image.write("control.level_setpoint", 1.0)
    emulator.scan()
    emulator.image.write("control.level_setpoint", 1.0)


def test_a_tag_that_the_program_does_not_have_is_named() -> None:
    tag = Tag(
        "tank3.level", DataType.FLOAT32, "m", 0, 2, False, ModbusAddress(ModbusTable.INPUT_REGISTER, 90), "cell.x"
    )
    with pytest.raises(UsageError, match=r"tank3\.level"):
        Emulator((*TAGS, tag))
    with pytest.raises(UsageError, match="cannot hold"):
        Emulator((replace(TAGS[2], type=DataType.UINT32),))
    assert set(Emulator(TAGS[:3]).image.snapshot()) == {"plc.scan", "plc.boot", "tank1.level"}


@pytest.mark.parametrize(
    ("kind", "low", "first", "then"),
    [(DataType.FLOAT32, -1.0, 0.0, 0.5), (DataType.UINT16, 3.0, 3, 7), (DataType.BOOL, 0.0, False, True)],
)
def test_a_spare_tag_holds_what_was_last_written(kind: DataType, low: float, first: Value, then: Value) -> None:
    place = ModbusAddress(ModbusTable.HOLDING_REGISTER, 90)
    emulator = Emulator((*TAGS, Tag("spare.one", kind, "", low, 9.0, True, place, "cell.spare.one")))
    emulator.scan()
    assert (emulator.image.snapshot()["spare.one"], type(first)) == (first, kind_of(emulator))
    emulator.image.write("spare.one", then)
    run(emulator, 1)
    assert (emulator.image.snapshot()["spare.one"], type(then)) == (then, kind_of(emulator))


def kind_of(emulator: Emulator) -> type:
    return type(emulator.image.snapshot()["spare.one"])
