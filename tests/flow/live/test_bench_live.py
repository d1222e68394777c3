"""A bench as a user runs it: real processes, real sockets, a real node; and what stands on disk afterwards."""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import struct
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncua.client.client import Client
from eth_utils.crypto import keccak
from pymodbus.client import AsyncModbusTcpClient

from testbed.core.bodies import State
from testbed.core.entry import Kind
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.rig.paths import Paths
from testbed.store.sqlite import LogStore

if TYPE_CHECKING:
    from tests.flow.live.conftest import LiveBench, MakeBench

# Addresses of the water cell, see water_cell.toml.
_TANK2_LEVEL = 6
_LEVEL_SETPOINT = 2


def test_a_bench_from_its_first_start_to_the_proof_of_one_record(make_bench: MakeBench) -> None:
    bench = make_bench("bench")
    modbus, opcua, _ = bench.move_ports()
    begun = time.monotonic()
    up = bench.up()
    up.wait_for(lambda status: status["states"] >= 1)
    first = time.monotonic() - begun
    assert first < 20, "the first state; two seconds where nothing else runs"
    up.wait_for(lambda status: all(role.get("state") == "running" for role in status["roles"].values()))
    # OPC UA is served a second after Modbus; the reader reads by it.
    up.wait_for(lambda status: status["roles"]["reader"].get("states"))
    assert set(up.pids) == {"plc", "chain", "gateway", "reader", "twin", "anchor", "node"}

    asyncio.run(_both_protocols_show_one_image(modbus, opcua))
    assert "control.mode" in bench.run("tags")
    done = bench.run("write", "control.level_setpoint", "0.75", "--who", "eve")
    assert done == "control.level_setpoint = 0.75 by eve: confirmed: read back\n"
    for protocol in ("modbus", "opcua"):
        bench.wait_until_read("control.level_setpoint", "0.75 m", protocol)
    assert "cannot be written" in bench.run("write", "tank1.level", "1", must=2)
    assert "out of range" in bench.run("write", "control.mode", "7", must=2)

    for _ in range(3):
        report = bench.verify()
        assert report["verdict"] == "GENUINE" or {one["what"] for one in report["findings"]} == {"unanchored"}, report
    again = bench.run("up", must=2)
    assert "runs already: plc, chain, gateway, reader, twin, anchor" in again
    assert "mend: stop it first" in again
    refused = bench.run("falsify", "value", must=2)
    assert "the bench runs" in refused
    assert up.process.poll() is None
    up.wait_for(lambda status: status["logs"]["gateway"]["anchored"] and status["logs"]["twin"]["anchored"])
    assert bench.verify()["verdict"] == "GENUINE"
    before = bench.status()

    asked = time.monotonic()
    assert up.end(signal.SIGTERM) == 0, up.said()
    assert time.monotonic() - asked < 20, "stopping; two seconds where nothing else runs"
    assert [pid for pid in up.pids.values() if Path(f"/proc/{pid}").exists()] == []
    assert up.said().splitlines()[0].endswith("starting plc, chain, gateway, reader, twin, anchor")
    assert "first state logged" in up.said()
    assert bench.status()["logs"]["gateway"]["size"] >= before["logs"]["gateway"]["size"]

    report = bench.genuine()
    source, sizes = report["logs"][0], [log["size"] for log in report["logs"]]
    names = ("gateway", "reader", "operator", "twin", "receipts")
    assert [log["origin"] for log in report["logs"]] == [f"water-cell/{name}" for name in names]
    assert report["replayed"] == source["states"]
    scans = _scans(bench)
    # Ten a second. A busy machine may hold the gateway up for longer than a scan, but not over and over.
    gaps = [later - earlier for (_, earlier), (_, later) in pairwise(scans)]
    assert min(gaps) >= 1
    assert sum(gap > 1 for gap in gaps) <= len(gaps) // 4, gaps
    assert {boot for boot, _ in scans} == {1}

    traces = [_trace(bench, "cell", seq) for seq in (0, source["states"] // 2, source["states"] - 1)]
    for trace in traces:
        _check_independently(trace, bench)
        broken = {**trace, "body": f"{trace['body'][:-2]}{int(trace['body'][-2:], 16) ^ 1:02x}"}
        assert not _opens(broken)
        moved = {**trace, "leaf": hashlib.sha256(b"another").hexdigest()}
        assert _root(moved) != trace["checkpoint"]["root"]

    # The next day: the same logs and the same chain go on.
    blocks = bench.blocks()
    assert (bench.data / "chain/state").is_file()
    more = bench.up_until(lambda status: status["states"] >= 5)
    assert "rebuil" not in more.said()
    report = bench.genuine()
    grown = [log["size"] > size for log, size in zip(report["logs"], sizes, strict=True)]
    assert grown == [True, True, False, True, True], "nobody commanded anything"
    assert bench.blocks()[: len(blocks)] == blocks
    assert [boot for boot, _ in _scans(bench)] == sorted([1] * len(scans) + [2] * (len(_scans(bench)) - len(scans)))
    with LogStore.read(Paths(bench.data).log("gateway")) as store:
        kinds = [decode_entry(row.entry).kind for row in store.rows()]
    assert kinds.count(Kind.GENESIS) == 1


async def _both_protocols_show_one_image(modbus: int, opcua: int) -> None:
    """Reads by both, over sockets, with the libraries' own clients."""
    plain = AsyncModbusTcpClient("127.0.0.1", port=modbus, timeout=5)
    assert await plain.connect()
    try:
        async with Client(f"opc.tcp://127.0.0.1:{opcua}") as client:
            space = await client.get_namespace_index("urn:attestbed:cell")

            async def by_opcua(tag: str) -> float:
                return float(await client.get_node(f"ns={space};s=cell.{tag}").read_value())

            async def by_modbus() -> float:
                return _float((await plain.read_holding_registers(_LEVEL_SETPOINT, count=2)).registers)

            assert await by_opcua("control.level_setpoint") == await by_modbus()
            level = _float((await plain.read_input_registers(_TANK2_LEVEL, count=2)).registers)
            assert abs(await by_opcua("tank2.level") - level) < 0.05, "a few scans lie between the two readings"
    finally:
        plain.close()


def _float(registers: Sequence[int]) -> float:
    return float(struct.unpack(">f", struct.pack(">HH", *registers))[0])


def _scans(bench: LiveBench) -> list[tuple[int, int]]:
    """Boot and scan counter of each state of the source log, in the log's order."""
    with LogStore.read(Paths(bench.data).log("gateway")) as store:
        bodies = [
            decode_body(Kind.STATE, row.body or b"")
            for row in store.rows()
            if decode_entry(row.entry).kind is Kind.STATE
        ]
    return [(body.boot, body.scan) for body in bodies if isinstance(body, State) and body.scan is not None]


def _trace(bench: LiveBench, source: str, seq: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bench.run("verify", "--json", "--record", source, str(seq)))
    assert (found["source"], found["seq"]) == (source, seq)
    return found


def _check_independently(trace: dict[str, Any], bench: LiveBench) -> None:
    """From the state to the block, with nothing of the project: RFC 9162 section 2.1.3.2, and Keccak-256."""
    assert _opens(trace)
    assert trace["commitment"] in trace["entry"]
    assert hashlib.sha256(b"\0" + bytes.fromhex(trace["entry"])).hexdigest() == trace["leaf"]
    assert _root(trace) == trace["checkpoint"]["root"]
    lines = [json.loads(line) for line in (bench.data / "anchor/journal.jsonl").read_text("utf-8").splitlines()]
    (mined,) = (line for line in lines if line.get("tx_hash") == trace["transaction"])
    (sent,) = (line for line in lines if line["type"] == "intent" and line["number"] == mined["number"])
    assert keccak(bytes.fromhex(sent["transaction"])).hex() == trace["transaction"]
    assert trace["checkpoint"]["root"] in sent["transaction"], "the contract was told this root"
    block = trace["block"]
    assert (mined["height"], mined["block_hash"]) == (block["number"], block["hash"])
    assert keccak(bytes.fromhex(mined["header"])).hex() == block["hash"]


def _opens(trace: dict[str, Any]) -> bool:
    salted = bytes.fromhex(trace["salt"]) + bytes.fromhex(trace["body"])
    return bool(hashlib.sha256(salted).hexdigest() == trace["commitment"])


def _root(trace: dict[str, Any]) -> str:
    """RFC 9162 section 2.1.3.2, as it is written there."""
    index, last = trace["index"], trace["checkpoint"]["size"] - 1
    node = bytes.fromhex(trace["leaf"])
    for sibling in map(bytes.fromhex, trace["path"]):
        assert last, "the path is too long"
        if index & 1 or index == last:
            node = hashlib.sha256(b"\1" + sibling + node).digest()
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\1" + node + sibling).digest()
        index, last = index >> 1, last >> 1
    assert last == 0, "the path is too short"
    return node.hex()
