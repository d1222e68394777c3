"""An OPC UA client that is not ours, from npm: it browses, reads, writes, calls and subscribes, encrypted and not."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from testbed.core.tags import DataType, Value
from testbed.fieldbus.opcua_server import APPLICATION_URI, OpcUaServer
from testbed.keys.certificates import keep_certificate
from testbed.plc.emulator import Emulator
from testbed.rig.bench import load_bench
from tests.judges.node import needs, script

TAGS = load_bench(None).tags
ANALOG, PLAIN = "ns=0;i=2368", "ns=0;i=63"
TYPES = {DataType.BOOL: "Boolean", DataType.UINT16: "UInt16", DataType.UINT32: "UInt32", DataType.FLOAT32: "Float"}

pytestmark = [pytest.mark.asyncio(loop_scope="module"), *needs("node-opcua-client")]


class Bench:
    """A PLC that scans every 20 ms, its server, and what each scan showed."""

    def __init__(self, plc: Emulator, server: OpcUaServer, folder: Path, certificate: Path) -> None:
        self.plc = plc
        self.server = server
        self.folder = folder
        self.certificate = certificate
        self.truth: dict[Value, dict[str, Value]] = {}

    async def scan_on(self) -> None:
        while True:
            self.plc.scan()
            snapshot = self.plc.image.snapshot()
            self.truth[snapshot["plc.scan"]] = dict(snapshot)
            await asyncio.sleep(0.02)

    async def judged(self, policy: str, *trusted: Path, folder: str = "trusting") -> tuple[int | None, str, str]:
        """Exit code and words of the judge."""
        (self.folder / folder).mkdir(exist_ok=True)
        arguments = (self.server.url, policy, str(self.folder / folder), *map(str, trusted))
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *script("node-opcua.js"),
            *arguments,
            stdout=pipe,
            stderr=pipe,
            env={**os.environ, "HOME": str(self.folder)},  # where it would keep lists of its own
        )
        try:
            output, errors = await asyncio.wait_for(process.communicate(), 40)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        return process.returncode, output.decode(), errors.decode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    folder = tmp_path_factory.mktemp("opcua")
    certificate, key = folder / "server.der", folder / "server.pem"
    hosts = ("localhost", "127.0.0.1")
    keep_certificate(certificate, key, name="PLC", uri=APPLICATION_URI, hosts=hosts, now_ns=time.time_ns())
    plc = Emulator(TAGS, seed=1, boot=3)
    plc.scan()
    server = OpcUaServer(TAGS, plc.image, period=0.02, certificate=certificate, key=key)
    await server.start()
    bench = Bench(plc, server, folder, certificate)
    scanning = asyncio.create_task(bench.scan_on())
    yield bench
    scanning.cancel()
    with suppress(asyncio.CancelledError):
        await scanning
    await server.stop()


@pytest.mark.parametrize("policy", ["None", "Basic256Sha256"])
async def test_a_judge_browses_reads_writes_calls_and_subscribes(bench: Bench, policy: str) -> None:
    for name, value in (("estop.pressed", False), ("control.reset", True), ("control.mode", 0)):
        bench.plc.image.write(name, value)
    before = bench.plc.image.snapshot()["plc.scan"]
    code, output, errors = await bench.judged(policy, bench.certificate)
    assert code == 0, errors
    # Beside what we asked for, it tells what it thinks of the version of Node.
    seen: dict[str, Any] = json.loads(next(line for line in output.splitlines() if line.startswith("{")))
    assert seen["endpoints"] == [["None", "None"], ["SignAndEncrypt", "Basic256Sha256"]]

    nodes = seen["nodes"]
    for tag in TAGS:
        assert nodes[tag.name] == ["Variable", PLAIN if tag.type is DataType.BOOL else ANALOG]
        assert (f"{tag.name}.EURange" in nodes) is (tag.type is not DataType.BOOL)
        assert (f"{tag.name}.EngineeringUnits" in nodes) is bool(tag.unit)
    assert [nodes[f"plc.{method}"][0] for method in ("start", "stop", "reset")] == ["Method"] * 3

    values = seen["values"]
    assert {name: value[:2] + value[3:] for name, value in values.items()} == {
        tag.name: ["Good", TYPES[tag.type], True] for tag in TAGS
    }
    scan = values["plc.scan"][2]
    assert scan >= before
    assert {name: value[2] for name, value in values.items()} == bench.truth[scan]

    assert seen["written"] == {
        "good": "Good",
        "range": "BadOutOfRange",
        "type": "BadTypeMismatch",
        "fixed": "BadNotWritable",
    }
    assert seen["called"] == "Good"
    snapshot = bench.plc.image.snapshot()
    assert (snapshot["control.level_setpoint"], snapshot["control.mode"]) == (1.5, 2)
    counts = seen["heard"]["counts"]
    assert counts == sorted(set(counts))
    assert seen["heard"]["alarm"] == ["estop.active", 900, "estop.active active"]
    assert snapshot["estop.active"] is True


async def test_a_judge_that_does_not_trust_the_certificate_goes_away(bench: Bench) -> None:
    code, output, errors = await bench.judged("Basic256Sha256", folder="distrusting")
    assert code == 1
    assert "BadCertificateUntrusted" in errors
    assert '"values"' not in output
