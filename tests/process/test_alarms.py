"""Alarms come at one value and go at another, and do not flutter between the two."""

import pytest

from testbed.pytest_plugin.measuring import Measure
from testbed.pytest_plugin.plant import Plant
from testbed.pytest_plugin.plc import Plc

pytestmark = pytest.mark.requires("plant")

ALARMS = [
    pytest.param("alarm.high_level", "tank2.level", (1.70, 1.82, 1.77, 1.73), id="high level"),
    pytest.param("alarm.low_level", "tank2.level", (0.50, 0.22, 0.28, 0.32), id="low level of tank 2"),
    pytest.param("alarm.low_level", "tank1.level", (0.50, 0.22, 0.28, 0.32), id="low level of tank 1"),
    pytest.param("alarm.high_temperature", "tank2.temperature", (84.0, 86.0, 84.0, 82.0), id="high temperature"),
]


@pytest.mark.parametrize(("alarm", "sensor", "values"), ALARMS)
def test_an_alarm_has_its_hysteresis(
    cell: Plc, plant: Plant, measure: Measure, alarm: str, sensor: str, values: tuple[float, float, float, float]
) -> None:
    before, beyond, between, back = values
    plant.fail_sensor(sensor, shows=before)
    measure(alarm).is_false()
    plant.fail_sensor(sensor, shows=beyond)
    cell.wait_until(alarm).is_true(limit=1)
    plant.fail_sensor(sensor, shows=between)
    measure(alarm).stays(True, for_s=2)
    plant.fail_sensor(sensor, shows=back)
    cell.wait_until(alarm).is_false(limit=1)


def test_a_tank_that_is_filled_by_hand_raises_the_alarm_and_emptied_drops_it(
    manual: Plc, plant: Plant, measure: Measure
) -> None:
    plant.renew(volume2=0.0885)
    manual["manual.pump_speed"] = 90.0
    manual.wait_until("alarm.high_level").is_true(limit=30)
    measure("tank2.level").within(1.79, 1.85, "m")
    manual["manual.pump_speed"] = 0.0
    manual["manual.valve_position"] = 100.0
    manual.wait_until("alarm.high_level").is_false(limit=40)
    measure("tank2.level").within(1.70, 1.76, "m")
