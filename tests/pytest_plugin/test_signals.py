"""A run that a signal ends: real processes, a PLC in a third one, and a machine that is safe afterwards."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testbed.core.tags import Value
from testbed.fieldbus.registers import decode
from testbed.rig.bench import Bench, load_bench
from testbed.rig.controllers import modbus_reader
from testbed.rig.default import default_text
from testbed.rig.emulation import Child

HANGS = """
import pathlib, time
def test_it(plc):
    plc["control.mode"] = 2
    plc.wait_until("pump.speed").above(20, "%", limit=30)
    pathlib.Path("running").touch()
    plc.wait_until("tank2.level").above(1.99, "m", limit=3000)

def test_never(plc): raise RuntimeError
"""
SCALE = 5.0


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Bench]:
    """A bench whose emulated PLC runs, as under `testbed up`: not owned by the tests."""
    text = default_text()
    for found in re.findall(r"^port = \d+", text, flags=re.MULTILINE):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            text = text.replace(found, f"port = {free.getsockname()[1]}", 1)
    path = tmp_path / "bench.toml"
    path.write_text(text + '\n[test]\nby = "modbus"\n', encoding="utf-8")
    bench = load_bench(path)
    child = Child(bench, path, SCALE)
    try:
        yield bench
    finally:
        child.close()


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def shown(bench: Bench, *names: str) -> list[Value]:
    async def read() -> list[Value]:
        controller = modbus_reader(bench)
        await controller.connect()
        try:
            poll = await controller.poll()
        finally:
            await controller.close()
        found = {tag.name: decode(tag, raw) for tag, raw in zip(controller.tags, poll.values, strict=True)}
        return [found[name] for name in names]

    return asyncio.run(read())


def start(bench: Bench, text: str, *options: str) -> "subprocess.Popen[str]":
    (bench.folder / "test_it.py").write_text(text, encoding="utf-8")
    (bench.folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TESTBED_")}
    return subprocess.Popen(
        [*command, "--bench=bench.toml", "test_it.py"],
        cwd=bench.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 2, "KeyboardInterrupt"), (signal.SIGTERM, 128 + signal.SIGTERM, "SIGTERM")],
)
def test_a_signal_ends_the_run_and_the_machine_is_safe(running: Bench, number: int, code: int, said: str) -> None:
    process = start(running, HANGS)
    try:
        until(lambda: (running.folder / "running").exists() or process.poll() is not None, "the test did not begin")
        assert float(shown(running, "pump.speed")[0]) > 10.0
        process.send_signal(number)
        process.send_signal(number)  # an impatient person
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == code, output
    assert said in output
    mode, pump, valve = shown(running, "control.mode", "pump.speed", "valve.position")
    assert mode == 0
    assert float(pump) < 1.0
    assert float(valve) < 1.0


@pytest.mark.parametrize("destructive", [False, True])
def test_a_runner_that_is_killed_leaves_it_to_the_watchdog_which_only_destructive_tests_have(
    running: Bench, destructive: bool
) -> None:
    mark = "import pytest\n@pytest.mark.destructive" if destructive else ""
    process = start(running, HANGS.replace("\ndef test_it", f"\n{mark}\ndef test_it"))
    try:
        until(lambda: (running.folder / "running").exists() or process.poll() is not None, "the test did not begin")
    finally:
        process.kill()
        process.communicate()
    if destructive:
        until(lambda: shown(running, "watchdog.tripped") == [True], "the watchdog did not trip")
        until(lambda: float(shown(running, "pump.speed")[0]) < 1.0, "the pump did not stop")
    else:
        assert float(shown(running, "pump.speed")[0]) > 10.0


def test_a_bench_belongs_to_one_run_at_a_time(running: Bench) -> None:
    first = start(running, HANGS)
    try:
        until(lambda: (running.folder / "running").exists() or first.poll() is not None, "the test did not begin")
        output, _ = start(running, HANGS, "-rs").communicate(timeout=120)
    finally:
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=60)
    assert "another run of tests uses bench water-cell" in output
    assert "--dist loadgroup" in output
    assert "1 skipped, 1 error" in output


def test_under_xdist_the_one_bench_goes_to_one_worker(running: Bench) -> None:
    reads = "".join(f"def test_{n}(plc): assert plc['control.mode'] is not None\n" for n in range(4))
    process = start(running, reads, "-n", "2", "--dist", "loadgroup")
    output, _ = process.communicate(timeout=120)
    assert "4 passed" in output, output


def test_the_plant_of_a_plc_that_others_run_is_not_disturbed(running: Bench) -> None:
    process = start(running, "def test_it(plant): plant.leak(1.0)\n", "-rs")
    output, _ = process.communicate(timeout=120)
    assert "cannot be disturbed: these tests did not start its PLC" in output, output
    assert "1 skipped" in output
