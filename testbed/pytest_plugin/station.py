"""The bench while it is open in one process of pytest: the line to its PLC, who may write, and its safe state."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from testbed.core.clock import SystemClock
from testbed.core.entropy import SystemEntropy
from testbed.core.errors import DeviceError, LeaseError, TestbedError, UsageError
from testbed.core.identity import Identity
from testbed.core.tags import Tag, Value
from testbed.fieldbus.controller import Controller
from testbed.guard.controller import GuardedController
from testbed.guard.lease import Lease
from testbed.guard.logged import LoggedController
from testbed.guard.policy import Policy, everything, nothing
from testbed.guard.quarantine import quarantine
from testbed.guard.safe_state import Reached, SafeState, reach_safe_state
from testbed.guard.stop import stop_of
from testbed.guard.watchdog import Watchdog
from testbed.pytest_plugin.line import CONFIRM_S, PATIENCE_S, Line, MustEnd
from testbed.pytest_plugin.loop import Loop
from testbed.pytest_plugin.reach import reach
from testbed.pytest_plugin.sample import Sample
from testbed.pytest_plugin.settings import IN_PROCESS, Settings, is_physical
from testbed.rig.bench import Bench, load_bench
from testbed.rig.boot import read_boot
from testbed.rig.locks import role_lock
from testbed.rig.operating import operator_log
from testbed.rig.paths import Paths
from testbed.rig.safety import (
    lease_folder,
    person,
    policy_of,
    refuse_command,
    safe_state_of,
    stop_rules_of,
    watchdog_of,
)

TESTS = "tests"
"""Who runs tests on a bench holds a lock under this name, as a role does."""
_WHO = "pytest"
_LEASE_NS = 600 * 10**9
_RETRY_S = 0.2
_LEASE_LOOK_S = 5.0
_MONITOR_S = 0.5
_START_S = 30.0


class NotSafe(TestbedError):
    """The machine did not reach its safe state."""


class Station:
    """Opens the bench, and closes it in its safe state.

    rootdir: pytest's; on_end: is called, in the loop's thread, when the run must end and nobody waits for the line.
    Raises UsageError, LeaseError, Quarantined, StoreError; DeviceError where the PLC does not answer.
    """

    def __init__(
        self, bench: Bench, path: Path | None, settings: Settings, rootdir: Path, on_end: Callable[[str], None]
    ) -> None:
        self.bench = bench
        self.settings = settings
        self.must_end = ""
        self._on_end = on_end
        self._stack = ExitStack()
        self._rules = stop_rules_of(bench)
        self._lease: Lease | None = None
        self._leased_at = 0.0
        self._wrote = False
        self._watchdog: Watchdog | None = None
        self._beating: asyncio.Task[None] | None = None
        try:
            self._open(path, rootdir)
        except BaseException:
            self._stack.close()
            raise

    @property
    def in_process(self) -> bool:
        """Whether time stands while nobody waits."""
        return self.settings.by == IN_PROCESS

    def _open(self, path: Path | None, rootdir: Path) -> None:
        bench, settings, stack = self.bench, self.settings, self._stack
        if not self.in_process:
            self._reserve()
        found = reach(bench, path, settings)
        for child in reversed(found.children):
            stack.callback(child.close)
        self.owned = found.owned
        self.loop = Loop()
        stack.callback(self.loop.close)
        self._raw: Controller = found.controller
        if not self.in_process and Paths(bench.data).log(bench.operator.name).is_file():
            self._raw = self.loop.run(self._logged(found.controller))
        guarded = GuardedController(_Noticing(self._raw, self.touched), self._policy(rootdir), found.pace.clock)
        self.line = Line(guarded, found.pace, bench.scan_tag, bench.plc.scan_ms / 1000, bench.momentary)
        # An OPC UA server is there a second or two after its process.
        self.loop.run(self.line.connect(_START_S if found.children else PATIENCE_S))
        stack.callback(lambda: self.loop.run(self.line.disconnect()))
        if bench.test.stands_in:
            self._must_stand_in()
        self.identity: Identity = self.loop.run(self._raw.identify())
        self.line.watchers.append(self._watch)
        if not self.in_process:
            monitor = self.loop.begin(self._monitor())
            stack.callback(self.loop.end, monitor)

    def close(self) -> None:
        """End all that was begun."""
        self._stack.close()

    def touched(self) -> None:
        """The machine may not be in its safe state from now on."""
        self._wrote = True

    def reach_safe_state(self, more: SafeState | None = None) -> Reached | None:
        """Bring the machine into its safe state and read it back; None where nothing was written since the last time.

        more: of the test, written and read before the bench's own. Raises NotSafe: the bench is in quarantine then.
        """
        if not self._wrote:
            return None
        own = safe_state_of(self.bench)
        safe = own if more is None else SafeState((*more.settings, *own.settings), own.verify, own.momentary)
        clock = self.line.pace.clock

        async def reach() -> Reached:
            async with self.line.asking:  # it connects anew
                return await reach_safe_state(self._raw, safe, clock, self.line.pace.pause)

        reached = self.loop.run(reach())
        self.line.connected = True
        if not reached.reached:
            why = f"its safe state was {reached.outcome.value}: {reached.why}"
            if not self.in_process:
                quarantine(Paths(self.bench.data).quarantine, why, SystemClock().now_ns())
            raise NotSafe(f"bench {self.bench.name}: {why}", "look at the machine; then run `testbed recover`")
        self._wrote = False
        return reached

    def start_watchdog(self) -> None:
        """From here on the machine stops by itself when this process dies. Nothing where the bench has no watchdog."""
        # Its limit is in plant time: where that is fast, beats must have as long on the wall.
        safety = self.bench.safety
        wall_ms = safety.watchdog_ms if self.in_process else safety.watchdog_ms * self.settings.time_scale
        limit_ms = min(int(wall_ms), int(self.line.tag(safety.watchdog_limit).high)) if safety.watchdog else 0
        bench = replace(self.bench, safety=safety.model_copy(update={"watchdog_ms": limit_ms}))
        watchdog = watchdog_of(bench, self._raw, self.line.tags, self.line.pace.sleep)
        if watchdog is not None:
            self._wrote = True
            self.loop.run(watchdog.arm())
            self._watchdog, self._beating = watchdog, self.loop.begin(watchdog.run())
            self._must_be_armed(limit_ms)

    def _must_be_armed(self, limit_ms: int) -> None:
        """A bridge takes what its policy denies without a word: nobody is to believe in a watchdog that sleeps."""
        name = self.bench.safety.watchdog_limit
        place = self.line.places[name]
        if self.loop.run(self.line.until(lambda sample: sample.values[place] == limit_ms, CONFIRM_S)) is None:
            last = self.line.last
            shown = None if last is None else last.values[place]
            what = f"the watchdog is not armed: {name} shows {shown!r}, and {limit_ms} was written"
            raise NotSafe(what, f"allow {self.bench.safety.watchdog} and {name} in the write policy of the bridge")

    def stop_watchdog(self) -> None:
        """After the safe state: the beats end, and the watchdog is switched off."""
        if self._watchdog is not None and self._beating is not None:
            self.loop.end(self._beating)
            watchdog, self._watchdog, self._beating = self._watchdog, None, None
            self.loop.run(watchdog.disarm())

    def _policy(self, rootdir: Path) -> Policy:
        bench = self.bench
        if is_physical(bench) and not self.settings.allow_writes:
            return nothing("a run without --allow-writes")
        if bench.test.stands_in and not bench.safety.policy:
            return everything(bench.tags)
        return policy_of(bench, rootdir)

    def _must_stand_in(self) -> None:
        """Where an emulated PLC stands in for a box, it is the one that answers, or nothing is written."""
        boot = self.loop.run(self.line.fresh()).poll.boot
        other = load_bench(self.bench.folder / self.bench.test.stands_in)
        if boot != read_boot(Paths(other.data).plc_boot):
            what = f"another PLC answers than that of {self.bench.test.stands_in}: its restart counter is {boot}"
            raise UsageError(what, "let [plc.connect] name the address at which that one serves")

    def _reserve(self) -> None:
        """One run of tests at a time, and under a lease where several people share the bench."""
        bench, clock = self.bench, SystemClock()
        deadline = time.monotonic() + self.settings.lease_timeout_s
        while True:
            try:
                refuse_command(bench, clock)
                self._stack.enter_context(role_lock(bench, TESTS))
                break
            except TestbedError as error:
                if time.monotonic() >= deadline:
                    raise self._taken(error) from None
            time.sleep(_RETRY_S)
        if bench.safety.lease or is_physical(bench):
            folder = lease_folder(bench)
            self._lease = Lease.join(folder, person(), clock)
            if self._lease is None:
                lease = Lease.reserve(folder, person(), _LEASE_NS, clock, SystemEntropy(), "tests")
                self._lease = lease
                self._stack.callback(lease.release)

    def _taken(self, error: TestbedError) -> TestbedError:
        if isinstance(error, UsageError):
            mend = "wait for its end (--lease-timeout 60); under xdist say --dist loadgroup, so that one worker has it"
            return LeaseError(f"another run of tests uses bench {self.bench.name}", mend)
        return error

    async def _logged(self, controller: Controller) -> Controller:
        """The controller, with its writes in the operator's log. The log lives in the loop's thread."""
        bench = self.bench
        inner = ExitStack()
        log = inner.enter_context(operator_log(bench, SystemClock(), SystemEntropy(), simulated=False))
        logged = LoggedController(controller, _WHO, log, bench.momentary, lambda tag: tag.name in bench.heartbeats)
        inner.callback(logged.settle)

        async def end() -> None:
            inner.close()

        self._stack.callback(lambda: self.loop.run(end()))
        return logged

    def _watch(self, sample: Sample) -> None:
        """What ends the run, looked for in every scan."""
        stop = stop_of(self._rules, self.line.tags, sample.poll)
        if stop is not None:
            self._end(stop.cause)
        if self._lease is not None and time.monotonic() - self._leased_at > _LEASE_LOOK_S:
            self._leased_at = time.monotonic()
            try:
                self._lease.check()
            except LeaseError as error:
                self._end(error.problem)

    def _end(self, cause: str) -> None:
        self.must_end = self.must_end or cause
        raise MustEnd(self.must_end)

    async def _monitor(self) -> None:
        """Look now and then although no test waits: what ends a run does not wait for one."""
        while True:
            await asyncio.sleep(_MONITOR_S)
            if not self.line.connected:
                continue
            try:
                await self.line.fresh()
            except MustEnd as error:
                self._on_end(str(error))
                return
            except DeviceError:
                continue  # whoever waits for the line next says so


class _Noticing:
    """A controller that says when something is going to be written."""

    def __init__(self, inner: Controller, notice: Callable[[], None]) -> None:
        self._inner = inner
        self._notice = notice
        self.connect, self.identify, self.poll, self.close = inner.connect, inner.identify, inner.poll, inner.close

    @property
    def tags(self) -> Sequence[Tag]:
        return self._inner.tags

    @property
    def repeats(self) -> int:
        return self._inner.repeats

    async def write(self, tag: Tag, value: Value) -> None:
        self._notice()
        await self._inner.write(tag, value)
