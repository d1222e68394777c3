"""The twin's model of the water cell: same inputs, same bytes; no NaN whatever comes; a leak that shows."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import UsageError
from testbed.model import registry, rules, water_cell_v1

MODEL = registry.load("water_cell_v1")
P = MODEL.PARAMETERS
AT_REST = (10.0, 1.0, 1.5, 0.5, 0.0, 20.0, 0.0, 0.0, 0.0)
Floats = tuple[float, ...]

FLOATS = st.one_of(st.floats(), st.sampled_from([0.0, -0.0, 1.0, 1e308, -1e308, 5e-324, math.nan, math.inf]))
PLAUSIBLE_INPUTS = st.tuples(*(st.floats(low, high) for low, high in water_cell_v1.PLAUSIBLE))
ANY_INPUTS = st.one_of(
    PLAUSIBLE_INPUTS,
    st.tuples(*[st.one_of(st.none(), FLOATS)] * len(MODEL.INPUTS)),
    st.lists(st.one_of(st.none(), FLOATS), max_size=12).map(tuple),
)
ANY_STATE = st.one_of(
    st.tuples(st.just(1.0), *[FLOATS] * (len(MODEL.STATE) - 1)),
    st.tuples(*[st.floats(-1e10, 1e10)] * len(MODEL.STATE)),
    st.lists(FLOATS, max_size=12).map(tuple),
)


def packed(result: tuple[Floats, Floats]) -> bytes:
    return b"".join(struct.pack(f">{len(part)}d", *part) for part in result)


def named(outputs: Floats) -> dict[str, float]:
    return dict(zip(MODEL.OUTPUTS, outputs, strict=True))


def follow(state: Floats, count: int, inputs: Floats, **changing: float) -> tuple[Floats, dict[str, float]]:
    """Feed `count` scans whose scan counter counts and whose named inputs change by the given amount each scan."""
    outputs: Floats = ()
    values = list(inputs)
    for _ in range(count):
        values[0] += 1.0
        for name, amount in changing.items():
            values[MODEL.INPUTS.index(name.replace("_", "."))] += amount
        state, outputs = MODEL.step(P, state, tuple(values))
    return state, named(outputs)


@given(ANY_STATE, ANY_INPUTS)
def test_whatever_comes_in_the_outputs_are_numbers_and_the_same_each_time(
    state: Floats, inputs: tuple[float | None, ...]
) -> None:
    after, outputs = MODEL.step(P, state, inputs)
    assert len(after) == len(MODEL.STATE)
    assert len(outputs) == len(MODEL.OUTPUTS)
    assert all(math.isfinite(number) for number in after + outputs)
    assert all(type(number) is float for number in after + outputs)
    assert packed((after, outputs)) == packed(MODEL.step(P, state, inputs))
    assert outputs[0] in (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)


@given(st.lists(PLAUSIBLE_INPUTS, max_size=20))
def test_any_history_stays_finite(history: list[Floats]) -> None:
    state = MODEL.initial(P)
    for index, inputs in enumerate(history):
        # Scans follow closely, so that the observer runs and does not begin anew each time.
        state, outputs = MODEL.step(P, state, (float(index * 7), 1.0, *inputs[2:]))
        assert all(math.isfinite(number) for number in state + outputs)


@given(st.sampled_from(sorted(P)), st.one_of(st.none(), FLOATS))
def test_any_parameter_gives_numbers_or_says_unusable(name: str, value: float | None) -> None:
    parameters = {key: number for key, number in P.items() if key != name}
    if value is not None:
        parameters[name] = value
    state = MODEL.initial(parameters)
    for scan in (10.0, 11.0, 30.0):
        state, outputs = MODEL.step(parameters, state, (scan, *AT_REST[1:]))
        assert all(math.isfinite(number) for number in state + outputs)
    if value is None:
        assert outputs[0] == water_cell_v1.UNUSABLE


def test_every_parameter_has_bounds_that_its_default_keeps() -> None:
    assert {name for name, _, _ in water_cell_v1.BOUNDS} == set(P)
    assert all(low <= P[name] <= high for name, low, high in water_cell_v1.BOUNDS)
    assert len(MODEL.initial(P)) == len(MODEL.STATE)
    assert len(water_cell_v1.PLAUSIBLE) == len(MODEL.INPUTS)


def test_quality_says_what_happened() -> None:
    state, outputs = MODEL.step(P, MODEL.initial(P), AT_REST)
    assert outputs[0] == water_cell_v1.STARTED
    state, outputs = MODEL.step(P, state, (11.0, *AT_REST[1:]))
    assert outputs[0] == water_cell_v1.GOOD
    same, outputs = MODEL.step(P, state, (11.0, *AT_REST[1:]))
    assert (outputs[0], same) == (water_cell_v1.REPEATED, state)
    same, outputs = MODEL.step(P, state, (12.0, 1.0, None, *AT_REST[3:]))
    assert (outputs[0], same) == (water_cell_v1.MISSING, state)
    _, outputs = MODEL.step(P, state, (500.0, *AT_REST[1:]))
    assert outputs[0] == water_cell_v1.GAP
    _, outputs = MODEL.step(P, state, (12.0, 2.0, *AT_REST[2:]))
    assert outputs[0] == water_cell_v1.STARTED
    _, outputs = MODEL.step({}, state, (12.0, *AT_REST[1:]))
    assert outputs[0] == water_cell_v1.UNUSABLE


def test_the_scan_counter_may_wrap() -> None:
    state, _ = MODEL.step(P, MODEL.initial(P), (4294967295.0, *AT_REST[1:]))
    _, outputs = MODEL.step(P, state, (1.0, *AT_REST[1:]))
    assert outputs[0] == water_cell_v1.GOOD


def test_a_cell_at_rest_stays_as_it_is() -> None:
    _, outputs = follow(MODEL.initial(P), 500, AT_REST)
    assert outputs["predicted.tank1.level"] == pytest.approx(1.5, abs=1e-9)
    assert all(abs(value) < 1e-9 for name, value in outputs.items() if name.startswith("residual"))
    assert abs(outputs["leak.estimate"]) < 1e-9
    assert abs(outputs["water.drift"]) < 1e-9


def test_a_leak_is_estimated() -> None:
    # Tank 2 falls by 0.05 mm each 0.1 s: 0.05 m2 * 0.0005 m/s = 0.09 m3/h.
    state, _ = follow(MODEL.initial(P), 100, AT_REST)
    inputs = (110.0, *AT_REST[1:3], 0.5, *AT_REST[4:])
    _, outputs = follow(state, 3000, inputs, tank2_level=-0.00005)
    assert outputs["leak.estimate"] == pytest.approx(0.09, rel=0.02)
    assert outputs["water.drift"] == pytest.approx(-0.05 * 0.15, rel=0.02)
    assert outputs["residual.tank2.level"] < -0.003


def test_a_pump_that_delivers_less_than_its_curve_shows_in_the_flow() -> None:
    running = (10.0, 1.0, 1.5, 0.5, 1.0, 20.0, 60.0, 0.0, 0.0)
    _, outputs = follow(MODEL.initial(P), 2, running)
    expected = math.sqrt((3.0 * 0.36 - 0.7 * 0.0980665) / (3.0 / 25.0 + 0.5))
    assert outputs["predicted.pump.flow"] == pytest.approx(expected, rel=0.01)
    assert outputs["residual.pump.flow"] == pytest.approx(1.0 - outputs["predicted.pump.flow"])


def test_a_heater_warms_the_prediction() -> None:
    heated = (10.0, 1.0, 1.5, 0.5, 0.0, 20.0, 0.0, 0.0, 12.0)
    _, outputs = follow(MODEL.initial(P), 11, heated)
    # One second of 12 kW in 25 l, held back by a measurement that does not follow.
    assert 0.05 < outputs["predicted.tank2.temperature"] - 20.0 < 12.0 / (4186.0 * 0.025)
    assert outputs["residual.tank2.temperature"] < 0


def test_every_model_file_keeps_the_rules() -> None:
    assert registry.names()
    for name in registry.names():
        assert rules.violations(registry.source(name).decode()) == []


@pytest.mark.parametrize(
    "line",
    [
        "import math",
        "from math import sin",
        "from math import sqrt as root",
        "import numpy as np",
        "x = 2.0 ** 0.5",
        "x = 7 // 2",
        "x = 7 % 2",
        "x = sum((1.0, 2.0))",
        "x = max(1.0, 2.0)",
        "x = float('1')",
        "x = [y for y in (1.0,)]",
        "x = {1.0, 2.0}",
        "x = ''.join(())",
        "x = __builtins__",
        "class A: pass",
        "x = lambda: 1.0",
        "def sqrt(x): return x",
        "sqrt = len",
        "def f(x=1.0): return x",
        "x = range(*(1, 2))",
    ],
)
def test_a_file_that_breaks_a_rule_is_named(line: str) -> None:
    assert rules.violations(f"from math import sqrt\n{line}\n")


def test_frozen_versions_are_what_they_were() -> None:
    """A model that was released is never edited: copy it to the next version and enter that in frozen.json."""
    frozen = registry.frozen()
    assert set(frozen) == set(registry.names())
    for name, digest in frozen.items():
        assert registry.model_hash(name) == digest, name


def test_the_hash_is_of_the_text_whatever_its_newlines() -> None:
    text = registry.source("water_cell_v1").replace(b"\r\n", b"\n")
    assert registry.hash_of(text.replace(b"\n", b"\r\n")) == registry.model_hash("water_cell_v1")
    assert registry.hash_of(text.replace(b"GOOD, STARTED", b"GOOD,  STARTED")) != registry.model_hash("water_cell_v1")


@pytest.mark.parametrize("name", ["water_cell_v9", "registry", "../plant/cell", ""])
def test_a_model_that_is_not_there_is_a_wrong_name(name: str) -> None:
    with pytest.raises(UsageError, match="water_cell_v1"):
        registry.load(name)
