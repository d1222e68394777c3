"""Benches of other kinds: without a file, on somebody else's node, one anchor for each state; and the demo."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testbed.chain.devnode import BALANCE_WEI, DevNode
from testbed.chain.rpc import Node
from testbed.cli.main import main
from testbed.rig.default import default_text

if TYPE_CHECKING:
    from tests.flow.live.conftest import MakeBench

_RICH = "0x" + "11" * 20


def _typed(*arguments: str, cwd: Path, **environment: str) -> str:
    """`testbed ARGUMENTS` in a folder, which must end with exit code 0; what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "testbed.cli.main", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_bench_of_the_package_needs_no_file(tmp_path: Path) -> None:
    shift = {"TESTBED_PORT_SHIFT": str(_free_shift())}
    assert _typed("init", cwd=tmp_path, **shift).splitlines()[1].startswith("trust file  trust.toml ")
    lines = [json.loads(line) for line in _typed("up", "--duration", "6", "--json", cwd=tmp_path, **shift).splitlines()]
    assert [line for line in lines if "event" in line] == []
    assert lines[-1]["logs"]["gateway"]["size"] == lines[-1]["logs"]["gateway"]["anchored"] > 5
    assert sorted(path.name for path in tmp_path.iterdir()) == [".testbed", "root.key", "trust.toml"]
    assert _typed("verify", cwd=tmp_path, **shift).startswith("GENUINE\n")


@pytest.mark.long
async def test_a_node_that_somebody_else_runs(tmp_path: Path, make_bench: MakeBench) -> None:
    bench = await asyncio.to_thread(make_bench, "bench", ready=False)
    other = await DevNode.start(tmp_path / "other", 777, int(time.time()), _RICH)
    try:
        text = bench.file.read_text(encoding="utf-8").partition("[chain]")[0]
        pages = bench.file.read_text(encoding="utf-8").partition("[pages]")[2]
        chain = f'[chain]\nkind = "url"\nurl = "{other.url}"\nchain_id = 1\n'
        bench.file.write_text(f"{text}[pages]{pages}{chain}", encoding="utf-8")
        refused = await asyncio.to_thread(bench.run, "init", must=2)
        assert "mend: set chain_id = 777" in refused
        bench.edit(chain_id="777", within_s="1.0")
        made = json.loads(await asyncio.to_thread(bench.run, "init", "--json"))
        async with Node(other.url) as node:
            await node.call("anvil_setBalance", made["submitter"], hex(BALANCE_WEI))
        up = await asyncio.to_thread(bench.up_until, lambda status: status["logs"]["twin"]["anchored"])
        assert up.said().splitlines()[0].endswith("starting plc, gateway, reader, twin, anchor")
        report = await asyncio.to_thread(bench.genuine)
        assert report["anchors"] >= 2
    finally:
        await other.stop()
    # Without the node nothing is proved, and nothing is called falsified either.
    report = await asyncio.to_thread(bench.verify)
    assert report["verdict"] == "INCONCLUSIVE"
    assert {one["what"] for one in report["findings"]} == {"unreachable"}


def test_each_state_under_an_anchor_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def printed(*arguments: str) -> str:
        assert main(arguments) == 0
        return capsys.readouterr().out

    Path("each.toml").write_text(re.sub(r"(?m)^every = \d+", "every = 1", default_text()), encoding="utf-8")
    done = json.loads(printed("simulate", "each", "--bench", "each.toml", "--scans", "50", "--json"))
    report = json.loads(printed("verify", "--json", "--bench", "each/bench.toml"))
    source = report["logs"][0]
    assert report["anchors"] == done["anchors"] == sum(log["anchors"] for log in report["logs"])
    lines = [json.loads(line) for line in Path("each/.testbed/anchor/journal.jsonl").read_text("utf-8").splitlines()]
    anchored = [line["anchored"] for line in lines if line.get("anchored")]
    # A commit is one checkpoint; each holds one state, and what else was to be said at that moment.
    sizes = [one["size"] for one in anchored if one["origin"] == source["origin"]]
    assert len(sizes) == 51
    trace = json.loads(printed("verify", "--json", "--bench", "each/bench.toml", "--record", "cell", "49"))
    assert trace["checkpoint"]["size"] == min(size for size in sizes if size > trace["index"])
    states = sum(log["states"] for log in report["logs"])
    assert states == 100, "each scan is a state of both readers"
    each, state = f"{report['gas'] / report['anchors']:.0f}", f"{report['gas'] / states:.0f}"
    assert f"{each} gas per anchor, {state} gas per state" in printed("verify", "--bench", "each/bench.toml")


def test_the_demo_tells_its_story(tmp_path: Path) -> None:
    folder = tmp_path / ".demo"
    folder.mkdir()
    refused = subprocess.run(
        [sys.executable, "-m", "testbed.cli.main", "demo", "--in", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (refused.returncode, folder.exists()) == (2, True)
    assert "not an older demo's" in refused.stderr
    # An older demo's folder is cleared.
    for name in (".made-by-testbed-demo", "bench.toml", "trust.toml"):
        (folder / name).write_text(default_text() if name == "bench.toml" else "", encoding="utf-8")

    told = _typed("demo", "--seconds", "6", cwd=tmp_path)
    found = re.search(r"^ +(\d+\.\d) s  first state logged$", told, re.MULTILINE)
    assert found is not None, told
    assert float(found[1]) < 10
    verdicts = re.findall(r"^  (GENUINE|FALSIFIED|INCONCLUSIVE)$", told, re.MULTILINE)
    assert verdicts == ["GENUINE", "GENUINE", "FALSIFIED", "FALSIFIED", "FALSIFIED"]
    assert re.search(r"^    altered, layer store: record \d+ of water-cell/gateway$", told, re.MULTILINE)
    assert re.search(r"^    diverged, layer twin: record \d+ of water-cell/twin$", told, re.MULTILINE)
    assert re.search(r"^    rewritten, layer chain: block \d+$", told, re.MULTILINE)


def _free_shift() -> int:
    """A port shift under which the ports of the packaged bench are free."""
    for shift in range(5000 + os.getpid() % 97, 24_000, 101):
        with suppress(OSError), ExitStack() as stack:
            for port in (5020, 4840, 8545, 8080, 8090, 8091):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port + shift))
            return shift
    raise AssertionError("no free ports")
