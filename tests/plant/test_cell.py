"""The water cell: what physics demands of it for every input, and what each disturbance does."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import UsageError
from testbed.plant.cell import HEIGHT, Actuators, CellParameters, CellState, initial, measure, step

ANYTHING = st.floats(allow_nan=True, allow_infinity=True)
COMMANDS = st.lists(st.tuples(st.builds(Actuators, ANYTHING, ANYTHING, ANYTHING), st.floats(0.01, 20)), max_size=30)


def run(parameters: CellParameters, told: Actuators, seconds: float, seed: int = 1) -> CellState:
    state = initial(parameters, seed)
    for _ in range(round(seconds / 0.1)):
        state = step(parameters, state, told, 0.1)
    return state


@given(COMMANDS, st.floats(0, 10), st.floats(0, 1))
def test_levels_and_temperatures_stay_within_bounds(
    commands: list[tuple[Actuators, float]], leak: float, wear: float
) -> None:
    parameters = CellParameters(leak=leak, wear=wear, noise=0.2)
    state = initial(parameters, 3)
    for told, dt in commands:
        state = step(parameters, state, told, dt)
        seen = measure(parameters, state)
        assert 0 <= state.volume1 <= parameters.area1 * HEIGHT
        assert 0 <= state.volume2 <= parameters.area2 * HEIGHT
        assert 0 <= state.temperature1 <= 100
        assert 0 <= state.temperature2 <= 100
        assert 0 <= seen.level1 <= HEIGHT
        assert 0 <= seen.level2 <= HEIGHT
        assert 0 <= seen.flow <= 10
        assert 0 <= seen.pressure <= 6


@given(COMMANDS)
def test_without_a_leak_no_water_is_lost(commands: list[tuple[Actuators, float]]) -> None:
    parameters = CellParameters()
    state = initial(parameters, 0)
    before = state.volume1 + state.volume2
    for told, dt in commands:
        state = step(parameters, state, told, dt)
    assert math.isclose(state.volume1 + state.volume2, before, rel_tol=1e-9)


def test_a_leak_loses_as_much_as_it_says() -> None:
    # The valve stays shut and the tank is at 0.5 m: 0.1 m3/h * sqrt(0.5) for 36 s.
    parameters = CellParameters(leak=0.1)
    state = run(parameters, Actuators(), 36)
    lost = parameters.volume1 + parameters.volume2 - state.volume1 - state.volume2
    assert lost == pytest.approx(0.1 * math.sqrt(0.5) * 0.01, rel=0.02)


def test_the_heater_warms_the_process_tank_as_fast_as_its_power_allows() -> None:
    still = CellParameters(loss=0.0)
    state = run(still, Actuators(heater_power=12.0), 63)
    # 12 kW for 60 s and a ramp of 3 s into 25 l of water.
    expected = 20.0 + 12.0 * (60 + 1.5) / (4186.0 * 0.025)
    assert state.temperature2 == pytest.approx(expected, abs=0.1)
    assert state.temperature1 == 20.0
    assert run(still, Actuators(), 63).temperature2 == 20.0


def test_a_hot_cell_cools_towards_the_room() -> None:
    hot = CellParameters(temperature=60.0)
    assert 20.0 < run(hot, Actuators(), 600).temperature2 < 60.0


def test_wear_lowers_flow_and_pressure() -> None:
    told = Actuators(pump_speed=80.0)
    good = run(CellParameters(), told, 10)
    worn = run(CellParameters(wear=0.4), told, 10)
    assert worn.flow < 0.9 * good.flow
    assert worn.pressure < 0.9 * good.pressure


def test_actuators_move_no_faster_than_they_can() -> None:
    state = run(CellParameters(), Actuators(100.0, 100.0, 12.0), 1)
    assert state.actuators.pump_speed == pytest.approx(20.0)
    assert state.actuators.valve_position == pytest.approx(10.0)
    assert state.actuators.heater_power == pytest.approx(4.0)


def test_a_stuck_actuator_does_not_move() -> None:
    stuck = CellParameters(stuck_pump=30.0, stuck_valve=5.0, stuck_heater=1.0)
    state = run(stuck, Actuators(100.0, 100.0, 12.0), 30)
    assert state.actuators == Actuators(30.0, 5.0, 1.0)
    freed = step(replace(stuck, stuck_pump=None), state, Actuators(100.0, 0.0, 0.0), 0.1)
    assert freed.actuators.pump_speed == pytest.approx(32.0)


def test_a_command_that_is_no_number_changes_nothing() -> None:
    state = run(CellParameters(), Actuators(50.0, 50.0, 5.0), 10)
    after = step(CellParameters(), state, Actuators(math.nan, math.nan, math.nan), 1.0)
    assert after.actuators == state.actuators


def test_the_same_seed_gives_the_same_floats_and_another_seed_others() -> None:
    parameters, told = CellParameters(noise=0.01), Actuators(60.0, 30.0, 6.0)
    one, again, other = (measure(parameters, run(parameters, told, 5, seed)) for seed in (7, 7, 8))
    assert one == again
    assert one.level1 != other.level1


def test_noise_stays_within_its_share_of_the_range() -> None:
    parameters = CellParameters(noise=0.01)
    state = initial(parameters, 5)
    errors = []
    for _ in range(500):
        state = step(parameters, state, Actuators(), 0.1)
        errors.append(measure(parameters, state).level1 - state.volume1 / parameters.area1)
    assert max(abs(error) for error in errors) <= 0.01 * HEIGHT
    assert max(errors) > 0.25 * 0.01 * HEIGHT
    assert abs(sum(errors) / len(errors)) < 0.1 * 0.01 * HEIGHT


@pytest.mark.parametrize("dt", [0.0, -1.0, math.nan, math.inf, 61.0])
def test_time_goes_forward_in_steps_that_physics_can_follow(dt: float) -> None:
    with pytest.raises(ValueError, match="dt"):
        step(CellParameters(), initial(CellParameters(), 0), Actuators(), dt)


@pytest.mark.parametrize(
    "wrong", [{"wear": 1.1}, {"leak": -1.0}, {"noise": math.nan}, {"volume2": 9.0}, {"stuck_heater": 13.0}]
)
def test_a_cell_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        replace(CellParameters(), **wrong)
