"""Thousands of malformed chunks over sockets: the server stays, stays small, and serves others meanwhile."""

import asyncio
import logging
import re
import sys
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.client.client import Client

from testbed.fieldbus.opcua_server import OpcUaServer
from testbed.plc.emulator import Emulator
from testbed.rig.bench import load_bench

TAGS = load_bench(None).tags
COUNT = 20_000
MIB = 1024 * 1024


def rss() -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


async def fuzz(port: int, count: int, seed: int) -> asyncio.subprocess.Process:
    script = str(Path(__file__).with_name("fuzz_opcua.py"))
    return await asyncio.create_subprocess_exec(
        sys.executable, script, str(port), str(count), str(seed), stdout=asyncio.subprocess.PIPE
    )


async def test_twenty_thousand_malformed_chunks_harm_nobody(caplog: pytest.LogCaptureFixture) -> None:
    # The library tells each junk message; what is written down of that is the caller's affair.
    caplog.set_level(logging.CRITICAL + 1, logger="asyncua")
    plc = Emulator(TAGS)
    server = OpcUaServer(TAGS, plc.image)
    await server.start()
    level = ua.NodeId(ua.String("cell.tank1.level"), ua.Int16(2))
    async with Client(server.url) as client:
        warming = await fuzz(server.port, 500, 1)
        assert (await warming.communicate())[0].strip() >= b"500"
        before = rss()
        process = await fuzz(server.port, COUNT, 2)
        told = asyncio.ensure_future(process.communicate())
        slowest, reads, newcomers = 0.0, 0, 0
        loop = asyncio.get_running_loop()
        while not told.done():
            started = loop.time()
            assert isinstance(await client.get_node(level).read_value(), float)
            slowest = max(slowest, loop.time() - started)
            reads += 1
            if reads % 50 == 0:
                async with Client(server.url) as newcomer:
                    assert isinstance(await newcomer.get_node(level).read_value(), float)
                newcomers += 1
            await asyncio.sleep(0.01)
        output, _ = await told
        assert process.returncode == 0
        assert int(output) >= COUNT
        grown = rss() - before
        print(f"slowest {slowest:.3f} s of {reads}, {newcomers} newcomers, {grown / MIB:.1f} MiB more")
        assert slowest < 1.0
        assert newcomers > 0
        assert grown < 10 * MIB
    await server.stop()
