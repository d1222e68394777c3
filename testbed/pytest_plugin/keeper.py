"""One bench for all tests of a process: opened when the first one asks, kept, and closed at the end.

A bench that broke stays broken with its first cause: the first test that met it is an error, those that follow are
skipped. Hardware that is not there is a skip with its reason. With --require-hardware every such skip is a failure.
"""

from typing import NoReturn

import pytest

from testbed.core.errors import DeviceError, TestbedError, UsageError
from testbed.pytest_plugin.evidence import NO_EVIDENCE, Keeping, begin_evidence, finish_broken_runs
from testbed.pytest_plugin.marks import Kept, check_settings, missing, settings_of
from testbed.pytest_plugin.settings import Asked, Settings, asked, is_physical, settled
from testbed.pytest_plugin.signals import Signals
from testbed.pytest_plugin.station import Station
from testbed.pytest_plugin.turn import Turn
from testbed.rig.bench import Bench, load_bench


class Keeper:
    """config: pytest's. `begin` and `end` frame each test that uses the bench."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._signals = Signals()
        self._asked: Asked | None = None
        self._bench: Bench | None = None
        self._settings: Settings | None = None
        self._station: Station | None = None
        self._broken: TestbedError | None = None
        self._absent = ""
        self._kept: list[Kept] = []
        self._evidence: Keeping = NO_EVIDENCE
        self._earlier = ""
        self._fresh = True
        self._own = 0

    @property
    def opened(self) -> Station:
        """The bench, open."""
        return self._open()

    @property
    def evidence(self) -> Keeping:
        """Where what was measured is kept."""
        return self._evidence

    @property
    def bench(self) -> Bench:
        """The bench as its file says. Fails or skips the test where that cannot be read."""
        self._load()
        if self._bench is None:
            raise AssertionError("no bench, and no cause")  # _load does not return then
        return self._bench

    @property
    def settings(self) -> Settings:
        """What holds for this run."""
        self._load()
        if self._settings is None:
            raise AssertionError("no settings, and no cause")
        return self._settings

    def check(self, item: pytest.Item) -> None:
        """Skip the test where this bench is not what it needs, by its file alone."""
        if reason := missing(item, self.bench, self.settings):
            self.skip(reason)

    def skip(self, reason: str) -> NoReturn:
        """Skip this test, or fail it with --require-hardware."""
        required = (
            self._settings.require_hardware if self._settings else bool(self._asked and self._asked.require_hardware)
        )
        if required:
            pytest.fail(f"required, and not there: {reason}", pytrace=False)
        pytest.skip(reason)

    def begin(self, item: pytest.Item) -> Turn:
        """The test's turn at the line: an emulated plant is as new, and what its markers ask for is watched."""
        self.check(item)
        station = self._open()
        try:
            check_settings(item, station.line.tags)  # before the machine is touched
            turn = Turn(item.nodeid, station.loop, station.line, (self._evidence,), self._end_run)
            kept = [Kept(turn, mark) for mark in item.iter_markers("limits")]
        except UsageError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None  # the test's fault: the bench is well
        try:
            if station.owned is not None:
                self._make_new(station)
            turn.begin()
            self._own = len(station.line.watchers)
            self._kept = kept
            station.line.watchers.extend(self._kept)
            if item.get_closest_marker("destructive") is not None:
                station.start_watchdog()
        except TestbedError as error:
            self._break(error)
        self._evidence.started(item.nodeid)
        return turn

    def end(self, item: pytest.Item) -> None:
        """Whatever came of the test: the safe state is reached and read back, before any signal is heard.

        Raises LimitsBroken for a marker's limits, and fails the test where the machine is not safe.
        """
        station, kept, self._kept = self._station, self._kept, []
        if station is None:
            return
        with self._signals.held():
            del station.line.watchers[self._own :]  # the test's
            try:
                if station.owned is not None:
                    station.owned.order("mend", {})  # the test's own disturbances, which may hold an actuator
                station.reach_safe_state(settings_of(item))
                station.stop_watchdog()
            except TestbedError as error:
                self._evidence.unsafe(error.problem)
                self._break(error)
        if station.must_end:
            self._end_run(station.must_end)
        for one in kept:
            one.finish()

    def close(self, exit_status: int) -> str:
        """End of the run: the bench is closed, and its evidence written. What a person must know, or ""."""
        station, self._station = self._station, None
        said = ""
        if station is not None:
            with self._signals.held():
                try:
                    station.reach_safe_state()
                except TestbedError as error:
                    self._evidence.unsafe(error.problem)
                    said = str(error)
                station.close()
            self._signals.restore()
            closed = self._evidence.close(exit_status, station.must_end)
            said = "\n".join(filter(None, (said, closed)))  # that the machine is not safe must not be lost
        return "\n".join(filter(None, (self._earlier, said)))

    def _load(self) -> None:
        if self._broken is not None:
            self.skip(f"the bench is broken: {self._broken.problem}")
        if self._bench is not None:
            return
        try:
            self._asked = asked(self._config)
            self._bench = bench = load_bench(self._asked.bench)
            self._settings = settled(self._asked, bench)
        except TestbedError as error:
            self._break(error)

    def _open(self) -> Station:
        if self._station is not None:
            return self._station
        if self._absent:
            self.skip(self._absent)
        bench, settings = self.bench, self.settings
        path = self._asked.bench if self._asked else None
        try:
            self._earlier = self._earlier or finish_broken_runs(bench, settings)
            station = Station(bench, path, settings, self._config.rootpath, self._signals.end_now)
            try:
                self._evidence = begin_evidence(station, self._config)
            except BaseException:
                station.close()
                raise
        except DeviceError as error:
            if is_physical(bench):
                self._absent = f"the PLC of bench {bench.name} does not answer: {error.problem}"
                self.skip(self._absent)
            self._break(error)
        except TestbedError as error:
            self._break(error)
        self._station = station
        self._signals.install()
        return station

    def _make_new(self, station: Station) -> None:
        """An emulated cell begins each test at rest, full as at the start, and with the same noise."""
        if self._fresh:
            station.touched()
            self._fresh = False
        station.reach_safe_state()
        if station.owned is not None:
            station.owned.order("renew", {"seed": station.settings.seed})
        station.loop.run(station.line.pass_scans(2))

    def _break(self, error: TestbedError) -> NoReturn:
        """The bench is broken from now on, and this test is the one that says why."""
        if self._broken is None:
            self._broken = error
        raise pytest.fail.Exception(str(error), pytrace=False) from None

    def _end_run(self, cause: str) -> NoReturn:
        """At once, with the cause; the safe state comes first."""
        with self._signals.held():
            if self._station is not None:
                try:
                    self._station.reach_safe_state()
                except TestbedError as error:
                    self._evidence.unsafe(error.problem)
                    cause = f"{cause}; {error.problem}"
        pytest.exit(f"the run ends: {cause}", returncode=pytest.ExitCode.INTERRUPTED)
