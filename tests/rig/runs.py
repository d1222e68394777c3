"""Runs of tests to be written and read: their values by hand or by chance, and a whole small one."""

from pathlib import Path

from hypothesis import strategies as st

from testbed.core.bodies import Beacon
from testbed.core.clock import VirtualClock
from testbed.core.entropy import SeededEntropy
from testbed.core.identity import Identity
from testbed.core.measurement import Capture, Limits, Measurement, Outcome
from testbed.core.run import Case, CaseOutcome, Ended, LogSize, RunEnd, RunFacts, SafeState
from testbed.record.runs import Captured, Started
from testbed.rig.bench import Bench
from testbed.rig.evidence import EvidenceWriter, Kept
from testbed.rig.run_facts import facts_of

LEVEL, HEAT, ESTOP = (f"tests/test_tank.py::test_{name}" for name in ("level", "heat", "estop[1]"))
DEVICE = Identity("Attestbed", "emulated-plc", "1.0")
"""As the emulated PLC says by Modbus."""
BEGUN = 1_767_225_600 * 10**9


def measurement(
    test: str = LEVEL, name: str = "tank2.level", value: float | bool | None = 1.0, outcome: Outcome = Outcome.PASS
) -> Measurement:
    limits = Limits(equal=value) if isinstance(value, bool) else Limits(0.9, 1.1, for_s=2.5)
    return Measurement(test, name, name, "m", limits, value, outcome, False, 1, 17, BEGUN + 1_700_000_000)


def capture(test: str = LEVEL, name: str = "level and pump") -> Capture:
    times = tuple(place / 10 for place in range(40))
    values = tuple((None if place == 20 else place / 40, place % 20 < 10) for place in range(40))
    scans = tuple(range(40))
    return Capture(test, name, ("tank2.level", "pump.running"), ("m", ""), BEGUN, times, scans, values)


def write_run(
    bench: Bench, folder: Path, seed: int, clock: VirtualClock | None = None, *, simulated: bool = True
) -> Kept:
    """Three tests of which one fails, four measurements, a capture."""
    clock, entropy = clock or VirtualClock(BEGUN), SeededEntropy(seed, "evidence")
    facts = facts_of(bench, "modbus", DEVICE, seed=seed, tests=folder, clock=clock, entropy=entropy)
    with EvidenceWriter.open(bench, folder, facts, clock=clock, entropy=entropy, simulated=simulated) as evidence:
        evidence.started(LEVEL)
        evidence.measurement(measurement(value=1.0 + seed / 1000))
        evidence.measurement(measurement(name="pump.speed", value=1.05))
        evidence.capture(capture())
        evidence.outcome(Case(LEVEL, CaseOutcome.PASS, 4.25))
        evidence.started(HEAT)
        evidence.measurement(measurement(HEAT, "tank2.temperature", 61.25, Outcome.FAIL))
        evidence.outcome(Case(HEAT, CaseOutcome.FAIL, 9.5, "61.25 is above 1.1\n  61.25 |  ▂▄▆ <here> & there\n"))
        evidence.started(ESTOP)
        evidence.measurement(measurement(ESTOP, "pump.running", value=False))
        evidence.outcome(Case(ESTOP, CaseOutcome.PASS, 1.0))
        return evidence.close(Ended.FINISHED, SafeState.REACHED)


TEXT = st.text(max_size=12)
WHOLE = st.integers(0, 2**63)
SECONDS = st.floats(0, 1e6)
VALUES = st.one_of(st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False))
OPEN = st.one_of(st.none(), st.floats(allow_nan=False))
SIZES = st.dictionaries(TEXT, WHOLE, max_size=3).map(
    lambda sizes: tuple(LogSize(origin, size) for origin, size in sizes.items())
)
BLOCKS = st.none() | st.builds(Beacon, WHOLE, WHOLE, st.binary(min_size=32, max_size=32))


@st.composite
def limits(draw: st.DrawFn) -> Limits:
    if draw(st.booleans()):
        return Limits(equal=draw(VALUES), for_s=draw(SECONDS))
    low, high = draw(OPEN), draw(OPEN)
    if low is None and high is None:
        low = 0.0
    if low is not None and high is not None:
        low, high = sorted((low, high))
    return Limits(low, high, for_s=draw(SECONDS))


MEASUREMENTS = st.builds(
    Measurement,
    test=TEXT,
    name=TEXT,
    tag=TEXT,
    unit=TEXT,
    limits=limits(),
    value=st.none() | VALUES,
    outcome=st.sampled_from(Outcome),
    marginal=st.booleans(),
    boot=WHOLE,
    scan=st.none() | WHOLE,
    time_ns=WHOLE,
    detail=TEXT,
)
FACTS = st.builds(
    RunFacts,
    run=TEXT,
    bench=TEXT,
    transport=TEXT,
    device=st.builds(Identity, TEXT, TEXT, TEXT, TEXT),
    commit=TEXT,
    software=TEXT,
    seed=st.none() | WHOLE,
    begun_ns=WHOLE,
    logs=SIZES,
    block=BLOCKS,
)
CASES = st.builds(Case, TEXT, st.sampled_from(CaseOutcome), SECONDS, TEXT)
ENDS = st.builds(RunEnd, st.sampled_from(Ended), st.sampled_from(SafeState), WHOLE, TEXT, TEXT, SIZES)
CAPTURED = st.builds(Captured, TEXT, st.binary(min_size=32, max_size=32), TEXT, TEXT)
RECORDS = st.one_of(FACTS, MEASUREMENTS, CASES, ENDS, CAPTURED, st.builds(Started, TEXT))
