"""What a bench survives: any of its processes killed, or all of them, or its chain lost; and what it refuses."""

from __future__ import annotations

import os
import re
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from testbed.rig.bench import load_bench
from testbed.rig.locks import held_roles

if TYPE_CHECKING:
    from tests.flow.live.conftest import LiveBench, MakeBench


@pytest.mark.long
def test_all_is_killed_and_the_chain_is_built_again(make_bench: MakeBench, recorded: LiveBench) -> None:
    bench = make_bench("bench", recorded)
    up = bench.up()
    up.wait_for(lambda status: status["anchors"] >= 2 and len(up.pids) == 7)
    up.process.kill()
    # The roles live with their parent.
    up.nothing_runs()
    assert held_roles(load_bench(bench.file)) == []
    # They ended in no order, so the last records may wait for their anchor. What has one is genuine.
    assert bench.verify()["verdict"] == "GENUINE"

    up = bench.up()
    up.wait_for(lambda status: status["anchors"] >= 2 and len(up.pids) == 7)
    for pid in (up.process.pid, *up.pids.values()):
        with suppress(ProcessLookupError):  # the node goes with its role
            os.kill(pid, signal.SIGKILL)
    up.wait()
    # A killed process is gone, and with it its lock, when the kernel has cleaned up behind it.
    up.nothing_runs()
    blocks = bench.blocks()
    assert len(blocks) > len(recorded.blocks())
    assert bench.look()["states"] == 0, "what a killed process said of itself counts no more"

    again = bench.up_until(lambda status: status["states"])
    assert "rebuilt" not in again.said()
    assert bench.blocks()[: len(blocks)] == blocks
    bench.genuine()

    # The node's own state is a cache.
    (bench.data / "chain/state").unlink()
    assert bench.verify()["verdict"] == "INCONCLUSIVE"
    bench.up_until(lambda status: status["states"])
    assert bench.blocks()[: len(blocks)] == blocks
    bench.genuine()


@pytest.mark.long
def test_a_rewritten_chain_is_set_aside_and_built_again(make_bench: MakeBench, recorded: LiveBench) -> None:
    bench = make_bench("bench", recorded)
    bench.run("falsify", "chain")
    assert bench.verify()["verdict"] == "FALSIFIED"
    up = bench.up()
    status = up.wait_for(lambda status: status["states"] and status["roles"]["chain"].get("note"))
    assert "moved to state.rejected" in status["roles"]["chain"]["note"]
    up.wait_for(lambda status: status["roles"]["anchor"].get("state") == "running")
    assert up.end() == 0, up.said()
    assert (bench.data / "chain/state.rejected").is_file()
    assert bench.blocks()[: len(recorded.blocks())] == recorded.blocks()
    bench.genuine()


def test_a_bench_does_not_go_on_from_a_falsified_store(make_bench: MakeBench, recorded: LiveBench) -> None:
    bench = make_bench("bench", recorded)
    bench.run("falsify", "delete")
    before = bench.verify()
    said = bench.run("up", must=3)
    # Whoever reads the log notices; who is first is chance.
    assert re.search(r"^error: role (gateway|twin|anchor) ended 2 times .*water-cell/gateway", said, re.MULTILINE), said
    assert re.search(r"mend: .*testbed verify", said)
    after = bench.verify()
    assert after["findings"] == before["findings"]
    assert after["logs"][0] == before["logs"][0], "nothing was added to a log that is not what was signed"


@pytest.mark.long
def test_a_bench_on_the_ports_of_another_one_does_not_start(make_bench: MakeBench, recorded: LiveBench) -> None:
    first = make_bench("first", recorded)
    second = make_bench("second", recorded)
    second.file.write_bytes(first.file.read_bytes())
    before = second.status()
    up = first.up()
    up.wait_for(lambda status: status["states"])
    said = second.run("up", must=2)
    assert re.match(r"error: plc\.modbus 127\.0\.0\.1:\d+: Address already in use\n  mend: .*--port-shift", said), said
    assert second.status() == before
    assert up.end() == 0, up.said()
    first.genuine()
