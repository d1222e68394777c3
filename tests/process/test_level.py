"""Level control of tank 2: set-points, overshoot, settling."""

import pytest

from testbed.pytest_plugin.capturing import Captures
from testbed.pytest_plugin.measuring import Measure
from testbed.pytest_plugin.plant import Plant
from testbed.pytest_plugin.plc import Plc
from testbed.pytest_plugin.twin import Twin


def test_the_level_settles_at_its_set_point(cell: Plc, measure: Measure) -> None:
    cell["control.level_setpoint"] = 0.7
    cell["control.mode"] = 2
    came = cell.wait_until("tank2.level").within(0.65, 0.75, "m", limit=200, for_s=15)
    measure.computed("settling time", came.after_s - 15, "s").below(150.0, "s")
    measure("tank2.level").stays_within(0.65, 0.75, "m", for_s=10)


def test_the_level_does_not_overshoot(cell: Plc, capture: Captures, measure: Measure) -> None:
    cell["control.level_setpoint"] = 0.7
    cell["control.mode"] = 2
    with capture("tank2.level", "pump.speed") as seen:
        cell.wait_until("tank2.level").above(0.65, "m", limit=120)
        cell.let_pass(30)
    measure.computed("overshoot", seen.highest("tank2.level") - 0.7, "m").below(0.05, "m")


def test_a_lower_set_point_is_followed_as_well(automatic: Plc, measure: Measure) -> None:
    automatic.wait_until("tank2.level").above(0.6, "m", limit=60)
    automatic["control.level_setpoint"] = 0.5
    automatic.wait_until("tank2.level").below(0.55, "m", limit=60)
    measure("tank2.level").stays_within(0.4, 0.6, "m", for_s=30)


@pytest.mark.limits("tank2.level", 0.3, 0.9, "m")
def test_set_points_up_and_down_stay_within_bounds(automatic: Plc) -> None:
    automatic["control.level_setpoint"] = 0.75
    automatic.wait_until("tank2.level").above(0.65, "m", limit=90)
    automatic["control.level_setpoint"] = 0.45
    automatic.wait_until("tank2.level").below(0.5, "m", limit=90)


def test_the_pump_never_leaves_its_range(cell: Plc, capture: Captures, measure: Measure) -> None:
    cell["control.mode"] = 2
    with capture("pump.speed") as seen:
        cell.let_pass(20)
    measure.computed("highest speed", seen.highest("pump.speed"), "%").below(100.0, "%")
    measure.computed("lowest speed", seen.lowest("pump.speed"), "%").above(0.0, "%")


@pytest.mark.requires("plant")
def test_a_full_tank_is_drained_to_its_set_point(cell: Plc, plant: Plant, measure: Measure) -> None:
    plant.renew(volume2=0.06)
    measure("tank2.level").within(1.15, 1.25, "m")
    cell["control.level_setpoint"] = 1.0
    cell["control.mode"] = 2
    cell.wait_until("tank2.level").below(1.05, "m", limit=60)


def test_the_twin_follows_the_level(automatic: Plc, twin: Twin, measure: Measure) -> None:
    automatic.let_pass(20)
    measure.computed("residual of the level", abs(twin.residual("tank2.level")), "m").below(0.02, "m")
    assert twin["tank2.level"] == pytest.approx(float(automatic["tank2.level"]), abs=0.03)
