"""Interlocks of pump and heater: they trip, they stay, and only a reset without a cause lets go."""

import pytest

from testbed.pytest_plugin.measuring import Measure
from testbed.pytest_plugin.plant import Plant
from testbed.pytest_plugin.plc import Plc

pytestmark = pytest.mark.requires("plant")


def test_a_dry_tank_is_not_heated(manual: Plc, plant: Plant, measure: Measure) -> None:
    plant.renew(volume2=0.005)
    manual["manual.heater_power"] = 10.0
    manual.wait_until("interlock.heater").is_true(limit=2)
    measure("heater.power").stays_below(0.05, "kW", for_s=5)


@pytest.mark.limits("tank2.temperature", None, 99.0, "degC")
def test_over_temperature_stops_the_heater(manual: Plc, plant: Plant, measure: Measure) -> None:
    plant.renew(temperature=89.0)
    manual["manual.heater_power"] = 12.0
    manual.wait_until("interlock.heater").is_true(limit=60)
    measure("tank2.temperature").within(89.5, 91.0, "degC")
    manual.wait_until("heater.power").below(0.05, "kW", limit=8)
    measure("heater.power").stays_below(0.05, "kW", for_s=5)


def test_a_dry_reservoir_stops_the_pump(manual: Plc, plant: Plant, measure: Measure) -> None:
    plant.renew(volume1=0.0115)
    manual["manual.pump_speed"] = 100.0
    manual.wait_until("pump.speed").above(80.0, "%", limit=8)
    manual.wait_until("interlock.pump").is_true(limit=60)
    manual.wait_until("pump.speed").below(0.5, "%", limit=8)
    measure("tank1.level").above(0.05, "m")


@pytest.mark.limits("tank2.level", None, 1.99, "m")
def test_a_full_tank_stops_the_pump(manual: Plc, plant: Plant, measure: Measure) -> None:
    plant.renew(volume2=0.092)
    manual["manual.pump_speed"] = 100.0
    manual.wait_until("interlock.pump").is_true(limit=60)
    manual.wait_until("pump.speed").below(0.5, "%", limit=8)
    measure("pump.flow").stays_below(0.05, "m3/h", for_s=3)


def test_a_latch_stays_when_its_cause_is_gone(manual: Plc, plant: Plant, measure: Measure) -> None:
    plant.fail_sensor("tank2.temperature", shows=95.0)
    manual.wait_until("interlock.heater").is_true(limit=2)
    plant.mend_sensor("tank2.temperature")
    measure("interlock.heater").stays(True, for_s=5)
    manual["control.reset"] = True
    manual.wait_until("interlock.heater").is_false(limit=2)


def test_a_reset_while_the_cause_stands_does_nothing(manual: Plc, plant: Plant, measure: Measure) -> None:
    plant.fail_sensor("tank2.temperature", shows=95.0)
    manual.wait_until("interlock.heater").is_true(limit=2)
    manual["control.reset"] = True
    measure("interlock.heater").stays(True, for_s=3)


def test_after_a_trip_and_a_reset_the_cell_goes_on(automatic: Plc, plant: Plant, measure: Measure) -> None:
    plant.fail_sensor("tank1.level", shows=0.05)
    automatic.wait_until("interlock.pump").is_true(limit=2)
    automatic.wait_until("pump.speed").below(0.5, "%", limit=8)
    level = float(automatic["tank2.level"])
    plant.mend_sensor("tank1.level")
    automatic["control.reset"] = True
    automatic.wait_until("tank2.level").above(level + 0.03, "m", limit=30)
    measure("interlock.pump").is_false()


def test_the_interlocks_of_pump_and_heater_are_two(manual: Plc, plant: Plant, measure: Measure) -> None:
    plant.fail_sensor("tank2.temperature", shows=95.0)
    manual.wait_until("interlock.heater").is_true(limit=2)
    measure("interlock.pump").is_false()
    manual["manual.pump_speed"] = 50.0
    manual.wait_until("pump.speed").above(49.0, "%", limit=5)
