"""Thousands of malformed chunks over sockets: the server stays, stays small, and serves others meanwhile."""

import asyncio
import logging
import re
import sys
import time
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.connection import SecureConnection, TransportLimits
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.crypto.uacrypto import load_certificate, load_private_key
from asyncua.ua.ua_binary import struct_to_binary

from testbed.fieldbus.opcua_server import APPLICATION_URI, OpcUaServer
from testbed.keys.certificates import keep_certificate
from testbed.plc.emulator import Emulator
from testbed.rig.bench import load_bench

TAGS = load_bench(None).tags
COUNT = 20_000
MIB = 1024 * 1024


def rss() -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


async def fuzz(port: int, count: int, seed: int, opening: Path) -> asyncio.subprocess.Process:
    script = str(Path(__file__).with_name("fuzz_opcua.py"))
    return await asyncio.create_subprocess_exec(
        sys.executable, script, str(port), str(count), str(seed), str(opening), stdout=asyncio.subprocess.PIPE
    )


async def secured_opening(certificate: Path, key: Path) -> bytes:
    """The opening of an encrypted channel, by a client that uses the server's own certificate."""
    own, mode = await load_certificate(certificate), ua.MessageSecurityMode.SignAndEncrypt
    policy = SecurityPolicyBasic256Sha256(own, own, await load_private_key(key), mode)  # type: ignore[no-untyped-call]  # of the library
    request = ua.OpenSecureChannelRequest()
    request.Parameters.SecurityMode = mode
    request.Parameters.RequestedLifetime = ua.UInt32(60_000)
    request.Parameters.ClientNonce = bytes(range(32))
    kind: ua.MessageType = ua.MessageType.SecureOpen  # type: ignore[assignment]  # bytes, as the library wants them
    return SecureConnection(policy, TransportLimits()).message_to_binary(struct_to_binary(request), kind, 1)


async def test_twenty_thousand_malformed_chunks_harm_nobody(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    # As `testbed run` has it: junk is not worth a line for each chunk.
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.CRITICAL, logger="asyncua")
    certificate, key, opening = tmp_path / "plc.der", tmp_path / "plc.pem", tmp_path / "opening"
    keep_certificate(certificate, key, name="PLC", uri=APPLICATION_URI, hosts=("127.0.0.1",), now_ns=time.time_ns())
    opening.write_bytes(await secured_opening(certificate, key))
    plc = Emulator(TAGS)
    server = OpcUaServer(TAGS, plc.image, certificate=certificate, key=key)
    await server.start()
    level = ua.NodeId(ua.String("cell.tank1.level"), ua.Int16(2))
    async with Client(server.url) as client:
        warming = await fuzz(server.port, 500, 1, opening)
        assert (await warming.communicate())[0].strip() >= b"500"
        before = rss()
        process = await fuzz(server.port, COUNT, 2, opening)
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
        assert slowest < 3.0  # nobody hangs; how fast it is, benchmarks say
        assert newcomers > 0
        assert grown < 10 * MIB
        assert caplog.records == []
    await server.stop()
