"""A bench at a quick pace under a quick supervisor; its processes as the system knows them, also while they start."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from testbed.core.errors import StoreError
from testbed.rig.bench import load_bench
from testbed.rig.locks import role_names
from testbed.rig.progress import progress_of
from testbed.rig.status import read_status
from testbed.store.sqlite import LogStore
from tests.flow.live import quick_up
from tests.flow.live.conftest import LiveBench, ended, typed, until

QUICK = {"scan_ms": "50", "commit_ms": "0", "publish_ms": "150", "heartbeat_s": "0.5", "within_s": "0.3"}
"""Twenty scans a second, each committed at once, anchors three times a second."""

Pids = dict[str, int]


def make_quick(folder: Path, *, witness: bool = False) -> LiveBench:
    """A bench that is ready to start; with witness and log server where they are asked for."""
    bench = LiveBench(folder)
    assert typed("init", "--in", str(folder)).returncode == 0
    bench.edit(**QUICK)
    text = bench.file.read_text(encoding="utf-8")
    assert text.count("period_ms = 50") == 2
    bench.file.write_text(text.replace("period_ms = 50", "period_ms = 25"), encoding="utf-8")
    bench.move_ports(witness=witness)
    bench.run("init")
    # How well a reader keeps up says how busy this machine is, and nothing about kills.
    trust = folder / "trust.toml"
    text = trust.read_text(encoding="utf-8")
    assert text.count("\nmissed = 0.2\n") == 1
    trust.write_text(text.replace("\nmissed = 0.2\n", "\nmissed = 0.9\n"), encoding="utf-8")
    return bench


class Quick:
    """Starts such a bench, again and again."""

    def __init__(self, live: LiveBench, environment: Mapping[str, str] | None = None) -> None:
        self.live = live
        self.bench = load_bench(live.file)
        self.roles = role_names(self.bench)
        self._environment = {**os.environ, **(environment or {})}
        self._output = live.folder / "up.txt"
        self.process: subprocess.Popen[bytes] | None = None
        self._seen: set[int] = set()

    def start(self) -> None:
        with self._output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, quick_up.__file__, str(self.live.file)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
            )

    def said(self) -> str:
        """All that it printed."""
        return self._output.read_text(encoding="utf-8")

    def pids(self) -> Pids:
        """The supervisor and what it started: the roles, and the chain's own node as `node`."""
        if self.process is None:
            return {}
        found = {"supervisor": self.process.pid}
        children = children_by_parent()
        for pid, command in children.get(self.process.pid, ()):
            # Between fork and exec it still shows the supervisor's own command.
            if command and command[-1] in self.roles:
                found[command[-1]] = pid
        for pid, command in children.get(found.get("chain", -1), ()):
            if command and command[0].endswith("anvil"):
                found["node"] = pid
        self._seen.update(found.values())
        return found

    def sizes(self) -> dict[str, int]:
        """Records by log; of the gateway and the twin also those that are anchored, where the anchor runs."""
        found: dict[str, int] = {}
        for log in progress_of(self.bench).logs:
            found |= {log.name: log.size, f"{log.name} anchored": log.anchored}
        return found

    def is_well(self, since: Mapping[str, int]) -> bool:
        """Whether every role runs that was started last, and logs grew, under new anchors, since they had `since`."""
        assert self.process is not None
        assert self.process.poll() is None, self.said()[-2000:]
        pids = self.pids()
        for role in self.roles:
            status = read_status(self.bench, role)
            if status.get("state") != "running" or status.get("pid") != pids.get(role):
                return False
        if read_status(self.bench, "chain").get("node") != pids.get("node"):
            return False
        now = self.sizes()
        return all(
            now[f"{log}{what}"] > since[log]
            for log in (*(reader.name for reader in self.bench.readers), self.bench.twin.name)
            for what in ("", " anchored")
        )

    def wait_until_well(self) -> None:
        """Wait until what is logged from now on is followed and anchored."""
        since = {name: self.size(name) for name in self.bench.logs}
        until(lambda: self.is_well(since))

    def size(self, name: str) -> int:
        """How long a log is; 0 where there is none yet."""
        with suppress(StoreError), LogStore.read(self.live.data / name / "log.sqlite") as store:
            found = store.latest_checkpoint()
            return found[0] if found else 0
        return 0

    def stop(self) -> int:
        """Stop it in order; its exit code."""
        if self.process is None:
            return 0
        self.pids()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=60)
        self.nothing_runs()
        return code

    def nothing_runs(self) -> None:
        """Wait until every process has ended: those that were seen, and one that its supervisor had just begun."""
        until(lambda: all(map(ended, self._seen)) and not self._left_over())
        self._seen.clear()
        if self.process is not None:
            self.process.wait()

    def _left_over(self) -> list[int]:
        """Roles of this bench, and what is to become one: until it is, it bears the supervisor's command."""
        return [
            pid
            for children in children_by_parent().values()
            for pid, command in children
            if str(self.live.file) in command and {"run", quick_up.__file__}.intersection(command)
        ]

    def clean_up(self) -> None:
        """Leave nothing behind, whatever happened. The roles live with their supervisor, the node with its role."""
        pids = self.pids()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            for pid in pids.values():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.nothing_runs()


def children_by_parent() -> dict[int, list[tuple[int, list[str]]]]:
    """Every process that runs, with its command, by its parent."""
    found: dict[int, list[tuple[int, list[str]]]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            command = (folder / "cmdline").read_text(encoding="utf-8", errors="replace").split("\0")[:-1]
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if fields[0] != "Z":
            found.setdefault(int(fields[1]), []).append((int(folder.name), command))
    return found
