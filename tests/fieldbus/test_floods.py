"""Two thousand connections of strangers, which do nothing more: nobody is locked out, and the server stays small."""

import asyncio
import struct
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from testbed.fieldbus.opcua_server import APPLICATION_URI
from testbed.keys.certificates import keep_certificate
from tests.fieldbus.modbus_poller import Poller
from tests.fieldbus.opcua_reader import Reader
from tests.fieldbus.opcua_wire import HELLO, Wire
from tests.fieldbus.processes import MIB, MOST_GROWTH, SOON, Served, flooded, needs_proc, resident, served

COUNT = 2_000
HALF_A_FRAME = bytes.fromhex("0001 0000 0006 01 03")
NOTHING = pytest.param(b"", id="nothing", marks=pytest.mark.long)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), needs_proc]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opcua(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    folder = tmp_path_factory.mktemp("floods")
    certificate, key = folder / "plc.der", folder / "plc.pem"
    keep_certificate(certificate, key, name="PLC", uri=APPLICATION_URI, hosts=("127.0.0.1",), now_ns=time.time_ns())
    with served("serve_opcua.py", str(certificate), str(key)) as server:
        yield server


async def closes(server: Served, files: int) -> None:
    """Wait until the server has no more open files than that."""
    async with asyncio.timeout(20):
        while server.open_files() > files:  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.02)


def judge(what: str, server: Served, start: int, held: int) -> None:
    after = resident(server.pid)
    print(f"{what}: {(held - start) / MIB:.1f} MiB more, afterwards {(after - start) / MIB:.1f}")
    assert max(held, after) - start <= MOST_GROWTH


@pytest.mark.parametrize("said", [NOTHING, pytest.param(HALF_A_FRAME, id="half a frame")])
async def test_idle_modbus_connections_lock_nobody_out(said: bytes) -> None:
    with served("serve_modbus.py", "cell") as server:
        valid = Poller(server.port)
        valid.poll()
        start, files = resident(server.pid), server.open_files()
        newcomers = 0
        async with flooded(server.port, COUNT, said) as flood:
            while not flood.connected.done():
                valid.poll()
                late = Poller(server.port)
                late.poll()
                late.close()
                newcomers += 1
                assert late.slowest < SOON
                await asyncio.sleep(0.005)
            valid.poll()
            held = resident(server.pid)
        await closes(server, files)
        valid.poll()
        valid.close()
        judge(f"slowest of {valid.polls} answers {valid.slowest:.3f} s, {newcomers} newcomers", server, start, held)
        assert valid.slowest < SOON
        assert newcomers > 0


@pytest.mark.parametrize("said", [NOTHING, pytest.param(HELLO, id="a hello")])
async def test_idle_opcua_connections_lock_nobody_out(opcua: Served, said: bytes) -> None:
    async with Reader.at(opcua.port) as valid:
        await valid.newcomer()
        start, files = resident(opcua.pid), opcua.open_files()
        async with flooded(opcua.port, COUNT, said) as flood:
            await valid.read_until(flood.connected)
            await valid.newcomer()
            held = resident(opcua.pid)
        await closes(opcua, files)
        await valid.read()
        judge(str(valid), opcua, start, held)
        assert valid.slowest < SOON


async def test_strangers_with_half_a_message_each_hold_little(opcua: Served) -> None:
    async with Reader.at(opcua.port) as valid, AsyncExitStack() as stack:
        await valid.newcomer()
        start = resident(opcua.pid)
        for _ in range(200):
            wire = await Wire.to(opcua.port)
            stack.callback(wire.writer.close)
            await wire.open()
            wire.writer.write(b"MSGF" + struct.pack("<I", 65535) + bytes(60000))
        await valid.newcomer()
        judge(str(valid), opcua, start, resident(opcua.pid))
