"""The PLC's watchdog: once it has a limit, the cell runs only while it is beaten."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.tags import Value
from testbed.plant.cell import Actuators, Measurements
from testbed.plc.emulator import Emulator
from testbed.plc.program import Inputs, Memory, Mode, scan
from testbed.rig.bench import load_bench

TAGS = load_bench(None).tags
NORMAL = Measurements(1.0, 0.8, 0.5, 1.0, 30.0, 30.0, 40.0, 5.0)
PERIODS_MS = (1, 10, 50, 100, 250, 1000)

Step = tuple[int, int, bool]
"""beat, limit in ms, reset"""

steps = st.lists(st.tuples(st.integers(0, 2), st.sampled_from((0, 100, 300, 1000)), st.booleans()), max_size=60)


@given(steps=steps, period_ms=st.sampled_from(PERIODS_MS))
def test_it_trips_when_no_beat_came_within_the_limit_and_falls_by_a_reset_alone(
    steps: list[Step], period_ms: int
) -> None:
    memory = Memory()
    tripped, last, silent_ms = False, 0, Fraction(0)
    for beat, limit, reset in steps:
        silent_ms = Fraction(0) if beat != last or limit == 0 else silent_ms + period_ms
        last = beat
        gone = silent_ms <= limit
        tripped = not gone or (tripped and not reset)
        inputs = Inputs(NORMAL, beat=beat, beat_limit_ms=limit, reset=reset)
        memory, outputs, flags = scan(memory, inputs, period_ms / 1000)
        assert flags.watchdog is tripped
        assert (outputs == Actuators()) is tripped
        assert not flags.estop


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("period_s", [0.01, 0.1, 0.5])
def test_the_last_scan_within_the_limit_runs_and_the_next_one_stops(mode: Mode, period_s: float) -> None:
    inputs = Inputs(NORMAL, mode, manual=Actuators(40.0, 30.0, 5.0), beat=7, beat_limit_ms=1000)
    memory, driven, _ = scan(Memory(), inputs, period_s)
    for _ in range(round(1.0 / period_s)):
        memory, outputs, flags = scan(memory, inputs, period_s)
        assert not flags.watchdog
        assert (outputs == Actuators()) is (driven == Actuators())
    memory, outputs, flags = scan(memory, inputs, period_s)
    assert flags.watchdog
    assert outputs == Actuators()
    memory, outputs, flags = scan(memory, replace(inputs, mode=Mode.AUTOMATIC, reset=True), period_s)
    assert flags.watchdog, "there is no beat yet, so a reset does not help"
    assert outputs == Actuators()


def run(emulator: Emulator, scans: int, *, beating: bool = False) -> dict[str, Value]:
    for _ in range(scans):
        if beating:
            emulator.image.write("watchdog.beat", (int(emulator.image.snapshot()["watchdog.beat"]) + 1) % 65536)
        emulator.scan()
    return dict(emulator.image.snapshot())


@pytest.mark.parametrize("scan_s", [0.05, 0.1, 0.5])
def test_a_cell_whose_driver_dies_stops_within_the_limit(scan_s: float) -> None:
    """In plant time, whatever the period of the scan."""
    emulator = Emulator(TAGS, seed=1, scan_s=scan_s)
    run(emulator, round(30 / scan_s))
    emulator.image.write("watchdog.limit_ms", 2000)
    values = run(emulator, round(30 / scan_s), beating=True)
    assert values["watchdog.tripped"] is False
    assert float(values["pump.speed"]) > 5
    values = run(emulator, round(2 / scan_s))
    assert values["watchdog.tripped"] is False
    assert run(emulator, 1)["watchdog.tripped"] is True
    values = run(emulator, round(10 / scan_s))
    assert (values["pump.speed"], values["valve.position"], values["heater.power"]) == (0.0, 0.0, 0.0)
    assert values["estop.active"] is False


def test_a_tripped_cell_cannot_be_started_by_its_mode_but_by_beats_and_a_reset() -> None:
    emulator = Emulator(TAGS, seed=1)
    emulator.image.write("watchdog.limit_ms", 500)
    assert run(emulator, 10)["watchdog.tripped"] is True
    for mode in (0, 1, 2):
        emulator.image.write("control.mode", mode)
        assert run(emulator, 5)["pump.speed"] == 0.0
    emulator.image.write("control.reset", True)
    assert run(emulator, 5)["watchdog.tripped"] is True, "nobody beats"
    assert run(emulator, 5, beating=True)["watchdog.tripped"] is True, "nobody has reset it"
    emulator.image.write("control.reset", True)
    values = run(emulator, 50, beating=True)
    assert values["watchdog.tripped"] is False
    assert float(values["pump.speed"]) > 5


def test_without_a_limit_a_reset_is_enough_and_nothing_trips() -> None:
    emulator = Emulator(TAGS, seed=1)
    assert run(emulator, 600)["watchdog.tripped"] is False
    emulator.image.write("watchdog.limit_ms", 100)
    assert run(emulator, 5)["watchdog.tripped"] is True
    emulator.image.write("watchdog.limit_ms", 0)
    assert run(emulator, 5)["watchdog.tripped"] is True
    emulator.image.write("control.reset", True)
    assert run(emulator, 1)["watchdog.tripped"] is False


def test_a_watchdog_that_is_switched_on_late_counts_from_there() -> None:
    emulator = Emulator(TAGS, seed=1)
    run(emulator, 600)
    emulator.image.write("watchdog.limit_ms", 1000)
    assert run(emulator, 10)["watchdog.tripped"] is False
    assert run(emulator, 1)["watchdog.tripped"] is True
