"""A log that cannot grow: its role ends with the reason and is started again; everything else goes on."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest

from testbed.core.bodies import STARTED, Event
from testbed.rig.bench import load_bench
from tests.flow.live.outside import Outsider
from tests.flow.live.written import faults_of, records_of

if TYPE_CHECKING:
    from tests.flow.live.conftest import LiveBench, MakeBench

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="prlimit(2) is Linux"),
]


def test_a_gateway_whose_disk_is_full(make_bench: MakeBench, recorded: LiveBench) -> None:
    live = make_bench("bench", recorded)
    bench = load_bench(live.file)
    up = live.up()
    status = up.wait_for(
        lambda status: (
            status["states"] >= 5 and all(role.get("state") == "running" for role in status["roles"].values())
        )
    )
    outsider = Outsider(bench)
    outsider.start()
    pids = dict(up.pids)
    # Small files can still be written; what SQLite appends to cannot grow any more. A process of its own has no limit.
    grown = (live.data / "gateway/log.sqlite-wal").stat().st_size
    resource.prlimit(pids["gateway"], resource.RLIMIT_FSIZE, (grown, grown))
    up.wait_for(lambda status: up.pids["gateway"] != pids["gateway"] and status["states"] >= 5)
    up.wait_for(
        lambda now: all(
            now["logs"][log][key] > status["logs"][log][key]
            for log in ("gateway", "reader", "twin")
            for key in ("size", "anchored")
        )
    )
    assert "role gateway ended (exit 3): " in up.said()
    assert "log.sqlite: the records were not written" in up.said()
    assert "; starting it again in " in up.said()
    assert {role for role, pid in up.pids.items() if pids[role] != pid} == {"gateway"}
    assert live.verify()["verdict"] == "GENUINE"
    outsider.stop()
    assert up.end() == 0, up.said()
    live.genuine()
    assert outsider.compare() == []
    assert faults_of(bench).places == ""
    # This bench was started once more, and its gateway twice: that explains what it did not log meanwhile.
    assert _starts(live) == _starts(recorded) + 2


def _starts(live: LiveBench) -> int:
    """How often the gateway's log says that it was away."""
    bodies = [record.body for record in records_of(load_bench(live.file), "gateway")]
    return sum(isinstance(body, Event) and body.name == STARTED for body in bodies)
