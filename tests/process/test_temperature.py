"""Temperature of tank 2: heating, limits of the heater, and what it must not do."""

import pytest

from testbed.pytest_plugin.capturing import Captures
from testbed.pytest_plugin.measuring import Measure
from testbed.pytest_plugin.plant import Plant
from testbed.pytest_plugin.plc import Plc


def test_a_higher_set_point_heats(automatic: Plc, measure: Measure) -> None:
    before = float(automatic["tank2.temperature"])
    automatic["control.temperature_setpoint"] = 30.0
    automatic.wait_until("heater.power").above(11.0, "kW", limit=8)
    automatic.wait_until("tank2.temperature").above(before + 1.5, "degC", limit=60)
    measure("heater.power").below(12.0, "kW")


def test_above_its_set_point_the_heater_rests(automatic: Plc, measure: Measure) -> None:
    automatic["control.temperature_setpoint"] = 5.0
    automatic.let_pass(5)
    measure("heater.power").stays_below(0.05, "kW", for_s=10)


@pytest.mark.requires("plant")
def test_the_temperature_settles_without_overshoot(
    cell: Plc, plant: Plant, capture: Captures, measure: Measure
) -> None:
    plant.renew(temperature=38.0)
    cell["control.level_setpoint"] = 0.5
    cell["control.temperature_setpoint"] = 40.0
    cell["control.mode"] = 2
    with capture("tank2.temperature", "heater.power") as seen:
        cell.wait_until("tank2.temperature").within(39.0, 41.0, "degC", limit=150, for_s=20)
    measure.computed("overshoot", seen.highest("tank2.temperature") - 40.0, "degC").below(1.0, "degC")


def test_the_heater_follows_its_slew_rate(manual: Plc, capture: Captures, measure: Measure) -> None:
    with capture("heater.power") as seen:
        manual["manual.heater_power"] = 12.0
        manual.wait_until("heater.power").above(11.9, "kW", limit=6)
    measure.computed("fastest change", seen.fastest("heater.power"), "kW/s").within(0.5, 4.2, "kW/s")
