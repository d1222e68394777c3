"""Runs all roles of a bench, each as a process of its own; starts again what dies, and stops them in order."""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO

from testbed.core.errors import TestbedError, UsageError
from testbed.rig.bench import Bench
from testbed.rig.locks import check_not_running, role_names
from testbed.rig.paths import Paths
from testbed.rig.ports import check_ports

_BACK_OFF_S = (0.5, 1.0, 2.0, 4.0)
_EARLY_S = 10.0
"""A role that dies sooner than this after its start has failed to start."""
_MOST_EARLY_DEATHS = 3
_MOST_REFUSALS = 1
"""A role that says itself why it cannot go on gets one more try: a port may be in use for an instant."""
_STOP_S = 20.0
_WRONG_USAGE = 2


@dataclass(slots=True)
class _Child:
    role: str
    process: asyncio.subprocess.Process | None = None
    started: float = 0.0
    early_deaths: int = 0
    restarts: int = 0
    output: BinaryIO | None = field(default=None, repr=False)
    printed: int = 0
    """Length of its output when it was last started: what stands before it are another process's words."""


class Supervisor:
    """The processes of one bench.

    command: the program and arguments that run a role, to which its name is added; say: takes a line for a person.
    """

    def __init__(self, bench: Bench, command: Sequence[str], say: Callable[[str], None]) -> None:
        self._bench = bench
        self._command = list(command)
        self._say = say
        self._children = [_Child(role) for role in role_names(bench)]

    async def run(self, stopping: asyncio.Event, watch: Callable[[], None], period_s: float = 0.2) -> None:
        """Start everything, call `watch` each period until `stopping`, then stop in order.

        Raises UsageError when the bench runs already, TestbedError when a role cannot be kept alive.
        """
        check_not_running(self._bench)
        try:
            for child in self._children:
                await self._start(child)
            while not stopping.is_set():
                for child in self._children:
                    await self._look_after(child)
                watch()
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), period_s)
        finally:
            await self._stop_all()

    @property
    def restarts(self) -> int:
        """How often a role was started again."""
        return sum(child.restarts for child in self._children)

    async def _start(self, child: _Child) -> None:
        path = Paths(self._bench.data).output(child.role)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if child.output is None:
            child.output = path.open("ab")
        child.printed = path.stat().st_size
        # A session of its own: Ctrl-C reaches the supervisor alone, which stops the roles in order. Standard input
        # ends when the supervisor dies, however that happens, and the role stops by itself.
        child.process = await asyncio.create_subprocess_exec(
            *self._command,
            child.role,
            stdin=asyncio.subprocess.PIPE,
            stdout=child.output,
            stderr=child.output,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        child.started = time.monotonic()

    async def _look_after(self, child: _Child) -> None:
        if child.process is None:
            if time.monotonic() >= child.started:
                await self._start(child)
                child.restarts += 1
            return
        code = child.process.returncode
        if code is None:
            return
        words = self._last_words(child)
        if code == _WRONG_USAGE:
            await check_ports(self._bench, child.role)  # its own words name no mend for a whole bench
            raise UsageError(
                f"role {child.role} cannot run: {words}", f"see {Paths(self._bench.data).output(child.role)}"
            )
        lived = time.monotonic() - child.started
        child.early_deaths = child.early_deaths + 1 if lived < _EARLY_S else 0
        most = _MOST_REFUSALS if code == TestbedError.exit_code else _MOST_EARLY_DEATHS
        if child.early_deaths > most:
            await check_ports(self._bench, child.role)
            raise TestbedError(
                f"role {child.role} ended {child.early_deaths} times soon after its start: {words}",
                f"see {Paths(self._bench.data).output(child.role)}, and run `testbed verify`",
            )
        pause = _BACK_OFF_S[min(child.early_deaths, len(_BACK_OFF_S) - 1)]
        how = f"signal {-code}" if code < 0 else f"exit {code}"
        self._say(f"role {child.role} ended ({how}): {words or 'no words'}; starting it again in {pause} s")
        child.process, child.started = None, time.monotonic() + pause

    async def _stop_all(self) -> None:
        """Stop in order: who writes first stops first, so that all that was logged is followed, anchored and kept."""
        names = [self._bench.reader.name, self._bench.twin.name, "anchor", "chain", "plc"]
        for child in sorted(self._children, key=lambda child: names.index(child.role)):
            if child.process is not None and child.process.returncode is None:
                await self._stop(child, child.process)
            if child.output is not None:
                child.output.close()

    async def _stop(self, child: _Child, process: asyncio.subprocess.Process) -> None:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOP_S)
        except TimeoutError:
            self._say(f"role {child.role} did not stop within {_STOP_S:.0f} s and is killed")
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if process.returncode not in (0, None):
            self._say(f"role {child.role} ended with {process.returncode}: {self._last_words(child)}")

    def _last_words(self, child: _Child) -> str:
        """The last error that the role printed, on one line."""
        printed = Paths(self._bench.data).output(child.role).read_bytes()[child.printed :]
        lines = printed.decode(errors="replace").splitlines()
        errors = [line for line in lines[-20:] if line.startswith("error: ")]
        return (errors or lines[-1:] or [""])[-1].removeprefix("error: ")


def role_command(bench_file: str | None, port_shift: int) -> list[str]:
    """How `testbed run` is called for a role of this bench; its name is to be added."""
    command = [sys.executable, "-m", "testbed.cli.main", "run", "--with-parent", f"--port-shift={port_shift}"]
    return [*command, "--bench", bench_file] if bench_file else command
