"""Observer of the two-tank water cell, version 1. Frozen: a change is a new file with the next number.

Predicts levels, flow and temperature from the measured positions of the actuators, and corrects itself towards the
measurements. The water of both tanks together can only change by a leak, so its trend is an estimate of the leak.
A step is a pure function, exact to the bit on every IEEE 754 machine: + - * / and square root on floats, in this order.

Units: m, m3, m3/h, bar, degC, %, kW, s. `quality` says how far to trust the outputs of a step:
0 good; 1 started (first step, or the PLC was started again); 2 gap (more time passed than `gap.limit`, begun anew);
3 missing (an input is missing or not plausible, everything stands still); 4 repeated (the scan was seen already);
5 parameters (one is missing or out of bounds, nothing is computed).
"""

from math import sqrt

NAME = "water-cell"
VERSION = 1

GOOD, STARTED, GAP, MISSING, REPEATED, UNUSABLE = 0.0, 1.0, 2.0, 3.0, 4.0, 5.0

INPUTS = (
    "plc.scan",
    "plc.boot",
    "tank1.level",
    "tank2.level",
    "pump.flow",
    "tank2.temperature",
    "pump.speed",
    "valve.position",
    "heater.power",
)
PLAUSIBLE = (
    (0.0, 4294967295.0),
    (0.0, 4294967295.0),
    (-0.5, 20.0),
    (-0.5, 20.0),
    (-10.0, 100.0),
    (-50.0, 200.0),
    (-5.0, 105.0),
    (-5.0, 105.0),
    (-1.0, 100.0),
)
PARAMETERS = {
    "tank1.area": 0.1,  # m2
    "tank2.area": 0.05,  # m2
    "pump.flow": 5.0,  # at full speed without a pipe, m3/h
    "pump.pressure": 3.0,  # at full speed without flow, bar
    "pipe.loss": 0.5,  # at 1 m3/h, bar
    "pipe.height": 2.2,  # of its outlet above the bottom of tank 1, m
    "valve.flow": 2.0,  # at 1 m and fully open, m3/h
    "heat.loss": 0.02,  # of each tank, kW/K
    "ambient": 20.0,  # degC
    "scan.seconds": 0.1,  # period of the PLC's scan, s
    "gap.limit": 5.0,  # longest time that a step bridges, s
    "level.tau": 10.0,  # how fast the levels follow the measurements, s
    "temperature.tau": 20.0,  # as above, of tank 2, s
    "temperature1.gain": 0.01,  # correction of the unmeasured temperature of tank 1, 1/s
    "water.tau": 30.0,  # of the leak's estimate, s
}
BOUNDS = (
    ("tank1.area", 0.001, 1000.0),
    ("tank2.area", 0.001, 1000.0),
    ("pump.flow", 0.001, 1000.0),
    ("pump.pressure", 0.001, 1000.0),
    ("pipe.loss", 0.0, 1000.0),
    ("pipe.height", 0.0, 100.0),
    ("valve.flow", 0.0, 1000.0),
    ("heat.loss", 0.0, 100.0),
    ("ambient", -50.0, 100.0),
    ("scan.seconds", 0.001, 60.0),
    ("gap.limit", 0.001, 60.0),
    ("level.tau", 0.001, 100000.0),
    ("temperature.tau", 0.001, 100000.0),
    ("temperature1.gain", 0.0, 0.01),
    ("water.tau", 0.001, 100000.0),
)
STATE = (
    "started",
    "boot",
    "scan",
    "tank1.level",
    "tank2.level",
    "tank1.temperature",
    "tank2.temperature",
    "water",
    "water.first",
    "leak",
)
OUTPUTS = (
    "quality",
    "predicted.tank1.level",
    "predicted.tank2.level",
    "predicted.pump.flow",
    "predicted.tank2.temperature",
    "residual.tank1.level",
    "residual.tank2.level",
    "residual.pump.flow",
    "residual.tank2.temperature",
    "water.drift",
    "leak.estimate",
)

SUBSTEP = 0.1  # longest internal step, s
HOUR = 3600.0  # s
BAR_PER_M = 0.0980665  # of water
HEAT_CAPACITY = 4186.0  # of water, kJ/(m3 K)
LEAST_VOLUME = 0.002  # m3, below it a tank has no temperature of its own
LARGEST = 1.0e10  # nothing in a sound state is beyond it


def initial(parameters: dict[str, float]) -> tuple[float, ...]:  # noqa: ARG001  # the same signature in every model
    """The state before the first step. It does not depend on the parameters."""
    return (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def step(
    parameters: dict[str, float], state: tuple[float, ...], inputs: tuple[float | None, ...]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """State and outputs after one scan. Never raises; neither holds NaN or infinity, whatever comes in."""
    if not _sound(state):
        state = initial(parameters)
    if not _usable(parameters):
        return state, _standing(UNUSABLE, state)
    readings = _readings(inputs)
    if len(readings) == 0:
        return state, _standing(MISSING, state)
    if state[0] != 1.0 or state[1] != readings[1]:
        return _begin(STARTED, parameters, state, readings)
    scans = readings[0] - state[2]
    if scans < 0.0:
        scans = scans + 4294967296.0
    seconds = scans * parameters["scan.seconds"]
    if scans == 0.0:
        return state, _standing(REPEATED, state)
    if seconds > parameters["gap.limit"]:
        return _begin(GAP, parameters, state, readings)
    after, outputs = _observe(parameters, state, readings, seconds)
    if not _sound(after) or not _finite(outputs):
        return _begin(GAP, parameters, state, readings)
    return after, outputs


def _observe(
    p: dict[str, float], state: tuple[float, ...], readings: tuple[float, ...], seconds: float
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    scan, boot, measured1, measured2, flow, temperature, speed, valve, heater = readings
    _, _, _, level1, level2, warmth1, warmth2, water, first, leak = state

    # Predict.
    left = seconds
    pumped = 0.0
    while left > 0.0:
        h = SUBSTEP
        if left < SUBSTEP:
            h = left
        left = left - h
        pumped = _pumped(p, speed, level1)
        drained = _drained(p, valve, level2)
        volume1 = _at_least(level1 * p["tank1.area"], LEAST_VOLUME)
        volume2 = _at_least(level2 * p["tank2.area"], LEAST_VOLUME)
        gained1 = drained * HEAT_CAPACITY / HOUR * (warmth2 - warmth1) - p["heat.loss"] * (warmth1 - p["ambient"])
        gained2 = pumped * HEAT_CAPACITY / HOUR * (warmth1 - warmth2) - p["heat.loss"] * (warmth2 - p["ambient"])
        warmth1 = _within(warmth1 + h * gained1 / (HEAT_CAPACITY * volume1), -50.0, 200.0)
        warmth2 = _within(warmth2 + h * (gained2 + heater) / (HEAT_CAPACITY * volume2), -50.0, 200.0)
        level1 = _within(level1 + h * (drained - pumped) / HOUR / p["tank1.area"], 0.0, 20.0)
        level2 = _within(level2 + h * (pumped - drained) / HOUR / p["tank2.area"], 0.0, 20.0)
    water = water - leak * seconds / HOUR

    # Compare.
    off1 = measured1 - level1
    off2 = measured2 - level2
    off_flow = flow - pumped
    off_warmth = temperature - warmth2
    off_water = measured1 * p["tank1.area"] + measured2 * p["tank2.area"] - water
    predicted1, predicted2, predicted_warmth = level1, level2, warmth2

    # Correct. Gains of the form dt/(tau + dt) stay below 1 for every dt.
    follow = seconds / (p["level.tau"] + seconds)
    level1 = level1 + follow * off1
    level2 = level2 + follow * off2
    warmth2 = warmth2 + seconds / (p["temperature.tau"] + seconds) * off_warmth
    warmth1 = _within(warmth1 + p["temperature1.gain"] * seconds * off_warmth, -50.0, 200.0)
    # Water and leak: a critically damped second-order observer.
    k = seconds / (p["water.tau"] + seconds)
    water = water + k * (2.0 - k) * off_water
    leak = _within(leak - k / (p["water.tau"] + seconds) * off_water * HOUR, -1000.0, 1000.0)

    after = (1.0, boot, scan, level1, level2, warmth1, warmth2, water, first, leak)
    outputs = (
        GOOD,
        predicted1,
        predicted2,
        pumped,
        predicted_warmth,
        off1,
        off2,
        off_flow,
        off_warmth,
        water - first,
        leak,
    )
    return after, outputs


def _begin(
    quality: float, p: dict[str, float], state: tuple[float, ...], readings: tuple[float, ...]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Take the measurements as they are. What the cell first held is kept: a restart brings no water back."""
    scan, boot, level1, level2, _, temperature, _, _, _ = readings
    water = level1 * p["tank1.area"] + level2 * p["tank2.area"]
    first = water
    if state[0] == 1.0:
        first = state[8]
    after = (1.0, boot, scan, level1, level2, temperature, temperature, water, first, 0.0)
    return after, _standing(quality, after)


def _standing(quality: float, state: tuple[float, ...]) -> tuple[float, ...]:
    """Outputs of a step that predicted nothing: the state as it stands, and no residuals."""
    return (quality, state[3], state[4], 0.0, state[6], 0.0, 0.0, 0.0, 0.0, state[7] - state[8], state[9])


def _pumped(p: dict[str, float], speed: float, level1: float) -> float:
    """Flow where the pump's curve meets the pipe's, m3/h."""
    share = speed / 100.0
    head = p["pump.pressure"] * share * share - (p["pipe.height"] - level1) * BAR_PER_M
    if head <= 0.0 or share <= 0.0:
        return 0.0
    return sqrt(head / (p["pump.pressure"] / (p["pump.flow"] * p["pump.flow"]) + p["pipe.loss"]))


def _drained(p: dict[str, float], valve: float, level2: float) -> float:
    """Flow through the valve by Torricelli's law, m3/h."""
    if level2 <= 0.0 or valve <= 0.0:
        return 0.0
    return p["valve.flow"] * valve / 100.0 * sqrt(level2)


def _readings(inputs: tuple[float | None, ...]) -> tuple[float, ...]:
    """The inputs as numbers, or nothing when one is missing or not plausible. NaN compares false, so it is neither."""
    if len(inputs) != len(PLAUSIBLE):
        return ()
    numbers: tuple[float, ...] = ()
    for index in range(len(PLAUSIBLE)):
        value = inputs[index]
        low, high = PLAUSIBLE[index]
        if value is None or not low <= value <= high:
            return ()
        # Adding zero makes a float of an int, and one zero of the two.
        numbers = (*numbers, value + 0.0)
    return numbers


def _usable(parameters: dict[str, float]) -> bool:
    for name, low, high in BOUNDS:
        if name not in parameters:
            return False
        if not low <= parameters[name] <= high:
            return False
    return True


def _sound(state: tuple[float, ...]) -> bool:
    return len(state) == len(STATE) and _finite(state)


def _finite(numbers: tuple[float, ...]) -> bool:
    for number in numbers:  # noqa: SIM110  # models have no comprehensions
        if not -LARGEST <= number <= LARGEST:
            return False
    return True


def _within(value: float, low: float, high: float) -> float:
    if value < low:
        return low
    if value > high:
        return high
    return value


def _at_least(value: float, low: float) -> float:
    if value < low:
        return low
    return value
