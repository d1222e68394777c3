"""The control program alone: interlocks, alarms, E-stop and modes, scan by scan."""

import math
from dataclasses import replace

import pytest

from testbed.plant.cell import Actuators, Measurements
from testbed.plc.program import Flags, Inputs, Memory, Mode, scan

NORMAL = Measurements(1.0, 0.8, 0.5, 1.0, 30.0, 30.0, 40.0, 5.0)
DT = 0.1


def once(measured: Measurements, memory: Memory | None = None, **commands: object) -> tuple[Memory, Actuators, Flags]:
    inputs = replace(Inputs(measured), **commands)  # type: ignore[arg-type]  # names and types are given as data
    return scan(memory or Memory(), inputs, DT)


def test_automatic_pumps_when_the_level_is_low_and_heats_when_it_is_cold() -> None:
    _, outputs, flags = once(NORMAL)
    assert outputs.pump_speed > 10
    assert outputs.heater_power > 1
    assert outputs.valve_position > 0
    assert flags == Flags()
    _, outputs, _ = once(replace(NORMAL, level2=1.5, temperature=50.0))
    assert outputs.pump_speed == 0
    assert outputs.heater_power == 0


def test_manual_does_what_it_is_told_and_off_nothing() -> None:
    told = Actuators(12.0, 34.0, 5.0)
    assert once(NORMAL, mode=Mode.MANUAL, manual=told)[1] == told
    assert once(NORMAL, mode=Mode.OFF, manual=told)[1] == Actuators()


def test_automatic_takes_over_from_manual_without_a_bump() -> None:
    memory, manual, _ = once(NORMAL, mode=Mode.MANUAL, manual=Actuators(55.0, 20.0, 3.0))
    _, automatic, _ = once(NORMAL, memory, mode=Mode.AUTOMATIC)
    assert automatic.pump_speed == pytest.approx(manual.pump_speed, abs=0.5)
    assert automatic.heater_power == pytest.approx(manual.heater_power, abs=0.1)


def test_integrals_do_not_wind_up() -> None:
    memory = Memory()
    for _ in range(20_000):  # half an hour below the set-point
        memory, outputs, _ = once(replace(NORMAL, level2=0.2), memory)
        assert outputs.pump_speed == 100
    _, outputs, _ = once(replace(NORMAL, level2=1.4), memory)
    assert outputs.pump_speed == 0


@pytest.mark.parametrize(
    ("measured", "pump", "heater"),
    [
        (replace(NORMAL, level1=0.05), True, False),
        (replace(NORMAL, level2=1.95), True, False),
        (replace(NORMAL, level2=0.1), False, True),
        (replace(NORMAL, temperature=95.0), False, True),
        (replace(NORMAL, level1=math.nan), True, True),
        (replace(NORMAL, temperature=math.inf), True, True),
    ],
)
@pytest.mark.parametrize("mode", [Mode.MANUAL, Mode.AUTOMATIC])
def test_interlocks_act_in_every_mode_and_are_latched(
    measured: Measurements, pump: bool, heater: bool, mode: Mode
) -> None:
    told = Actuators(50.0, 50.0, 5.0)
    memory, outputs, flags = once(measured, mode=mode, manual=told)
    assert (flags.pump_interlock, flags.heater_interlock) == (pump, heater)
    assert (outputs.pump_speed == 0) is pump
    assert (outputs.heater_power == 0) is heater
    # The cause is gone: still latched. Reset with the cause: still latched. Reset without it: free.
    memory, _, flags = once(NORMAL, memory, mode=mode, manual=told)
    assert (flags.pump_interlock, flags.heater_interlock) == (pump, heater)
    memory, _, flags = once(measured, memory, mode=mode, manual=told, reset=True)
    assert (flags.pump_interlock, flags.heater_interlock) == (pump, heater)
    _, outputs, flags = once(NORMAL, memory, mode=mode, manual=told, reset=True)
    assert not flags.pump_interlock
    assert not flags.heater_interlock
    assert outputs.pump_speed > 0
    assert outputs.heater_power > 0


def test_the_estop_holds_until_it_is_released_and_reset() -> None:
    memory, outputs, flags = once(NORMAL, estop_pressed=True)
    assert outputs == Actuators()
    assert flags.estop
    memory, _, flags = once(NORMAL, memory, estop_pressed=True, reset=True)
    assert flags.estop
    memory, outputs, flags = once(NORMAL, memory)
    assert flags.estop
    assert outputs == Actuators()
    _, outputs, flags = once(NORMAL, memory, reset=True)
    assert not flags.estop
    assert outputs.pump_speed > 0


@pytest.mark.parametrize(
    ("field", "comes", "stays", "goes"),
    [("high_level", 1.81, 1.77, 1.74), ("low_level", 0.24, 0.28, 0.31)],
)
def test_level_alarms_have_hysteresis(field: str, comes: float, stays: float, goes: float) -> None:
    memory = Memory()
    seen = []
    for level in (stays, comes, stays, goes, stays):
        memory, _, flags = once(replace(NORMAL, level2=level), memory)
        seen.append(getattr(flags, field))
    assert seen == [False, True, True, False, False]


def test_the_low_alarm_speaks_of_the_reservoir_as_well() -> None:
    assert once(replace(NORMAL, level1=0.2))[2].low_level


def test_the_temperature_alarm_has_hysteresis() -> None:
    memory = Memory()
    seen = []
    for temperature in (84.0, 85.5, 84.0, 82.0, 84.0):
        memory, _, flags = once(replace(NORMAL, temperature=temperature), memory)
        seen.append(flags.high_temperature)
    assert seen == [False, True, True, False, False]
