"""What a bench survives: any of its processes killed, or all of them, or its chain lost; and what it refuses."""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING

from testbed.rig.bench import load_bench
from testbed.rig.locks import held_roles

if TYPE_CHECKING:
    from tests.flow.live.conftest import LiveBench, MakeBench


def test_each_role_is_killed_in_turn(make_bench: MakeBench, recorded: LiveBench) -> None:
    bench = make_bench("bench", recorded)
    up = bench.up()
    status = up.wait_for(lambda status: status["states"] and status["roles"]["anchor"].get("state") == "running")
    for role in ("gateway", "twin", "chain", "node", "anchor", "plc"):
        before, pid, sizes = status, up.pids[role], (status["source"], status["twin"])
        os.kill(pid, signal.SIGKILL)
        up.wait_for(lambda _, role=role, pid=pid: up.pids[role] != pid)
        # All of it works again: states, what follows from them, and anchors.
        status = up.wait_for(
            lambda now, before=before: all(
                now[key] > before[key] for key in ("source", "twin", "anchored_source", "anchored_twin")
            )
        )
        assert (status["source"], status["twin"]) > sizes
        if role != "node":
            assert f"role {role} ended (signal 9)" in up.said()
            assert up.said().count(f"role {role} ended") == 1, up.said()
    assert up.end() == 0, up.said()
    end = bench.status()
    assert (end["source"] >= status["source"], end["twin"] >= status["twin"]) == (True, True)
    bench.genuine()


def test_a_killed_supervisor_takes_everything_with_it(make_bench: MakeBench, recorded: LiveBench) -> None:
    bench = make_bench("bench", recorded)
    up = bench.up()
    up.wait_for(lambda status: status["states"] and len(up.pids) == 6)
    up.process.kill()
    up.nothing_runs()
    assert held_roles(load_bench(bench.file)) == []
    # The roles ended in no order, so the last records may wait for their anchor. What has one is genuine.
    assert bench.verify()["verdict"] == "GENUINE"


def test_all_is_killed_and_the_chain_is_built_again(make_bench: MakeBench, recorded: LiveBench) -> None:
    bench = make_bench("bench", recorded)
    up = bench.up()
    up.wait_for(lambda status: status["anchors"] >= 2 and len(up.pids) == 6)
    for pid in (up.process.pid, *up.pids.values()):
        os.kill(pid, signal.SIGKILL)
    up.wait()
    blocks = bench.blocks()
    assert len(blocks) > len(recorded.blocks())
    assert bench.look()["states"] == 0, "what a killed process said of itself counts no more"

    again = bench.up_until(lambda status: status["states"])
    assert "rebuilt" not in again.said()
    assert bench.blocks()[: len(blocks)] == blocks
    bench.genuine()

    # The node's own state is a cache.
    shutil.rmtree(bench.data / "chain/cache", ignore_errors=True)
    (bench.data / "chain/state").unlink()
    assert bench.verify()["verdict"] == "INCONCLUSIVE"
    bench.up_until(lambda status: status["states"])
    assert bench.blocks()[: len(blocks)] == blocks
    bench.genuine()


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


def test_a_state_that_the_node_cannot_load_is_set_aside(make_bench: MakeBench, recorded: LiveBench) -> None:
    bench = make_bench("bench", recorded)
    (bench.data / "chain/state").write_bytes(b"no state")
    bench.up_until(lambda status: status["states"])
    assert (bench.data / "chain/state.rejected").read_bytes() == b"no state"
    bench.genuine()


def test_a_gateway_does_not_go_on_from_a_falsified_store(make_bench: MakeBench, recorded: LiveBench) -> None:
    bench = make_bench("bench", recorded)
    bench.run("falsify", "delete")
    before = bench.verify()
    said = bench.run("up", must=3)
    assert "error: role gateway ended" in said
    assert "water-cell/gateway" in said
    assert "testbed verify" in said
    assert bench.verify() == before, "nothing was added to a log that is not what was signed"
