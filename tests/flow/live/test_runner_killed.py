"""Whoever drives the machine is killed: it stops by itself, the log says so, and the bench is out of use until it is
seen to be safe. None of it looks as if somebody had falsified something.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.core.bodies import (
    CONFIRMED,
    INTENDED,
    WATCHDOG_ARMED,
    WATCHDOG_TRIPPED,
    Body,
    Command,
    Event,
    State,
)
from testbed.core.clock import SystemClock
from testbed.core.tags import Tag
from testbed.fieldbus.registers import decode
from testbed.guard.quarantine import quarantine, quarantined
from testbed.rig.bench import load_bench
from testbed.rig.paths import Paths
from tests.flow.live.conftest import until
from tests.flow.live.written import records_of

if TYPE_CHECKING:
    from tests.flow.live.conftest import LiveBench, MakeBench

BEATING = Path(__file__).with_name("beating.py")
ROOT = Path(__file__).parents[3]


def read(bench: LiveBench, *tags: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(bench.run("read", *tags, "--json"))["values"]
    return found


def test_a_killed_runner_trips_the_watchdog_and_the_bench_recovers(make_bench: MakeBench) -> None:
    bench = make_bench("bench")
    up = bench.up()
    up.wait_for(lambda status: status["states"] >= 1)
    up.wait_for(lambda status: all(role.get("state") == "running" for role in status["roles"].values()))
    runner = subprocess.Popen(
        [sys.executable, str(BEATING), str(bench.file)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert runner.stdout is not None
        assert runner.stdout.readline() == "armed\n"
        before = load_bench(bench.file)
        until(lambda: read(bench, "watchdog.limit_ms") == {"watchdog.limit_ms": 2000})
        assert read(bench, "watchdog.tripped") == {"watchdog.tripped": False}
    finally:
        runner.kill()
        runner.communicate()
    until(lambda: read(bench, "watchdog.tripped")["watchdog.tripped"] is True)
    until(lambda: read(bench, "pump.speed", "heater.power") == {"pump.speed": 0.0, "heater.power": 0.0})

    path = Paths(before.data).quarantine
    quarantine(path, "the runner was killed", SystemClock().now_ns())
    assert "the runner was killed" in bench.run("who")
    refused = bench.run("write", "control.level_setpoint", "0.75", must=3)
    assert "in quarantine since" in refused
    assert "mend: look at the machine; then run `testbed recover`" in refused
    recovered = json.loads(bench.run("recover", "--who", "eve", "--json"))
    assert (recovered["recovered"], recovered["outcome"], recovered["faults"]) == (True, "reached", [])
    assert quarantined(path) is None
    assert bench.run("recover") == "water-cell is in no quarantine\n"
    assert "confirmed: read back" in bench.run("write", "control.level_setpoint", "0.75", "--who", "eve")

    assert up.end() == 0, up.said()
    said = [record.body for record in records_of(before, "gateway")]
    events = [body.name for body in said if isinstance(body, Event) and body.name.startswith("watchdog")]
    assert events == [WATCHDOG_ARMED, WATCHDOG_TRIPPED]
    _the_trip_stands_behind_the_state_that_shows_it(before.tags, said)
    commands = [record.body for record in records_of(before, "operator")]
    assert [(body.what, body.outcome.partition(":")[0]) for body in commands if isinstance(body, Command)] == [
        ("write control.mode = 0", INTENDED),
        ("write control.mode = 0", CONFIRMED),
        ("write control.level_setpoint = 0.75", INTENDED),
        ("write control.level_setpoint = 0.75", CONFIRMED),
    ]
    bench.genuine()


def _the_trip_stands_behind_the_state_that_shows_it(tags: Sequence[Tag], said: Sequence[Body]) -> None:
    place = [tag.name for tag in tags].index("watchdog.tripped")
    at = next(number for number, body in enumerate(said) if isinstance(body, Event) and body.name == WATCHDOG_TRIPPED)
    states = [body for body in said[:at] if isinstance(body, State)]
    assert said[at - 1] is states[-1]
    assert [decode(tags[place], state.values[place]) for state in states[-2:]] == [False, True]


def test_a_machine_that_does_not_answer_keeps_its_bench_in_quarantine(make_bench: MakeBench) -> None:
    bench = make_bench("bench")
    path = Paths(bench.data).quarantine
    quarantine(path, "the pump does not stop", SystemClock().now_ns())
    said = bench.run("recover", must=1)
    assert "water-cell stays in quarantine: its safe state is unknown" in said
    assert "the PLC of this bench does not serve" in said
    found = quarantined(path)
    assert found is not None
    assert found.why == "the pump does not stop"
