"""Real benches: the command line as a user types it, each role a process, on free ports."""

import fcntl
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

from testbed.rig.bench import load_bench
from testbed.rig.progress import progress_of, running_roles

_PATIENCE_S = 60.0
"""How long a condition may take on a busy machine; a test that waits this long has failed."""

Status = dict[str, Any]
T = TypeVar("T")


def typed(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`testbed ARGUMENTS`, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "testbed.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def until(condition: Callable[[], T | None]) -> T:
    """Wait for a condition, and return what it returned."""
    deadline = time.monotonic() + _PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, "this did not come true"
        time.sleep(0.05)
    return found


def ended(pid: int) -> bool:
    """Whether a process has ended, also where nobody took note of it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, below those that the kernel gives to clients."""
    with ExitStack() as stack:
        found: list[int] = []
        while len(found) < count:
            probe = stack.enter_context(socket.socket())
            with suppress(OSError):
                probe.bind(("127.0.0.1", random.SystemRandom().randrange(10_000, 32_000)))
                found.append(probe.getsockname()[1])
        return found


def without_witness(text: str) -> str:
    """A bench file without the tables at its end: [serve] and [[witness]]."""
    return text.partition("# The logs as static files,")[0]


class Up:
    """A running `testbed up`."""

    def __init__(self, bench: "LiveBench", *arguments: str) -> None:
        self._bench = bench
        self._output = (bench.folder / "up.txt").open("w+b")
        command = [sys.executable, "-m", "testbed.cli.main", "up", "--bench", str(bench.file), *arguments]
        self.process = subprocess.Popen(command, stdout=self._output, stderr=subprocess.STDOUT)
        self.pids: dict[str, int] = {}

    def said(self) -> str:
        """All that it printed."""
        return (self._bench.folder / "up.txt").read_text(encoding="utf-8")

    def wait_for(self, condition: Callable[[Status], object]) -> Status:
        """Wait until the status of the bench is so, and return it."""

        def look() -> Status | None:
            assert self.process.poll() is None, self.said()
            status = self._bench.look()
            self.pids |= pids_of(status)
            return status if condition(status) else None

        return until(look)

    def end(self, number: int = signal.SIGINT) -> int:
        """Stop it as a terminal or a service manager does; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Its exit code, once it ended."""
        code = self.process.wait(timeout=_PATIENCE_S)
        self._output.close()
        return code

    def nothing_runs(self) -> None:
        """Wait until every process that it was seen with has ended."""
        until(lambda: all(map(ended, self.pids.values())))

    def clean_up(self) -> None:
        """Leave nothing behind, whatever the test found."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._output.close()
        self.nothing_runs()


def pids_of(status: Status) -> dict[str, int]:
    """Every process of a bench, by role; the chain's own node is `node`."""
    found = {role: facts["pid"] for role, facts in status["roles"].items() if "pid" in facts}
    node = status["roles"].get("chain", {}).get("node")
    return {**found, "node": node} if node else found


class LiveBench:
    """A bench in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "bench.toml"
        self.data = folder / ".testbed"
        self._ups: list[Up] = []

    def edit(self, **settings: str) -> None:
        """Set keys of the bench file, each of which stands there once."""
        text = self.file.read_text(encoding="utf-8")
        for key, value in settings.items():
            text, count = re.subn(rf"^{key} = \S+", f"{key} = {value}", text, flags=re.MULTILINE)
            assert count == 1, key
        self.file.write_text(text, encoding="utf-8")

    def move_ports(self, *, witness: bool = False) -> tuple[int, int, int]:
        """Take free ports: Modbus, OPC UA, chain; and one for the pages. Witness and log server only if they are asked
        for: they are processes and threads more, on a machine that has few processors.
        """
        text = self.file.read_text(encoding="utf-8")
        if not witness:
            text = without_witness(text)
        wanted = 6 if witness else 4
        ports = iter(found := free_ports(wanted))
        text, count = re.subn(r"^port = \d+", lambda _: f"port = {next(ports)}", text, flags=re.MULTILINE)
        assert count == wanted
        self.file.write_text(text, encoding="utf-8")
        return found[0], found[1], found[2]

    def run(self, command: str, *arguments: str, must: int = 0) -> str:
        """`testbed COMMAND` on this bench, which must end with that exit code; what it printed."""
        done = typed(command, *arguments, "--bench", str(self.file))
        assert done.returncode == must, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout if must == 0 else done.stdout + done.stderr

    def wait_until_read(self, tag: str, shown: str, by: str) -> None:
        """Wait until `testbed read` shows the tag so, by that protocol."""
        until(lambda: self.run("read", tag, "--by", by) == f"{tag} = {shown}\n")

    def look(self) -> Status:
        """What `testbed status --json` prints, at a fraction of its cost: for conditions that are waited for."""
        bench = load_bench(self.file)
        return {"roles": running_roles(bench), **progress_of(bench).facts()}

    def status(self) -> Status:
        found: Status = json.loads(self.run("status", "--json"))
        return found

    def verify(self) -> dict[str, Any]:
        """The report, whatever its verdict."""
        done = typed("verify", "--json", "--bench", str(self.file))
        found: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == {"GENUINE": 0, "FALSIFIED": 1, "INCONCLUSIVE": 3}[found["verdict"]]
        return found

    def genuine(self) -> dict[str, Any]:
        """The report of a stopped bench: GENUINE, and every record under an anchor but the newest receipts."""
        report = self.verify()
        assert (report["verdict"], report["findings"]) == ("GENUINE", [])
        assert [log["origin"] for log in report["logs"] if log["pending"] and log["role"] != "receipts"] == []
        return report

    def blocks(self) -> list[str]:
        """Hashes of the journal's blocks, lowest first."""
        lines = (self.data / "anchor/journal.jsonl").read_text(encoding="utf-8").splitlines()
        return [found for line in lines if isinstance(found := json.loads(line).get("block_hash"), str)]

    def up(self, *arguments: str) -> Up:
        self._ups.append(Up(self, *arguments))
        return self._ups[-1]

    def up_until(self, condition: Callable[[Status], object]) -> Up:
        """Run it until its status is so, and stop it."""
        up = self.up()
        up.wait_for(lambda status: condition(status) and status["roles"]["anchor"].get("state") == "running")
        assert up.end() == 0, up.said()
        return up

    def clean_up(self) -> None:
        for up in self._ups:
            up.clean_up()


MakeBench = Callable[..., LiveBench]


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[MakeBench]:
    """Makes benches: `make_bench(name, copy_of=None, ready=True, witness=False)`; what still runs is ended."""
    made: list[LiveBench] = []

    def make(name: str, copy_of: LiveBench | None = None, *, ready: bool = True, witness: bool = False) -> LiveBench:
        bench = LiveBench(tmp_path / name)
        made.append(bench)
        if copy_of is not None:
            shutil.copytree(copy_of.folder, bench.folder)
        else:
            assert typed("init", "--in", str(bench.folder)).returncode == 0
            bench.move_ports(witness=witness)
            if ready:
                bench.run("init")
        bench.move_ports(witness=witness)
        return bench

    yield make
    for bench in made:
        bench.clean_up()


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> LiveBench:
    """A bench that ran for two seconds; copy it. Test processes side by side share one."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    with (shared / "recorded.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        bench = LiveBench(shared / "recorded")
        if not bench.file.exists():
            assert typed("init", "--in", str(bench.folder)).returncode == 0
            bench.edit(within_s="1.0")
            bench.move_ports()
            bench.run("init")
            try:
                bench.up_until(lambda status: status["states"] >= 15 and status["logs"]["twin"]["anchored"])
            finally:
                bench.clean_up()
    return bench
