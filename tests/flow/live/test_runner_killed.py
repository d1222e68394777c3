"""Whoever drives the machine is killed: it stops by itself, the log says so, and the next run writes the report of the
one that was broken off. None of it looks as if somebody had falsified something, until somebody does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

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

DESTRUCTIVE = """
import pathlib
import pytest

@pytest.mark.destructive
def test_fills(plc, measure):
    plc.write("control.mode", 2)
    plc.wait_until("pump.speed").above(20, "%", limit=30)
    measure("pump.speed").above(20, "%")
    pathlib.Path("running").touch()
    plc.wait_until("tank2.level").above(1.99, "m", limit=3000)
"""
READS = """
def test_stands(plc):
    assert plc.read("watchdog.tripped") is True
"""


def read(bench: LiveBench, *tags: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(bench.run("read", *tags, "--json"))["values"]
    return found


def runner(bench: LiveBench, text: str) -> subprocess.Popen[str]:
    """pytest in the folder of the bench, as a test engineer types it."""
    (bench.folder / "test_cell.py").write_text(text, encoding="utf-8")
    (bench.folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:asyncio", "--bench=bench.toml"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TESTBED_", "PYTEST_"))}
    return subprocess.Popen(
        [*command, "--evidence-dir=evidence", "test_cell.py"],
        cwd=bench.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.long
def test_a_killed_runner_trips_the_watchdog_and_the_next_one_tells_of_it(make_bench: MakeBench) -> None:
    bench = make_bench("bench")
    bench.file.write_text(bench.file.read_text(encoding="utf-8") + '\n[test]\nby = "modbus"\n', encoding="utf-8")
    up = bench.up()
    up.wait_for(lambda status: status["states"] >= 1)
    up.wait_for(lambda status: all(role.get("state") == "running" for role in status["roles"].values()))
    killed = runner(bench, DESTRUCTIVE)
    try:
        until((bench.folder / "running").exists)
        assert read(bench, "watchdog.tripped", "watchdog.limit_ms") == {
            "watchdog.tripped": False,
            "watchdog.limit_ms": 2000,
        }
    finally:
        killed.kill()
        killed.communicate()
    # Started at once, before the watchdog can have tripped: it waits for what the gateway's log will say.
    following = runner(bench, READS)
    told, _ = following.communicate(timeout=60)
    assert following.returncode == 0, told
    reports = {
        report.parent: report.read_text(encoding="utf-8") for report in bench.folder.glob("evidence/*/report.html")
    }
    (broken,) = [folder for folder, text in reports.items() if "broken off" in text]
    assert len(reports) == 2
    assert f"{broken.name}: written now" in told
    assert "the watchdog tripped at" in reports[broken]
    assert read(bench, "watchdog.tripped", "pump.speed", "heater.power") == {
        "watchdog.tripped": True,
        "pump.speed": 0.0,
        "heater.power": 0.0,
    }

    _quarantine_lasts_until_it_was_seen_to_be_safe(bench)
    assert up.end() == 0, up.said()
    checked = bench.run("verify", str(broken))
    assert checked.startswith("GENUINE\n")
    measured = broken / "measurements.jsonl"
    measured.write_bytes(measured.read_bytes().replace(b"PASS", b"PASs"))
    refused = bench.run("verify", str(broken), must=1)
    assert refused.startswith("FALSIFIED\n")
    assert "measurements.jsonl" in refused
    assert "test_fills" in refused

    before = load_bench(bench.file)
    said = [record.body for record in records_of(before, "gateway")]
    events = [body for body in said if isinstance(body, Event) and body.name.startswith("watchdog")]
    assert [body.name for body in events] == [WATCHDOG_ARMED, WATCHDOG_TRIPPED]
    _the_trip_came_in_time(before.tags, said)
    commands = [record.body for record in records_of(before, "operator")]
    assert [(body.what, body.outcome.partition(":")[0]) for body in commands if isinstance(body, Command)] == [
        ("write control.mode = 2", INTENDED),
        ("write control.mode = 2", CONFIRMED),
        ("write control.mode = 0", INTENDED),
        ("write control.mode = 0", CONFIRMED),
        ("write control.level_setpoint = 0.75", INTENDED),
        ("write control.level_setpoint = 0.75", CONFIRMED),
    ]
    bench.genuine()


def _the_trip_came_in_time(tags: Sequence[Tag], said: Sequence[Body]) -> None:
    """It stands behind the state that shows it, and no more than the limit and some scans behind the last beat."""
    names = [tag.name for tag in tags]
    beat, tripped = names.index("watchdog.beat"), names.index("watchdog.tripped")
    at = next(number for number, body in enumerate(said) if isinstance(body, Event) and body.name == WATCHDOG_TRIPPED)
    states = [body for body in said[:at] if isinstance(body, State)]
    assert said[at - 1] is states[-1]
    assert [decode(tags[tripped], state.values[tripped]) for state in states[-2:]] == [False, True]
    last = next(state for state in reversed(states) if state.values[beat] != states[-1].values[beat])
    scans = int(states[-1].scan or 0) - int(last.scan or 0)
    assert scans <= 20 + 3


def _quarantine_lasts_until_it_was_seen_to_be_safe(bench: LiveBench) -> None:
    path = Paths(bench.data).quarantine
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
