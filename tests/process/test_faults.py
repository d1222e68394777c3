"""Failed sensors, stuck actuators, a leak, a worn pump: the cell stays safe, and the twin notices."""

import math

import pytest

from testbed.pytest_plugin.capturing import Captures
from testbed.pytest_plugin.measuring import Measure
from testbed.pytest_plugin.plant import Plant
from testbed.pytest_plugin.plc import Plc
from testbed.pytest_plugin.twin import Twin

pytestmark = pytest.mark.requires("plant")


@pytest.mark.parametrize("sensor", ["tank1.level", "tank2.level", "tank2.temperature"])
def test_a_broken_wire_trips_pump_and_heater(automatic: Plc, plant: Plant, sensor: str) -> None:
    plant.fail_sensor(sensor)
    assert math.isnan(automatic[sensor])
    automatic.wait_until("interlock.pump").is_true(limit=1)
    automatic.wait_until("interlock.heater").is_true(limit=1)
    automatic.wait_until("pump.speed").below(0.5, "%", limit=8)


def test_a_sensor_that_is_stuck_is_seen_by_the_twin(automatic: Plc, plant: Plant, twin: Twin, measure: Measure) -> None:
    automatic.let_pass(10)
    measure.computed("residual before", abs(twin.residual("tank2.level")), "m").below(0.02, "m")
    plant.fail_sensor("tank2.level", shows=0.3)
    automatic.let_pass(3)
    measure.computed("residual", abs(twin.residual("tank2.level")), "m").above(0.02, "m")


def test_a_stuck_valve_shows_where_it_is(manual: Plc, plant: Plant, measure: Measure) -> None:
    plant.stick("valve", at=10.0)
    manual["manual.valve_position"] = 80.0
    measure("valve.position").stays_within(9.9, 10.1, "%", for_s=10)
    plant.free("valve")
    manual.wait_until("valve.position").above(79.5, "%", limit=10)


def test_the_level_is_held_although_the_valve_is_stuck_open(automatic: Plc, plant: Plant, measure: Measure) -> None:
    plant.stick("valve", at=70.0)
    automatic["control.level_setpoint"] = 0.6
    automatic.wait_until("valve.position").within(69.9, 70.1, "%", limit=2)
    automatic.let_pass(30)
    measure("tank2.level").stays_within(0.45, 0.7, "m", for_s=10)


def test_a_stuck_pump_fills_nothing(manual: Plc, plant: Plant, measure: Measure) -> None:
    plant.stick("pump", at=0.0)
    manual["manual.pump_speed"] = 100.0
    measure("pump.flow").stays_below(0.05, "m3/h", for_s=10)
    measure("tank2.level").within(0.48, 0.52, "m")


def test_a_leak_loses_water_and_the_twin_estimates_it(
    cell: Plc, plant: Plant, capture: Captures, twin: Twin, measure: Measure
) -> None:
    plant.leak(0.5)
    with capture("tank2.level") as seen:
        cell.let_pass(60)
    lost = float(seen.values("tank2.level")[0]) - float(seen.values("tank2.level")[-1])
    measure.computed("lost level", lost, "m").within(0.08, 0.14, "m")
    measure.computed("leak by the twin", twin.output("leak.estimate"), "m3/h").within(0.15, 0.5, "m3/h")


def test_a_worn_pump_moves_less(manual: Plc, plant: Plant, measure: Measure) -> None:
    manual["manual.pump_speed"] = 80.0
    manual.wait_until("pump.speed").above(79.5, "%", limit=8)
    manual.let_pass(1)
    good = float(manual["pump.flow"])
    plant.wear(0.3)
    manual.let_pass(1)
    measure.computed("flow that is left", float(manual["pump.flow"]) / good).within(0.6, 0.95)


def test_a_worn_pump_is_seen_by_the_twin(automatic: Plc, plant: Plant, twin: Twin, measure: Measure) -> None:
    automatic.let_pass(5)
    plant.wear(0.4)
    automatic.let_pass(3)
    measure.computed("residual of the flow", abs(twin.residual("pump.flow")), "m3/h").above(0.2, "m3/h")
