"""The control program of the water cell, as a pure function: scan(memory, inputs, dt) -> (memory, outputs, flags).

Level of tank 2 by a PI controller on the pump, its temperature by a PID controller on the heater, both without
wind-up and without a bump when automatic takes over. Interlocks, the E-stop and the watchdog act in every mode and are
latched: they fall only by a reset, and only when their cause is gone (ISO 13850: letting go of the button must not
restart a machine).

The watchdog is for whoever drives the cell from outside: once it has a limit, something must beat within it, or the
cell stops as by the E-stop. Its time is that of the scans, not of a clock.
"""

import math
from dataclasses import dataclass
from enum import IntEnum

from testbed.plant.cell import Actuators, Measurements

_AT_REST = Actuators()

VALVE_IN_AUTOMATIC = 40.0
"""Opening of the valve in automatic, %."""
PUMP_TRIP_LOW_TANK1 = 0.1
PUMP_TRIP_HIGH_TANK2 = 1.9
HEATER_TRIP_LOW_TANK2 = 0.15
HEATER_TRIP_TEMPERATURE = 90.0
HIGH_LEVEL = (1.8, 1.75)
"""Alarm of tank 2: comes above the first, goes below the second, m."""
LOW_LEVEL = (0.25, 0.3)
"""Alarm of either tank: comes below the first, goes above the second, m."""
HIGH_TEMPERATURE = (85.0, 83.0)

LEVEL_GAIN, LEVEL_RATE = 300.0, 2.0  # %/m, %/(m s)
HEAT_GAIN, HEAT_RATE, HEAT_DAMPING = 2.0, 0.004, 8.0  # kW/K, kW/(K s), kW s/K
HEAT_FILTER = 5.0  # s, of the derivative
HEAT_MOST = 12.0  # kW

_SAME_MS = 1e-6
"""Periods are added up as floats: ten scans of 0.1 s are no longer than a limit of a second."""


class Mode(IntEnum):
    """control.mode"""

    OFF = 0
    MANUAL = 1
    AUTOMATIC = 2


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a scan reads: the sensors and the commands. `reset` is true in the scan in which it was given, no longer.

    beat: any change of it is a beat; beat_limit_ms: the longest time without one, ms, 0 for no watchdog.
    """

    measured: Measurements
    mode: int = Mode.AUTOMATIC
    level_setpoint: float = 1.0
    temperature_setpoint: float = 40.0
    manual: Actuators = _AT_REST
    estop_pressed: bool = False
    reset: bool = False
    beat: int = 0
    beat_limit_ms: int = 0


@dataclass(frozen=True, slots=True)
class Flags:
    """Alarms and latches as the program publishes them."""

    high_level: bool = False
    low_level: bool = False
    high_temperature: bool = False
    pump_interlock: bool = False
    heater_interlock: bool = False
    estop: bool = False
    watchdog: bool = False

    @property
    def stopped(self) -> bool:
        """Nothing may move: the outputs have their safe values."""
        return self.estop or self.watchdog


_NO_FLAGS = Flags()


@dataclass(frozen=True, slots=True)
class Memory:
    """What the program keeps from scan to scan: integrals (%, kW), filtered slope (K/s), last temperature, flags.

    beat: the last one; silent: scans since it changed, 0 while there is no watchdog.
    """

    level_integral: float = 0.0
    heat_integral: float = 0.0
    slope: float = 0.0
    temperature: float | None = None
    flags: Flags = _NO_FLAGS
    beat: int = 0
    silent: int = 0


def scan(memory: Memory, inputs: Inputs, dt: float) -> tuple[Memory, Actuators, Flags]:
    """One scan of `dt` seconds. The valve closes when the cell is off, or stopped by E-stop or watchdog."""
    silent = 0 if inputs.beat_limit_ms == 0 or inputs.beat != memory.beat else memory.silent + 1
    unattended = silent * dt * 1000.0 > inputs.beat_limit_ms + _SAME_MS
    flags = _judge(memory.flags, inputs, unattended=unattended)
    slope, temperature = _slope(memory, inputs.measured.temperature, dt)
    pump, level_integral = _level(memory, inputs, flags, dt)
    heater, heat_integral = _heat(memory, inputs, flags, slope, dt)
    valve = {Mode.MANUAL: inputs.manual.valve_position, Mode.AUTOMATIC: VALVE_IN_AUTOMATIC}.get(Mode(inputs.mode), 0.0)
    if flags.stopped:
        valve = 0.0
    return (
        Memory(level_integral, heat_integral, slope, temperature, flags, inputs.beat, silent),
        Actuators(pump, valve, heater),
        flags,
    )


def _judge(before: Flags, inputs: Inputs, *, unattended: bool) -> Flags:
    m = inputs.measured
    pump_trip = _faulty(m) or m.level1 < PUMP_TRIP_LOW_TANK1 or m.level2 > PUMP_TRIP_HIGH_TANK2
    heater_trip = _faulty(m) or m.level2 < HEATER_TRIP_LOW_TANK2 or m.temperature > HEATER_TRIP_TEMPERATURE
    lowest = min(m.level1, m.level2)
    return Flags(
        m.level2 > HIGH_LEVEL[1 if before.high_level else 0],
        lowest < LOW_LEVEL[1 if before.low_level else 0],
        m.temperature > HIGH_TEMPERATURE[1 if before.high_temperature else 0],
        pump_trip or (before.pump_interlock and not inputs.reset),
        heater_trip or (before.heater_interlock and not inputs.reset),
        inputs.estop_pressed or (before.estop and not inputs.reset),
        unattended or (before.watchdog and not inputs.reset),
    )


def _faulty(m: Measurements) -> bool:
    """A sensor that the interlocks need does not give a number."""
    return not (math.isfinite(m.level1) and math.isfinite(m.level2) and math.isfinite(m.temperature))


def _slope(memory: Memory, temperature: float, dt: float) -> tuple[float, float | None]:
    """Filtered change of the temperature, K/s, so that a step of the set-point does not kick the heater."""
    if not math.isfinite(temperature):
        return 0.0, None
    if memory.temperature is None:
        return 0.0, temperature
    raw = (temperature - memory.temperature) / dt
    return memory.slope + dt / (HEAT_FILTER + dt) * (raw - memory.slope), temperature


def _level(memory: Memory, inputs: Inputs, flags: Flags, dt: float) -> tuple[float, float]:
    if flags.stopped or flags.pump_interlock or inputs.mode == Mode.OFF:
        return 0.0, 0.0
    error = inputs.level_setpoint - inputs.measured.level2
    if inputs.mode == Mode.MANUAL:
        told = _clamp(inputs.manual.pump_speed, 100.0)
        return told, told - LEVEL_GAIN * error
    return _control(LEVEL_GAIN * error, memory.level_integral, LEVEL_RATE * error * dt, 100.0)


def _heat(memory: Memory, inputs: Inputs, flags: Flags, slope: float, dt: float) -> tuple[float, float]:
    if flags.stopped or flags.heater_interlock or inputs.mode == Mode.OFF:
        return 0.0, 0.0
    error = inputs.temperature_setpoint - inputs.measured.temperature
    proportional = HEAT_GAIN * error - HEAT_DAMPING * slope
    if inputs.mode == Mode.MANUAL:
        told = _clamp(inputs.manual.heater_power, HEAT_MOST)
        return told, told - proportional
    return _control(proportional, memory.heat_integral, HEAT_RATE * error * dt, HEAT_MOST)


def _control(proportional: float, integral: float, change: float, most: float) -> tuple[float, float]:
    """Output and integral; the integral stands still while it would drive the output further beyond a limit."""
    wanted = proportional + integral + change
    if (wanted > most and change > 0.0) or (wanted < 0.0 and change < 0.0):
        return _clamp(wanted - change, most), integral
    return _clamp(wanted, most), integral + change


def _clamp(value: float, most: float) -> float:
    return min(max(value, 0.0), most)
