"""How many connections, sessions and requests the OPC UA server bears, and that the others are served meanwhile."""

import asyncio
import gc
import hashlib
import inspect
import re
import struct
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.connection import TransportLimits
from asyncua.server.binary_server_asyncio import BinaryServer, OPCUAProtocol
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession
from asyncua.server.server import Server
from asyncua.server.uaprocessor import UaProcessor
from asyncua.ua.uaerrors import UaStatusCodeError

from testbed.fieldbus.opcua_connections import BoundedBinaryServer
from testbed.fieldbus.opcua_protocol import ConnectionBounds
from testbed.fieldbus.opcua_server import OpcUaServer
from testbed.plc.emulator import Emulator
from testbed.rig.bench import load_bench

TAGS = load_bench(None).tags
LEVEL = ua.NodeId(ua.String("cell.tank1.level"), ua.Int16(2))
BOUNDS = ConnectionBounds(strangers=32, sessions=6)
HASTY = ConnectionBounds(strangers=32, sessions=6, patience=0.5, stall=0.5)
MIB = 1024 * 1024
BUILT_UPON = "2ceb11ced1b51917ccb7ccd927c885e017615821e8c643a0e697ad74bd49b1ec"

pytestmark = pytest.mark.asyncio(loop_scope="module")
HELLO = struct.pack("<4s6Ii", b"HELF", 32, 0, 65535, 65535, 0, 0, -1)


FLOOD = """
import resource, socket, sys
port, count, said = int(sys.argv[1]), int(sys.argv[2]), bytes.fromhex(sys.argv[3])
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
held = []
for _ in range(count):
    held.append(socket.create_connection(("127.0.0.1", port), timeout=10))
    try:
        held[-1].sendall(said)
    except ConnectionError:
        pass
print("connected", flush=True)
sys.stdin.read()
"""


def rss() -> int:
    """What the process holds, without what the clients here have thrown away."""
    gc.collect()
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[OpcUaServer]:
    server = OpcUaServer(TAGS, Emulator(TAGS).image, period=60.0, bounds=BOUNDS)
    await server.start()
    yield server
    await server.stop()


async def served(server: OpcUaServer) -> None:
    async with asyncio.timeout(4), Client(server.url, timeout=4) as client:
        assert isinstance(await client.get_node(LEVEL).read_value(), float)


def listening(server: OpcUaServer) -> BoundedBinaryServer:
    assert server._server is not None
    assert isinstance(server._server.bserver, BoundedBinaryServer)
    return server._server.bserver


def connections(server: OpcUaServer) -> int:
    return len(listening(server).clients)


async def empties(server: OpcUaServer) -> None:
    for _ in range(300):
        if not connections(server):
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"{connections(server)} connections are left")


async def test_a_request_of_many_chunks_is_answered_up_to_a_mebibyte(server: OpcUaServer) -> None:
    async with Client(server.url) as client:
        values = await client.read_attributes([client.get_node(LEVEL)] * 15000)
        assert len(values) == 15000
    with pytest.raises((ConnectionError, UaStatusCodeError, asyncio.TimeoutError)):
        async with Client(server.url, timeout=2) as client:
            await client.read_attributes([client.get_node(LEVEL)] * 60000)
    await served(server)


async def flooded(server: OpcUaServer, said: bytes) -> int:
    """2,000 connections that say `said` and no more, while others are served; what the process then holds, bytes."""
    flood = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", FLOOD, str(server.port), "2000", said.hex()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert flood.stdin is not None
        assert flood.stdout is not None
        connected = asyncio.ensure_future(flood.stdout.readline())
        tries, served_meanwhile = 0, 0
        while not connected.done():
            tries += 1
            # While newcomers come by the hundred, one that is slow to open its session may have to try again.
            with suppress(ConnectionError, TimeoutError):
                await served(server)
                served_meanwhile += 1
        assert await connected == b"connected\n"
        await served(server)
        assert served_meanwhile > tries / 2
        held = rss()
        listening(server).bounds = HASTY
        await empties(server)
        flood.stdin.close()
        assert await flood.wait() == 0
    finally:
        listening(server).bounds = BOUNDS
        if flood.returncode is None:
            flood.kill()
            await flood.wait()
    return held


@pytest.mark.parametrize("said", [b"", HELLO], ids=["nothing", "a hello"])
async def test_two_thousand_idle_connections_lock_nobody_out(server: OpcUaServer, said: bytes) -> None:
    await served(server)
    # The clients here live in the server's process, and its heap first grows to its working size.
    first = await flooded(server, said)
    assert await flooded(server, said) - first < 10 * MIB


async def test_sessions_are_bounded_and_come_free_again(server: OpcUaServer) -> None:
    clients = [Client(server.url, timeout=4) for _ in range(BOUNDS.sessions)]
    for client in clients:
        await client.connect()
    late = Client(server.url, timeout=4)
    with pytest.raises(UaStatusCodeError, match="BadTooManySessions"):
        await late.connect()
    await clients.pop().disconnect()
    await served(server)
    for client in clients:
        await client.disconnect()


async def test_many_requests_at_once_are_all_answered(server: OpcUaServer) -> None:
    async with Client(server.url) as client:
        node = client.get_node(LEVEL)
        values = await asyncio.gather(*(node.read_value() for _ in range(1000)))
    assert len(values) == 1000


async def test_a_publishing_interval_is_neither_nothing_nor_no_number(server: OpcUaServer) -> None:
    async with Client(server.url) as client:
        for asked in (0.0, 0.001, float("nan"), -5.0):
            parameters = ua.CreateSubscriptionParameters()
            parameters.RequestedPublishingInterval = asked
            parameters.RequestedLifetimeCount, parameters.RequestedMaxKeepAliveCount = ua.UInt32(100), ua.UInt32(10)
            result = await client.uaclient.create_subscription(parameters, lambda _result: None)
            assert result.RevisedPublishingInterval == 10.0
            await client.uaclient.delete_subscriptions([result.SubscriptionId])


async def test_the_library_is_the_one_that_was_built_upon() -> None:
    """Each of these is overridden, or is what an override stands in for: read it again before taking a new version."""
    parts: list[Callable[..., object]] = [
        Server.start,
        BinaryServer,
        OPCUAProtocol,
        UaProcessor.__init__,
        UaProcessor.process,
        UaProcessor.process_message,
        UaProcessor._process_message,
        InternalServer.create_session,
        InternalServer.stop,
        InternalServer._set_current_time_loop,
        InternalSession.activate_session,
        InternalSession.create_subscription,
        TransportLimits,
    ]
    text = "\n".join(map(inspect.getsource, parts))
    assert hashlib.sha256(text.encode()).hexdigest() == BUILT_UPON
