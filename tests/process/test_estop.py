"""The E-stop: everything stops, and nothing starts by itself (ISO 13850)."""

import pytest

from testbed.pytest_plugin.measuring import Measure
from testbed.pytest_plugin.plc import Plc


@pytest.fixture
def stopped(automatic: Plc) -> Plc:
    """The cell, running in automatic until its E-stop was pressed."""
    automatic["estop.pressed"] = True
    automatic.wait_until("estop.active").is_true(limit=1)
    return automatic


def test_it_stops_pump_valve_and_heater(stopped: Plc, measure: Measure) -> None:
    for tag, unit in (("pump.speed", "%"), ("valve.position", "%"), ("heater.power", "kW")):
        stopped.wait_until(tag).below(0.05, unit, limit=8)
    measure("pump.flow").stays_below(0.05, "m3/h", for_s=3)


def test_letting_go_does_not_start_the_machine(stopped: Plc, measure: Measure) -> None:
    stopped["estop.pressed"] = False
    stopped.wait_until("pump.speed").below(0.05, "%", limit=8)
    measure("pump.speed").stays_below(0.05, "%", for_s=10)
    measure("estop.active").is_true()


def test_a_reset_while_it_is_pressed_does_nothing(stopped: Plc, measure: Measure) -> None:
    stopped["control.reset"] = True
    measure("estop.active").stays(True, for_s=3)


def test_after_letting_go_a_reset_starts_it_again(stopped: Plc) -> None:
    stopped.wait_until("pump.speed").below(0.05, "%", limit=8)
    stopped["estop.pressed"] = False
    stopped["control.reset"] = True
    stopped.wait_until("estop.active").is_false(limit=2)
    stopped.wait_until("pump.speed").above(20.0, "%", limit=10)


def test_it_acts_in_manual_too(manual: Plc, measure: Measure) -> None:
    manual["manual.pump_speed"] = 60.0
    manual.wait_until("pump.speed").above(59.0, "%", limit=6)
    manual["estop.pressed"] = True
    manual.wait_until("pump.speed").below(0.05, "%", limit=8)
    measure("manual.pump_speed").equals(60.0, "%", tolerance=0.1)
