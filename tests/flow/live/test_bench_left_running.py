"""A bench that is left running while one of its roles cannot be: the others go on, and everybody is told."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from testbed.rig.bench import load_bench
from testbed.rig.paths import Paths
from testbed.rig.supervision import down_of, read_supervision
from tests.flow.live.conftest import until

if TYPE_CHECKING:
    from tests.flow.live.conftest import LiveBench, MakeBench, Up

pytestmark = pytest.mark.long

Samples = dict[tuple[str, str], float]


def scraped(bench: LiveBench) -> Samples:
    """Value by metric and by its last label."""
    pages = load_bench(bench.file).pages
    with urllib.request.urlopen(f"http://{pages.host}:{pages.port}/metrics", timeout=20) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    samples = [sample for family in families for sample in family.samples if sample.labels]
    return {(sample.name, list(sample.labels.values())[-1]): sample.value for sample in samples}


@contextmanager
def without_key(bench: LiveBench, role: str) -> Iterator[None]:
    """Meanwhile the role cannot start."""
    key = Paths(bench.data).key(role)
    aside = key.with_name("aside")
    key.rename(aside)
    yield
    aside.rename(key)


def test_a_gateway_that_cannot_be_kept_alive(make_bench: MakeBench, recorded: LiveBench) -> None:
    bench = make_bench("bench", recorded)
    up = bench.up()
    status = up.wait_for(
        lambda status: status["states"] and all(role.get("state") == "running" for role in status["roles"].values())
    )
    _is_measured(bench, status)
    with without_key(bench, "gateway"):
        before = scraped(bench)
        os.kill(up.pids["gateway"], signal.SIGKILL)
        up.wait_for(lambda _: scraped(bench)["testbed_role_down", "gateway"])
        # The others are what they were, and at work.
        up.wait_for(
            lambda _: scraped(bench)["testbed_plc_scans_total", "plc"] > before["testbed_plc_scans_total", "plc"]
        )
        now = up.wait_for(lambda status: status["roles"]["anchor"].get("state") == "running")
        assert {role: facts.get("pid") for role, facts in now["roles"].items()} == {
            **{role: facts["pid"] for role, facts in status["roles"].items()},
            "gateway": None,
        }
        found = scraped(bench)
        assert found["testbed_role_up", "gateway"] == 0
        assert found["testbed_role_restarts_total", "gateway"] >= 1
        assert sum(value for (name, _), value in found.items() if name == "testbed_role_down") == 1
        # What others are told is written at most each half second.
        until(lambda: down_of(read_supervision(load_bench(bench.file))))
        _is_told(bench, up)
        assert up.end() == 3, up.said()
    assert "down: gateway" in up.said().splitlines()[-2]
    assert "Traceback" not in up.said()
    # With its key it goes on, and nothing was falsified meanwhile.
    bench.up_until(lambda status: status["states"])
    assert bench.verify()["verdict"] == "GENUINE"


def _is_measured(bench: LiveBench, status: dict[str, Any]) -> None:
    found = scraped(bench)
    assert [found["testbed_role_up", role] for role in status["roles"]] == [1] * len(status["roles"])
    assert {value for (name, _), value in found.items() if name in ("testbed_role_down", "testbed_problems")} == {0}
    assert found["testbed_states_total", "gateway"] >= 1
    assert found["testbed_log_records", "gateway"] >= found["testbed_log_anchored_records", "gateway"] > 0
    assert found["testbed_chain_height", "water-cell"] >= 1
    assert 0 <= found["testbed_newest_state_age_seconds", "gateway"] < 60


def _is_told(bench: LiveBench, up: Up) -> None:
    """By status, for people and machines; in lines; and in the files of the roles and of the supervisor."""
    told = json.loads(bench.run("status", "--json", must=3).partition("\n")[0])
    assert told["down"] == ["gateway"]
    assert told["restarted"]["gateway"] >= 1
    assert "gateway" in told["last_words"]["gateway"]
    said = bench.run("status", must=3)
    assert "down; restarts" in said
    assert told["last_words"]["gateway"].rpartition("/")[2] in said
    assert "role gateway ended (signal 9)" in up.said()
    assert "; it is down, and is tried again" in up.said()
    lines = [json.loads(line) for line in (bench.data / "gateway/output.log").read_text("utf-8").splitlines()]
    refused = [line for line in lines if line["level"] == "critical"]
    assert {(line["bench"], line["role"], line["exit_code"]) for line in refused} == {("water-cell", "gateway", 2)}
    events = [json.loads(line) for line in (bench.data / "supervisor/output.log").read_text("utf-8").splitlines()]
    assert next(line["of"] for line in events if line.get("down")) == "gateway"


def test_a_second_bench_on_the_same_pages_does_not_start(make_bench: MakeBench, recorded: LiveBench) -> None:
    first, second = make_bench("first", recorded), make_bench("second", recorded)
    ports = [str(load_bench(bench.file).pages.port) for bench in (first, second)]
    second.file.write_text(second.file.read_text("utf-8").replace(ports[1], ports[0]), encoding="utf-8")
    up = first.up()
    up.wait_for(lambda status: status["states"])
    said = second.run("up", must=2)
    assert f"error: pages 127.0.0.1:{ports[0]}: Address already in use" in said
    assert up.end() == 0, up.said()
