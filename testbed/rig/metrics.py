"""Metrics of a running bench, as Prometheus reads them: looked up when they are asked for, served beside the roles."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import make_wsgi_app
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from testbed import __version__
from testbed.core.clock import Clock, SystemClock
from testbed.core.errors import UsageError
from testbed.rig.bench import Bench
from testbed.rig.locks import is_held, role_names
from testbed.rig.metric_facts import fact_metric
from testbed.rig.newest_state import NewestStates
from testbed.rig.pages_server import PagesServer
from testbed.rig.paths import Paths
from testbed.rig.progress import Progress, progress_of
from testbed.rig.status import read_status
from testbed.rig.supervision import Supervised, Supervises

_LOG = logging.getLogger("testbed.metrics")
_KEPT_NS = 500_000_000
"""Whoever asks sooner than this gets the same answer again."""
_REST = 9


class BenchCollector(Collector):
    """Reads a bench at each scrape. Never raises: what cannot be read is missing, and counted in testbed_problems.

    A scrape costs no more than a tenth of a processor, however often somebody asks.
    """

    def __init__(self, bench: Bench, supervisor: Supervises, clock: Clock | None = None) -> None:
        self._bench = bench
        self._supervisor = supervisor
        self._clock = clock or SystemClock()
        self._newest = NewestStates(bench)
        self._lock = threading.Lock()
        self._kept: list[Metric] = []
        self._good_until = 0

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            begun = self._clock.monotonic_ns()
            if begun >= self._good_until:
                self._kept = self._read()
                took = self._clock.monotonic_ns() - begun
                self._good_until = begun + took + max(_KEPT_NS, _REST * took)
            kept = self._kept
        yield from kept

    def _read(self) -> list[Metric]:
        found: list[Metric] = [
            InfoMetricFamily("testbed", "The program that runs the bench.", {"version": __version__})
        ]
        problems = 0
        parts: tuple[Callable[[], tuple[list[Metric], int]], ...] = (self._supervised, self._roles, self._logs)
        for part in parts:
            try:
                metrics, wrong = part()
                found += metrics
                problems += wrong
            except Exception:  # noqa: BLE001 - a scrape must come out, whatever is wrong with the rest
                _LOG.exception("some metrics could not be read")
                problems += 1
        trouble = self._family(GaugeMetricFamily, "problems", "Files of the bench that could not be read just now.")
        trouble.add_metric([self._bench.name], problems)
        return [*found, trouble]

    def _supervised(self) -> tuple[list[Metric], int]:
        restarts = self._family(CounterMetricFamily, "role_restarts", "How often the role was started again.", "role")
        down = self._family(GaugeMetricFamily, "role_down", "1 while the role cannot be kept alive.", "role")
        supervised: Mapping[str, Supervised] = self._supervisor.supervised()
        for name, role in supervised.items():
            restarts.add_metric([self._bench.name, name], role.restarts)
            down.add_metric([self._bench.name, name], role.down)
        return [restarts, down], 0

    def _roles(self) -> tuple[list[Metric], int]:
        up = self._family(GaugeMetricFamily, "role_up", "1 while a process of the role runs.", "role")
        waiting = self._family(
            GaugeMetricFamily, "role_waiting", "1 while the role runs but waits for a device, node or log.", "role"
        )
        age = self._family(GaugeMetricFamily, "role_status_age_seconds", "Since the role last said how it is.", "role")
        facts: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
        for role in role_names(self._bench):
            labels = [self._bench.name, role]
            status = read_status(self._bench, role)
            up.add_metric(labels, is_held(self._bench, role))
            waiting.add_metric(labels, status.get("state") == "waiting")
            if (written := self._written_s(role)) is not None and status:
                age.add_metric(labels, self._clock.now_ns() / 1e9 - written)
            said: set[str] = set()
            for key, value in status.items():
                fact = fact_metric(key)
                if fact is None or fact.name in said or not isinstance(value, int):
                    continue
                said.add(fact.name)
                kind = CounterMetricFamily if fact.counts else GaugeMetricFamily
                family = facts.setdefault(fact.name, self._family(kind, fact.name, fact.help, "role"))
                family.add_metric(labels, value)
        return [up, waiting, age, *facts.values()], 0

    def _logs(self) -> tuple[list[Metric], int]:
        size = self._family(GaugeMetricFamily, "log_records", "Records of the log under a signed checkpoint.", "log")
        anchored = self._family(GaugeMetricFamily, "log_anchored_records", "Records that are anchored.", "log")
        pending = self._family(GaugeMetricFamily, "log_pending_records", "Records that wait for an anchor.", "log")
        height = self._family(GaugeMetricFamily, "chain_height", "Newest block of the bench that is on record.")
        age = self._family(
            GaugeMetricFamily, "newest_state_age_seconds", "Since the newest logged state was read.", "log"
        )
        progress: Progress = progress_of(self._bench)
        height.add_metric([self._bench.name], progress.height)
        for log in progress.logs:
            labels = [self._bench.name, log.name]
            size.add_metric(labels, log.size)
            anchored.add_metric(labels, log.anchored)
            pending.add_metric(labels, max(0, log.size - log.anchored))
        newest, wrong = self._newest.look()
        for name, time_ns in newest.items():
            age.add_metric([self._bench.name, name], (self._clock.now_ns() - time_ns) / 1e9)
        return [size, anchored, pending, height, age], len({*progress.problems, *wrong})

    def _written_s(self, role: str) -> float | None:
        try:
            return Paths(self._bench.data).status(role).stat().st_mtime
        except OSError:
            return None

    @staticmethod
    def _family(
        kind: type[GaugeMetricFamily] | type[CounterMetricFamily], name: str, text: str, *labels: str
    ) -> GaugeMetricFamily | CounterMetricFamily:
        return kind(f"testbed_{name}", text, labels=["bench", *labels])


@contextmanager
def serve_metrics(bench: Bench, supervisor: Supervises, clock: Clock | None = None) -> Iterator[str | None]:
    """Meanwhile metrics are served, in threads of their own; the address, None where the bench wants no pages.

    Raises UsageError where the port is taken.
    """
    pages = bench.pages
    if not pages.enabled:
        yield None
        return
    registry = CollectorRegistry()
    registry.register(BenchCollector(bench, supervisor, clock))
    ProcessCollector(registry=registry)
    try:
        server = PagesServer(pages.host, pages.port, make_wsgi_app(registry))
    except OSError as error:
        mend = "end the program that holds it, or move all ports with --port-shift 100"
        raise UsageError(f"pages {pages.host}:{pages.port}: {error.strerror or error}", mend) from None
    with server:
        yield f"http://{pages.host}:{pages.port}/metrics"
