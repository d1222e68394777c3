"""Start-up and stop: what moves, when, and what must not."""

import pytest

from testbed.core.errors import NotAllowed, UsageError
from testbed.pytest_plugin.capturing import Captures
from testbed.pytest_plugin.measuring import Measure
from testbed.pytest_plugin.plc import Plc


@pytest.mark.usefixtures("cell")
def test_a_cell_that_is_off_stands_still(measure: Measure) -> None:
    measure("pump.speed").stays_below(0.5, "%", for_s=5)
    measure("valve.position").below(0.5, "%")
    measure("heater.power").below(0.05, "kW")


@pytest.mark.usefixtures("cell")
def test_a_cell_at_rest_has_no_alarm_and_no_latch(measure: Measure) -> None:
    for tag in ("alarm.high_level", "alarm.high_temperature", "interlock.pump", "interlock.heater", "estop.active"):
        measure(tag).is_false()


def test_the_scan_counter_counts(cell: Plc) -> None:
    before = cell["plc.scan"]
    cell.let_pass(1.0)
    assert cell["plc.scan"] >= before + 10


def test_in_automatic_the_pump_starts_and_the_level_rises(cell: Plc, measure: Measure) -> None:
    level = float(cell["tank2.level"])
    cell["control.mode"] = 2
    started = cell.wait_until("pump.speed").above(20.0, "%", limit=5)
    measure.computed("time to start", started.after_s, "s").below(5.0, "s")
    cell.wait_until("tank2.level").above(level + 0.05, "m", limit=30)


def test_off_stops_everything_within_the_time_of_its_actuators(automatic: Plc, measure: Measure) -> None:
    automatic["control.mode"] = 0
    automatic.wait_until("pump.speed").below(0.5, "%", limit=8)
    automatic.wait_until("valve.position").below(0.5, "%", limit=8)
    measure("heater.power").below(0.05, "kW")


def test_water_is_only_moved(cell: Plc, capture: Captures, measure: Measure) -> None:
    cell["control.mode"] = 2
    with capture("tank1.level", "tank2.level") as seen:
        cell.let_pass(30)
    volumes = [
        0.1 * float(one) + 0.05 * float(two)
        for one, two in zip(seen.values("tank1.level"), seen.values("tank2.level"), strict=True)
    ]
    measure.computed("change of all water", max(volumes) - min(volumes), "m3").below(0.001, "m3")


@pytest.mark.parametrize(("tag", "value"), [("control.level_setpoint", 2.5), ("control.mode", 3)])
def test_a_command_out_of_range_changes_nothing(cell: Plc, tag: str, value: float) -> None:
    before = cell[tag]
    with pytest.raises((UsageError, NotAllowed)):
        cell[tag] = value
    assert cell[tag] == before


def test_what_is_measured_cannot_be_written(cell: Plc) -> None:
    with pytest.raises(UsageError):
        cell["tank2.level"] = 1.0
