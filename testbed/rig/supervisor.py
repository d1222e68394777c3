"""Runs all roles of a bench, each as a process of its own; starts again what dies, and stops them in order.

At the start a role that cannot run ends the bench, with its message: somebody is there to read it. Once every role
has said that it runs, none ends it any more: the others go on, and the one that died is tried again and again.
"""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from testbed.core.errors import StoreError, TestbedError, UsageError
from testbed.rig.bench import Bench
from testbed.rig.locks import SUPERVISOR, check_not_running, role_lock, role_names
from testbed.rig.log_lines import line_handler, logging_to
from testbed.rig.output import CappedFile, RoleOutput
from testbed.rig.paths import Paths
from testbed.rig.ports import check_ports
from testbed.rig.status import Status, read_status
from testbed.rig.supervision import Supervised, to_status

_LOG = logging.getLogger("testbed.supervisor")
_MOST_EARLY_DEATHS = 3
_MOST_REFUSALS = 1
"""A role that says itself why it cannot go on gets one more try: a port may be in use for an instant."""
_MOST_SHORT_LIVES = 5
_WRONG_USAGE = 2
_PERIOD_S = 0.2
_REST = 4


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. start: the bench counts as up when every role has said that it runs, and after this time at the latest;

    early: a role that dies sooner than this has failed to start; steady: one that lived this long begins anew with
    the shortest pause; first_pause doubles up to longest_pause; stop: how long a role may take to stop.
    """

    start: float = 30.0
    early: float = 10.0
    steady: float = 60.0
    first_pause: float = 0.5
    longest_pause: float = 30.0
    stop: float = 20.0


@dataclass(slots=True)
class _Child:
    role: str
    file: CappedFile = field(repr=False)
    process: asyncio.subprocess.Process | None = None
    output: RoleOutput | None = field(default=None, repr=False)
    started: float = 0.0
    """When it was started, or is to be started again: s, monotonic."""
    has_run: bool = False
    early_deaths: int = 0
    short_lives: int = 0
    restarts: int = 0
    words: str = ""
    down: bool = False


class Supervisor:
    """The processes of one bench.

    command: the program and arguments that run a role, to which its name is added; say: takes a line for a person.
    """

    def __init__(
        self, bench: Bench, command: Sequence[str], say: Callable[[str], None], patience: Patience | None = None
    ) -> None:
        self._bench = bench
        self._command = list(command)
        self._say = say
        self._patience = patience or Patience()
        self._paths = Paths(bench.data)
        self._children = [_Child(role, CappedFile(self._paths.output(role))) for role in role_names(bench)]
        self._begun = 0.0
        self._is_up = False

    async def run(self, stopping: asyncio.Event, watch: Callable[[], None], period_s: float = _PERIOD_S) -> None:
        """Start everything, call `watch` each period until `stopping`, then stop in order.

        `watch` runs in a thread of its own: reading how far a bench is may take a while. What it raises ends nothing,
        unless its reader has left (BrokenPipeError).
        Raises UsageError when the bench runs already, TestbedError when a role fails at the start.
        """
        check_not_running(self._bench)
        with ExitStack() as stack:
            stack.enter_context(role_lock(self._bench, SUPERVISOR))
            lines = CappedFile(self._paths.output(SUPERVISOR))
            stack.callback(lines.close)
            stack.enter_context(logging_to(line_handler(self._bench.name, SUPERVISOR, _Text(lines), json_lines=True)))
            status = Status(self._bench, SUPERVISOR)
            stack.callback(_clear, status)
            watching = asyncio.create_task(self._watch(stopping, watch, period_s))
            try:
                await self._supervise(stopping, status, period_s)
            finally:
                stopping.set()
                await self._stop_all()
                await asyncio.wait([watching])
        watching.result()

    def supervised(self) -> Mapping[str, Supervised]:
        """How each role is, up to the moment when the bench was told to stop."""
        return {child.role: Supervised(child.restarts, child.words, child.down) for child in self._children}

    async def _supervise(self, stopping: asyncio.Event, status: Status, period_s: float) -> None:
        self._begun = time.monotonic()
        _LOG.info("bench starts", extra={"roles": [child.role for child in self._children]})
        for child in self._children:
            await self._start(child)
        while not stopping.is_set():
            for child in self._children:
                await self._look_after(child)
            self._is_up = self._is_up or self._has_come_up()
            with suppress(StoreError):  # a full disk; the roles say so
                status.write("running", "", to_status(self.supervised()))
            await _pause(stopping, period_s)
        _LOG.info("bench stops", extra={"down": [child.role for child in self._children if child.down]})

    async def _watch(self, stopping: asyncio.Event, watch: Callable[[], None], period_s: float) -> None:
        while not stopping.is_set():
            begun = time.monotonic()
            try:
                await asyncio.to_thread(watch)
            except BrokenPipeError:
                stopping.set()
                raise
            except Exception:  # noqa: BLE001 - whatever is wrong with the display, the bench goes on
                _LOG.exception("how far the bench is cannot be shown")
            # A long journal takes long to read; who watches leaves the processors to the bench.
            await _pause(stopping, max(period_s, _REST * (time.monotonic() - begun)))

    def _has_come_up(self) -> bool:
        late = time.monotonic() - self._begun > self._patience.start
        return late or all(child.has_run for child in self._children)

    async def _start(self, child: _Child) -> None:
        output = RoleOutput(child.file)
        descriptor = await output.open()
        try:
            # A session of its own: Ctrl-C reaches the supervisor alone, which stops the roles in order. Standard input
            # ends when the supervisor dies, however that happens, and the role stops by itself.
            child.process = await asyncio.create_subprocess_exec(
                *self._command,
                child.role,
                stdin=asyncio.subprocess.PIPE,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        except BaseException:
            output.close()
            raise
        finally:
            os.close(descriptor)
        child.output, child.started = output, time.monotonic()

    async def _look_after(self, child: _Child) -> None:
        if child.process is None:
            if time.monotonic() >= child.started:
                await self._start_again(child)
        elif child.process.returncode is None:
            self._take_note(child, child.process.pid)
        else:
            await self._bury(child, child.process.returncode)

    async def _start_again(self, child: _Child) -> None:
        child.restarts += 1
        try:
            await self._start(child)
        except OSError as error:  # the machine has no process or descriptor to give: it may have one later
            child.started = time.monotonic()
            self._schedule(child, f"cannot be started: {error.strerror}", most=_MOST_EARLY_DEATHS)

    def _take_note(self, child: _Child, pid: int) -> None:
        """See how a living role is."""
        lived = time.monotonic() - child.started
        if lived >= self._patience.steady:
            child.short_lives = 0
        if child.has_run and not child.down:
            return
        said = read_status(self._bench, child.role)
        if said.get("pid") != pid or said.get("state") != "running":
            return
        child.has_run = True
        if child.down and lived >= self._patience.early:
            child.down, child.early_deaths = False, 0
            _LOG.info("role is well again", extra={"of": child.role, "restarts": child.restarts})
            self._tell(f"role {child.role} is well again")

    async def _bury(self, child: _Child, code: int) -> None:
        """Note how a role died, and when it is to be started again. Raises what ends the bench at the start."""
        words = await child.output.finish() if child.output is not None else ""
        how = f"signal {-code}" if code < 0 else f"exit {code}"
        child.words, child.process = words or how, None
        most = _MOST_REFUSALS if code in (TestbedError.exit_code, _WRONG_USAGE) else _MOST_EARLY_DEATHS
        if not self._is_up:
            await self._end_at_start(child, code, words, most)
        self._schedule(child, f"ended ({how}): {words or 'no words'}", most=most)

    async def _end_at_start(self, child: _Child, code: int, words: str, most: int) -> None:
        early = time.monotonic() - child.started < self._patience.early
        if code == _WRONG_USAGE:
            await check_ports(self._bench, child.role)  # its own words name no mend for a whole bench
            raise UsageError(f"role {child.role} cannot run: {words}", f"see {self._paths.output(child.role)}")
        if early and child.early_deaths >= most:
            await check_ports(self._bench, child.role)
            raise TestbedError(
                f"role {child.role} ended {child.early_deaths + 1} times soon after its start: {words}",
                f"see {self._paths.output(child.role)}, and run `testbed verify`",
            )

    def _schedule(self, child: _Child, what: str, *, most: int) -> None:
        """When a role that ended just now is started again, and whether it is down."""
        now, patience = time.monotonic(), self._patience
        lived = now - child.started
        pause = min(patience.first_pause * 2**child.short_lives, patience.longest_pause)
        child.early_deaths = child.early_deaths + 1 if lived < patience.early else 0
        # Counted no further than it matters: 2**n would grow without end.
        child.short_lives = min(child.short_lives + 1, 30) if lived < patience.steady else 0
        child.process, child.started = None, now + pause
        goes_down = not child.down and (child.early_deaths > most or child.short_lives >= _MOST_SHORT_LIVES)
        child.down = child.down or goes_down
        facts = {"of": child.role, "what": what, "restarts": child.restarts, "down": child.down, "pause_s": pause}
        _LOG.log(logging.ERROR if child.down else logging.WARNING, "role ended", extra=facts)
        if goes_down:
            self._tell(f"role {child.role} {what}; it is down, and is tried again every {patience.longest_pause:g} s")
        elif not child.down:
            self._tell(f"role {child.role} {what}; starting it again in {pause:g} s")

    def _tell(self, line: str) -> None:
        """For a person. A terminal that is gone, or a full disk behind it, ends no bench; a reader who left does."""
        try:
            self._say(line)
        except BrokenPipeError:
            raise
        except OSError:
            _LOG.warning("could not be told: %s", line)

    async def _stop_all(self) -> None:
        """Stop in order: who writes first stops first, so that all that was logged is followed, anchored and kept."""
        order = self._stopping_order()
        for child in sorted(self._children, key=lambda child: order.index(child.role)):
            if child.process is not None and child.process.returncode is None:
                await self._stop(child, child.process)
            if child.output is not None:
                child.output.close()
            child.file.close()

    def _stopping_order(self) -> list[str]:
        witnesses = (witness.name for witness in self._bench.witnesses)
        last = [self._bench.twin.name, "anchor", *witnesses, "chain", "plc"]
        names = [child.role for child in self._children]
        return [name for name in names if name not in last] + [name for name in last if name in names]

    async def _stop(self, child: _Child, process: asyncio.subprocess.Process) -> None:
        with suppress(ProcessLookupError):
            process.terminate()
        with suppress(OSError):  # whoever read our lines has left: the roles stop in order all the same
            try:
                await asyncio.wait_for(process.wait(), self._patience.stop)
            except TimeoutError:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
                self._tell(f"role {child.role} did not stop within {self._patience.stop:.0f} s and was killed")
            words = await child.output.finish() if child.output is not None else ""
            if process.returncode:
                self._tell(f"role {child.role} ended with {process.returncode}: {words}")


class _Text:
    """A file of bytes that takes text."""

    def __init__(self, file: CappedFile) -> None:
        self._file = file

    def write(self, text: str) -> None:
        self._file.write(text.encode(errors="replace"))

    def flush(self) -> None: ...


def _clear(status: Status) -> None:
    with suppress(OSError):
        status.clear()


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)


def role_command(bench_file: str | None, port_shift: int) -> list[str]:
    """How `testbed run` is called for a role of this bench; its name is to be added."""
    command = [sys.executable, "-m", "testbed.cli.main", "run", "--with-parent", f"--port-shift={port_shift}"]
    return [*command, "--bench", bench_file] if bench_file else command
