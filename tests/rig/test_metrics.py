"""Metrics of a bench: what its roles say, how far its logs are, and what is wrong with them; and their server."""

import json
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from testbed.core.bodies import Body, Event, State
from testbed.core.clock import VirtualClock
from testbed.core.entry import Entry, Row
from testbed.core.errors import UsageError
from testbed.record.bodies import encode_body, kind_of
from testbed.record.entry import commitment, encode_entry
from testbed.rig.bench import Bench, load_bench
from testbed.rig.default import default_text
from testbed.rig.locks import role_lock
from testbed.rig.metric_facts import FACTS, TAKEN, fact_metric
from testbed.rig.metrics import BenchCollector, serve_metrics
from testbed.rig.pages_server import PagesServer
from testbed.rig.paths import Paths
from testbed.rig.supervision import Supervised
from testbed.store.sqlite import LogStore

SECOND = 10**9
START = 1_700_000_000 * SECOND
Samples = dict[tuple[str, str], float]


class Supervisor:
    """One that knows of a gateway that is down."""

    def supervised(self) -> Mapping[str, Supervised]:
        return {"plc": Supervised(), "gateway": Supervised(7, "the disk is full", down=True)}


class Broken:
    """One that does not answer."""

    def supervised(self) -> Mapping[str, Supervised]:
        raise ZeroDivisionError


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "bench.toml").write_text(default_text(), encoding="utf-8")
    return load_bench(tmp_path / "bench.toml")


@contextmanager
def saying(bench: Bench, role: str, **facts: object) -> Iterator[None]:
    """A role that runs and says this of itself."""
    with role_lock(bench, role):
        document = {"pid": 1, "state": "running", "problem": "", **facts}
        Paths(bench.data).status(role).write_text(json.dumps(document), encoding="utf-8")
        yield


def samples(text: str) -> Samples:
    """Value by metric and by its last label: the role, the log, or the bench."""
    found = [sample for family in parse(text) for sample in family.samples]
    by_name = {
        (sample.name, list(sample.labels.values())[-1] if sample.labels else ""): sample.value for sample in found
    }
    assert len(by_name) == len(found), "each metric once for each role or log"
    return by_name


def collected(collector: BenchCollector) -> Samples:
    registry = CollectorRegistry()
    registry.register(collector)
    text = generate_openmetrics(registry).decode()  # type: ignore[no-untyped-call]
    list(parse_openmetrics(text))  # type: ignore[no-untyped-call] # the stricter of the two parsers
    return samples(generate_latest(registry).decode())


def log_of(bench: Bench, role: str, bodies: list[Body], *, covered: int | None = None) -> None:
    """A log with these records, of which `covered` stand under a checkpoint."""
    path = Paths(bench.data).log(role)
    path.parent.mkdir(parents=True, exist_ok=True)
    salt = bytes(16)
    encoded = [(kind_of(body), encode_body(body)) for body in bodies]
    rows = [
        Row(index, encode_entry(Entry(kind, "cell", index, commitment(salt, body))), salt, body)
        for index, (kind, body) in enumerate(encoded)
    ]
    with LogStore.create(path) as store:
        store.append(rows, len(rows) if covered is None else covered, b"note")


def state(bench: Bench, seconds: float) -> State:
    count = len(bench.tags)
    return State(1, 1, None, START + int(seconds * SECOND), (None,) * count, (0x8000_0000,) * count)


def test_a_bench_that_never_ran(bench: Bench) -> None:
    found = collected(BenchCollector(bench, Supervisor()))
    assert found["testbed_role_up", "plc"] == 0
    assert found["testbed_log_records", "gateway"] == 0
    assert found["testbed_problems", "water-cell"] == 0
    assert not [key for key in found if key[0] == "testbed_newest_state_age_seconds"]


def test_what_the_supervisor_knows(bench: Bench) -> None:
    found = collected(BenchCollector(bench, Supervisor()))
    assert [found["testbed_role_restarts_total", role] for role in ("plc", "gateway")] == [0, 7]
    assert [found["testbed_role_down", role] for role in ("plc", "gateway")] == [0, 1]


def test_what_roles_say(bench: Bench) -> None:
    facts = {"states": 10, "missed": 3, "torn": 2, "retries": 1, "size": 99, "note": "text", "odd fact": 5}
    with (
        saying(bench, "gateway", **facts),
        saying(bench, "plc", state="waiting", scan=70, overruns=4, modbus=5020),
        saying(bench, "anchor", gas=90_000, anchors=2, height=3, **{"anchored water-cell/gateway": 64}),
    ):
        found = collected(BenchCollector(bench, Supervisor(), VirtualClock(time.time_ns())))
    assert {name: value for (name, role), value in found.items() if role == "gateway" and "role" not in name} == {
        "testbed_states_total": 10,
        "testbed_missed_scans_total": 3,
        "testbed_torn_reads_total": 2,
        "testbed_read_retries_total": 1,
        "testbed_odd_fact": 5,
        "testbed_log_records": 0,
        "testbed_log_anchored_records": 64,
        "testbed_log_pending_records": 0,
    }
    assert [found["testbed_role_up", role] for role in ("gateway", "plc", "twin")] == [1, 1, 0]
    assert [found["testbed_role_waiting", role] for role in ("gateway", "plc", "twin")] == [0, 1, 0]
    assert (found["testbed_plc_scans_total", "plc"], found["testbed_plc_scan_overruns_total", "plc"]) == (70, 4)
    assert (found["testbed_gas_used_total", "anchor"], found["testbed_anchors_total", "anchor"]) == (90_000, 2)
    assert found["testbed_chain_height", "water-cell"] == 3
    assert abs(found["testbed_role_status_age_seconds", "gateway"]) < 60
    assert ("testbed_role_status_age_seconds", "twin") not in found


def test_logs_and_their_newest_state(bench: Bench) -> None:
    noise = [Event(START, "noise", b"")] * 300
    log_of(bench, "gateway", [state(bench, 1), state(bench, 2), *noise])
    clock = VirtualClock(START + 10 * SECOND)
    collector = BenchCollector(bench, Supervisor(), clock)
    with saying(bench, "anchor", **{"anchored water-cell/gateway": 100}):
        found = collected(collector)
    assert found["testbed_log_records", "gateway"] == 302
    assert found["testbed_log_anchored_records", "gateway"] == 100
    assert found["testbed_log_pending_records", "gateway"] == 202
    assert found["testbed_newest_state_age_seconds", "gateway"] == 8

    # Silence: no further state comes, and the one that was seen grows old, however many records come after it.
    path = Paths(bench.data).log("gateway")
    with LogStore.create(path) as store:
        last = next(store.rows(301, 302))
        store.append([replace(last, index=index) for index in range(302, 9000)], 9000, b"note")
    clock.advance(60 * SECOND)
    assert collected(collector)["testbed_newest_state_age_seconds", "gateway"] == 68
    # Another log stands there now.
    path.unlink()
    log_of(bench, "gateway", [state(bench, 3)])
    clock.advance(60 * SECOND)
    assert collected(collector)["testbed_newest_state_age_seconds", "gateway"] == 127
    # What no checkpoint covers is not logged yet.
    path.unlink()
    log_of(bench, "gateway", [state(bench, 3), state(bench, 4)], covered=1)
    clock.advance(60 * SECOND)
    assert collected(collector)["testbed_newest_state_age_seconds", "gateway"] == 187


def test_what_cannot_be_read_is_counted(bench: Bench) -> None:
    path = Paths(bench.data).log("gateway")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database" * 1000)
    found = collected(BenchCollector(bench, Supervisor()))
    assert found["testbed_problems", "water-cell"] >= 1
    assert found["testbed_log_records", "gateway"] == 0

    path.unlink()
    log_of(bench, "gateway", [state(bench, 1)])
    with LogStore.create(path) as store:
        store.append([replace(next(store.rows()), index=1, entry=b"junk")], 2, b"note")
    found = collected(BenchCollector(bench, Supervisor()))
    assert (found["testbed_problems", "water-cell"], found["testbed_log_records", "gateway"]) == (1, 2)


def test_a_scrape_comes_out_whatever_is_wrong(bench: Bench) -> None:
    found = collected(BenchCollector(bench, Broken()))
    assert found["testbed_problems", "water-cell"] == 1
    assert found["testbed_role_up", "plc"] == 0
    for text in ("", "[]", "{", '{"state": 7, "states": true, "a b": 1, "a_b": 2, "": 3, "info": 4, "x total": 5}'):
        with role_lock(bench, "gateway"):
            Paths(bench.data).status("gateway").write_text(text, encoding="utf-8")
            found = collected(BenchCollector(bench, Supervisor()))
        assert found["testbed_problems", "water-cell"] == 0
    assert (found["testbed_a_b", "gateway"], found["testbed_x", "gateway"]) == (1, 5)


def test_who_asks_often_gets_the_same_answer_for_a_while(bench: Bench) -> None:
    clock = VirtualClock(START)
    collector = BenchCollector(bench, Supervisor(), clock)
    assert collected(collector)["testbed_role_up", "plc"] == 0
    with saying(bench, "plc"):
        clock.advance(SECOND // 4)
        assert collected(collector)["testbed_role_up", "plc"] == 0
        clock.advance(SECOND // 2)
        assert collected(collector)["testbed_role_up", "plc"] == 1


def test_names_follow_the_conventions() -> None:
    assert len({fact.name for fact in FACTS.values()}) == len(FACTS)
    for fact in FACTS.values():
        assert re.fullmatch(r"[a-z][a-z0-9_]*(?<!_total)", fact.name)
        assert fact.name in TAKEN
        assert fact.help.endswith(".")
    assert fact_metric("pid") is None
    assert fact_metric("problems") is None, "that is a metric of the bench"
    found = fact_metric("Some fact, ms")
    assert found is not None
    assert (found.name, found.counts) == ("some_fact_ms", False)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def paged(bench: Bench, port: int, *, enabled: bool = True) -> Bench:
    return replace(bench, pages=bench.pages.model_copy(update={"port": port, "enabled": enabled}))


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - on this machine
        return str(answer.read().decode())


def test_they_are_served(bench: Bench) -> None:
    port = free_port()
    with serve_metrics(paged(bench, port), Supervisor()) as url:
        assert url == f"http://127.0.0.1:{port}/metrics"
        found = samples(get(url))
        assert found["testbed_role_down", "gateway"] == 1
        assert ("process_open_fds", "") in found
        taken = pytest.raises(UsageError, match=rf"pages 127\.0\.0\.1:{port}: Address already in use")
        with taken as raised, serve_metrics(paged(bench, port), Supervisor()):
            pass
        assert "--port-shift" in raised.value.mend
    with pytest.raises(urllib.error.URLError):
        get(url)
    with serve_metrics(paged(bench, port), Supervisor()) as url:
        assert url is not None, "the port is free again at once"
    with serve_metrics(paged(bench, port, enabled=False), Supervisor()) as url:
        assert url is None


def test_silent_clients_take_a_bounded_part() -> None:
    def application(_: object, start: object) -> list[bytes]:
        assert callable(start)
        start("200 OK", [])
        return [b"well"]

    with PagesServer("127.0.0.1", 0, application, 0.5) as server, ExitStack() as stack:
        place = ("127.0.0.1", server.server_port)
        silent = [stack.enter_context(socket.create_connection(place, timeout=60)) for _ in range(17)]
        # All were accepted in order, and the seventeenth was turned away.
        assert silent[16].recv(1) == b""
        # One that leaves makes room for another.
        silent[0].close()
        url, deadline = f"http://127.0.0.1:{server.server_port}/", time.monotonic() + 60
        while True:
            try:
                assert get(url) == "well"
                break
            except OSError:
                assert time.monotonic() < deadline, "no room was made"
        # And a silent one is left in the end.
        assert silent[1].recv(1) == b""
