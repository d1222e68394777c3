"""Modes and manual outputs: what is told is done, at the rate of the actuators, and a change of mode gives no bump."""

import pytest

from testbed.pytest_plugin.capturing import Captures
from testbed.pytest_plugin.measuring import Measure
from testbed.pytest_plugin.plc import Plc

OUTPUTS = [
    ("manual.pump_speed", "pump.speed", 40.0, "%"),
    ("manual.valve_position", "valve.position", 30.0, "%"),
    ("manual.heater_power", "heater.power", 6.0, "kW"),
]


@pytest.mark.parametrize(("command", "shows", "value", "unit"), OUTPUTS)
def test_manual_outputs_are_driven(
    manual: Plc, measure: Measure, command: str, shows: str, value: float, unit: str
) -> None:
    manual[command] = value
    manual.wait_until(shows).within(value - 0.1, value + 0.1, unit, limit=8)
    measure(shows).stays_within(value - 0.1, value + 0.1, unit, for_s=2)


@pytest.mark.parametrize(
    ("command", "shows", "value", "rate"),
    [("manual.pump_speed", "pump.speed", 100.0, 20.0), ("manual.valve_position", "valve.position", 100.0, 10.0)],
)
def test_actuators_ramp_at_their_rate(
    manual: Plc, capture: Captures, measure: Measure, command: str, shows: str, value: float, rate: float
) -> None:
    with capture(shows) as seen:
        manual[command] = value
        manual.wait_until(shows).above(value - 0.5, "%", limit=15)
    measure.computed("fastest change", seen.fastest(shows), "%/s").within(0.5 * rate, 1.02 * rate, "%/s")


def test_automatic_takes_over_without_a_bump(manual: Plc, capture: Captures, measure: Measure) -> None:
    manual["manual.valve_position"] = 40.0
    manual["manual.pump_speed"] = 65.0
    manual.wait_until("pump.speed").above(64.5, "%", limit=8)
    manual["control.level_setpoint"] = round(float(manual["tank2.level"]), 2)
    with capture("pump.speed") as seen:
        manual["control.mode"] = 2
        manual.let_pass(0.5)
    bump = max(abs(float(speed) - 65.0) for speed in seen.values("pump.speed"))
    measure.computed("bump", bump, "%").below(5.0, "%")


def test_manual_takes_over_from_automatic(automatic: Plc, measure: Measure) -> None:
    automatic["manual.pump_speed"] = 30.0
    automatic["control.mode"] = 1
    automatic.wait_until("pump.speed").within(29.5, 30.5, "%", limit=8)
    measure("pump.speed").stays_within(29.5, 30.5, "%", for_s=5)


def test_manual_values_do_nothing_in_automatic(automatic: Plc, measure: Measure) -> None:
    automatic["manual.heater_power"] = 12.0
    automatic["control.temperature_setpoint"] = 5.0
    automatic.let_pass(4)
    measure("heater.power").stays_below(0.05, "kW", for_s=5)
