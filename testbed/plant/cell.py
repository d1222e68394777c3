"""A two-tank water cell: reservoir (tank 1) -> pump -> heated process tank (tank 2) -> valve -> back to tank 1.

Pure functions on frozen values. Explicit Euler with an internal step of at most 50 ms; flows are limited to what
a tank holds or can take, so mass is conserved and levels stay within the tanks whatever the inputs are. Both tanks
are closed at the top: a pump against a full tank stands still, it does not spill.

Pump: p = p_max * speed^2 * (1 - wear) - a * Q^2 (affinity laws); pipe: p = lift * rho * g + b * Q^2; valve and leak
follow Torricelli, Q = k * sqrt(level). Heat: mixing, heater, and loss to the room in proportion to the difference.
"""

import hashlib
import math
import struct
from dataclasses import dataclass, replace

from testbed.core.errors import UsageError

SUBSTEP = 0.05
"""Longest internal step, s."""
HEIGHT = 2.0
"""Height of both tanks, m."""
INLET = 2.2
"""Height of the pipe's outlet above the bottom of tank 1, m."""
_BAR_PER_M = 0.0980665
_KJ_PER_M3_K = 4186.0
_LEAST_VOLUME = 0.0005  # m3; below it a temperature has no meaning and would divide by nothing
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class CellParameters:
    """Dimensions and disturbances of a cell. Raises UsageError for a value that no cell can have.

    area1, area2: m2; volume1, volume2: initial, m3; temperature: initial, degC; pump_flow: at full speed into an open
    pipe, m3/h; pump_pressure: shut-off at full speed, bar; pipe: pressure lost at 1 m3/h, bar; valve: flow at 1 m and
    full opening, m3/h; heater: largest power, kW; loss: of each tank to the room, kW/K; ambient: degC.
    noise: largest sensor error as a part of its range; wear: part of its pressure that the pump lost, 0..1;
    leak: out of tank 2 at 1 m, m3/h; stuck_*: where the actuator stays, whatever it is told; None: it moves.
    """

    area1: float = 0.1
    area2: float = 0.05
    volume1: float = 0.15
    volume2: float = 0.025
    temperature: float = 20.0
    pump_flow: float = 5.0
    pump_pressure: float = 3.0
    pipe: float = 0.5
    valve: float = 2.0
    heater: float = 12.0
    loss: float = 0.02
    ambient: float = 20.0
    noise: float = 0.0005
    wear: float = 0.0
    leak: float = 0.0
    stuck_pump: float | None = None
    stuck_valve: float | None = None
    stuck_heater: float | None = None

    def __post_init__(self) -> None:
        limits = {
            "area1": (0.001, 1000.0),
            "area2": (0.001, 1000.0),
            "volume1": (0.0, self.area1 * HEIGHT),
            "volume2": (0.0, self.area2 * HEIGHT),
            "temperature": (0.0, 100.0),
            "pump_flow": (0.01, 10.0),
            "pump_pressure": (0.01, 6.0),
            "pipe": (0.0, 100.0),
            "valve": (0.0, 100.0),
            "heater": (0.0, 12.0),
            "loss": (0.0, 1.0),
            "ambient": (0.0, 100.0),
            "noise": (0.0, 0.2),
            "wear": (0.0, 1.0),
            "leak": (0.0, 100.0),
            "stuck_pump": (0.0, 100.0),
            "stuck_valve": (0.0, 100.0),
            "stuck_heater": (0.0, self.heater),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            may_be_none = name.startswith("stuck_") and value is None
            if not may_be_none and (value is None or not low <= value <= high):
                raise UsageError(f"water cell: {name} = {value!r}", f"give a value from {low:g} to {high:g}")


@dataclass(frozen=True, slots=True)
class Actuators:
    """What the cell is told to do: pump speed and valve position in %, heater power in kW."""

    pump_speed: float = 0.0
    valve_position: float = 0.0
    heater_power: float = 0.0


@dataclass(frozen=True, slots=True)
class CellState:
    """Where the cell is. volume: m3; temperature: degC; flow: through the pump, m3/h; pressure: behind it, bar.

    seed, ticks: state of the noise generator; ticks counts calls of `step`.
    """

    seed: int
    ticks: int
    volume1: float
    volume2: float
    temperature1: float
    temperature2: float
    actuators: Actuators
    flow: float = 0.0
    pressure: float = 0.0


@dataclass(frozen=True, slots=True)
class Measurements:
    """What the cell's sensors say: m, m, m3/h, bar, degC, %, %, kW. Positions come from encoders, without noise."""

    level1: float
    level2: float
    flow: float
    pressure: float
    temperature: float
    pump_speed: float
    valve_position: float
    heater_power: float


def initial(parameters: CellParameters, seed: int) -> CellState:
    """A cell at rest. The same seed gives the same noise."""
    p = parameters
    at_rest = _move(p, Actuators(), Actuators(), 0.0)
    return CellState(seed, 0, p.volume1, p.volume2, p.temperature, p.temperature, at_rest)


def step(parameters: CellParameters, state: CellState, actuators: Actuators, dt: float) -> CellState:
    """The cell `dt` seconds later, 0 < dt <= 60. A command that is not a number leaves its actuator where it is."""
    if not 0.0 < dt <= 60.0:
        raise ValueError(f"dt = {dt!r} s, expected 0 < dt <= 60")
    count = math.ceil(dt / SUBSTEP - 1e-9)
    for _ in range(count):
        state = _substep(parameters, state, actuators, dt / count)
    return replace(state, ticks=state.ticks + 1)


def measure(parameters: CellParameters, state: CellState) -> Measurements:
    """What the sensors show of `state`. The same state gives the same readings."""
    p, a = parameters, state.actuators
    noise = (0.0,) * 5
    if p.noise > 0.0:
        digest = hashlib.sha256(f"{state.seed}\n{state.ticks}".encode()).digest()
        words = struct.unpack(">10H", digest[:20])
        # The sum of two uniform numbers: bounded, and made with exact arithmetic on every machine.
        noise = tuple((words[2 * i] + words[2 * i + 1] - 65535) / 65535 * p.noise for i in range(5))
    return Measurements(
        _clamp(state.volume1 / p.area1 + noise[0] * HEIGHT, 0.0, HEIGHT),
        _clamp(state.volume2 / p.area2 + noise[1] * HEIGHT, 0.0, HEIGHT),
        _clamp(state.flow + noise[2] * 10.0, 0.0, 10.0),
        _clamp(state.pressure + noise[3] * 6.0, 0.0, 6.0),
        _clamp(state.temperature2 + noise[4] * 100.0, 0.0, 100.0),
        a.pump_speed,
        a.valve_position,
        a.heater_power,
    )


def _substep(p: CellParameters, s: CellState, told: Actuators, h: float) -> CellState:
    a = _move(p, s.actuators, told, h)
    level1, level2 = s.volume1 / p.area1, s.volume2 / p.area2

    shut_off = p.pump_pressure * (a.pump_speed / 100.0) ** 2 * (1.0 - p.wear)
    steepness = p.pump_pressure / p.pump_flow**2
    lift = (INLET - level1) * _BAR_PER_M
    pumped = math.sqrt(max(0.0, shut_off - lift) / (steepness + p.pipe))
    drained = p.valve * a.valve_position / 100.0 * math.sqrt(level2)
    leaked = p.leak * math.sqrt(level2)

    per_step = h / _HOUR
    full1, full2 = p.area1 * HEIGHT, p.area2 * HEIGHT
    inflow = min(pumped * per_step, s.volume1, full2 - s.volume2)
    back = min(drained * per_step, s.volume2, full1 - s.volume1)
    lost = min(leaked * per_step, s.volume2 - back)
    volume1 = _clamp(s.volume1 + back - inflow, 0.0, full1)
    volume2 = _clamp(s.volume2 + inflow - back - lost, 0.0, full2)

    mixed1 = _mix(s.volume1 - inflow, s.temperature1, back, s.temperature2)
    mixed2 = _mix(s.volume2 - back - lost, s.temperature2, inflow, s.temperature1)
    heat1 = -p.loss * (mixed1 - p.ambient) * h
    heat2 = (a.heater_power - p.loss * (mixed2 - p.ambient)) * h
    flow = inflow / per_step
    return CellState(
        s.seed,
        s.ticks,
        volume1,
        volume2,
        _clamp(mixed1 + heat1 / (_KJ_PER_M3_K * max(volume1, _LEAST_VOLUME)), 0.0, 100.0),
        _clamp(mixed2 + heat2 / (_KJ_PER_M3_K * max(volume2, _LEAST_VOLUME)), 0.0, 100.0),
        a,
        flow,
        max(0.0, shut_off - steepness * flow * flow),
    )


def _mix(volume: float, temperature: float, added: float, added_temperature: float) -> float:
    whole = volume + added
    return temperature if whole <= 0.0 else (volume * temperature + added * added_temperature) / whole


def _move(p: CellParameters, now: Actuators, told: Actuators, h: float) -> Actuators:
    """Actuators after `h` seconds: 20 %/s pump, 10 %/s valve, 4 kW/s heater, unless stuck."""
    return Actuators(
        _drive(now.pump_speed, told.pump_speed, 100.0, 20.0 * h, p.stuck_pump),
        _drive(now.valve_position, told.valve_position, 100.0, 10.0 * h, p.stuck_valve),
        _drive(now.heater_power, told.heater_power, p.heater, 4.0 * h, p.stuck_heater),
    )


def _drive(now: float, told: float, most: float, reach: float, stuck: float | None) -> float:
    if stuck is not None:
        return stuck
    if math.isnan(told):
        return now
    return _clamp(_clamp(told, now - reach, now + reach), 0.0, most)


def _clamp(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
