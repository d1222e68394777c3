"""The server on the wire: right where pymodbus's own server goes wrong, and no client harms the others."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from typing import cast

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType as SimType
from pymodbus.simulator import SimData, SimDevice

from testbed.core.errors import UsageError
from testbed.core.tags import DataType, ModbusAddress, ModbusTable, Tag
from testbed.fieldbus.modbus_server import ConnectionLimits, ModbusServer
from testbed.plc.image import ProcessImage

LOCAL = "127.0.0.1"
REGISTERS = 125
COILS = 2


def _tags() -> tuple[Tag, ...]:
    registers = [
        Tag(f"r{at}", DataType.UINT16, "", 0, 65535, True, ModbusAddress(ModbusTable.HOLDING_REGISTER, at), f"r{at}")
        for at in range(REGISTERS)
    ]
    coils = [
        Tag(f"c{at}", DataType.BOOL, "", 0, 1, True, ModbusAddress(ModbusTable.COIL, at), f"c{at}")
        for at in range(COILS)
    ]
    return (*registers, *coils)


TAGS = _tags()
"""Each holding register holds its own address; two coils are off."""


@asynccontextmanager
async def ours(limits: ConnectionLimits | None = None) -> AsyncIterator[ModbusServer]:
    image = ProcessImage(TAGS, {tag.name: int(tag.name[1:]) if tag.name[0] == "r" else False for tag in TAGS})
    server = ModbusServer(TAGS, image, limits=limits)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def stock() -> AsyncIterator[int]:
    """pymodbus's own server with the same registers and coils; its port."""
    bits = [SimData(0, values=[False] * 16, datatype=SimType.BITS)]  # it has them in groups of 16 only
    registers = [SimData(0, values=list(range(REGISTERS)), datatype=SimType.REGISTERS)]
    server = ModbusTcpServer(SimDevice(1, (bits, bits, registers, registers)), address=(LOCAL, 0))
    await server.serve_forever(background=True)
    try:
        yield cast("asyncio.Server", server.transport).sockets[0].getsockname()[1]
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]  # not typed in pymodbus


def frame(transaction: int, pdu: str, unit: int = 1, protocol: int = 0) -> bytes:
    data = bytes.fromhex(pdu)
    return struct.pack(">HHHB", transaction, protocol, len(data) + 1, unit) + data


def read(transaction: int, address: int = 0, count: int = 1) -> bytes:
    return frame(transaction, f"03 {address:04x} {count:04x}")


def shown(transaction: int, *values: int) -> bytes:
    return frame(transaction, f"03 {2 * len(values):02x} " + "".join(f"{value:04x}" for value in values))


async def exchange(port: int, chunks: Sequence[bytes], patience_s: float | None = None) -> bytes:
    """All that is answered to `chunks`, each in a segment of its own.

    patience_s: how long to listen; None: say that nothing more will be asked, and listen until the server ends.
    """
    reader, writer = await asyncio.open_connection(LOCAL, port)
    answer = b""
    for chunk in chunks:
        writer.write(chunk)
        # One turn of the loop, so that the server, which runs in it, reads the segment by itself.
        await asyncio.sleep(0)
    try:
        if patience_s is None:
            writer.write_eof()
        async with asyncio.timeout(patience_s or 10):
            while more := await reader.read(4096):
                answer += more
    except TimeoutError:
        pass
    finally:
        writer.close()
        await writer.wait_closed()
    return answer


@dataclass(frozen=True)
class Defect:
    """Segments, and what a correct server answers to them."""

    name: str
    chunks: tuple[bytes, ...]
    answer: bytes


DEFECTS = [
    Defect(
        "three requests in one segment get one reply",
        (read(1, 11) + read(2, 12) + read(3, 13),),
        shown(1, 11) + shown(2, 12) + shown(3, 13),
    ),
    Defect(
        "two requests in quick succession are both answered as the second",
        (read(1, 11), read(2, 12)),
        shown(1, 11) + shown(2, 12),
    ),
    Defect("an unknown function is answered as function 0", (frame(1, "55 0000"),), frame(1, "d5 01")),
    Defect("a quantity of 0 is answered as function 0", (read(1, 0, 0),), frame(1, "83 03")),
    Defect("a quantity of 126 is answered as function 0", (read(1, 0, 126),), frame(1, "83 03")),
    Defect("a short request is answered as function 0", (frame(1, "03 0000 00"),), frame(1, "83 03")),
    Defect("another unit is a device failure", (frame(1, "03 0000 0001", unit=9),), frame(1, "83 0b", unit=9)),
    Defect("a coil value of 1234 counts as on", (frame(1, "05 0000 1234"),), frame(1, "85 03")),
    Defect(
        "a wrong protocol identifier makes the connection deaf",
        (frame(1, "03 0000 0001", protocol=1) + read(2, 12), read(3, 13)),
        shown(2, 12) + shown(3, 13),
    ),
    Defect("the rest of a group of 16 coils reads as off", (frame(1, "01 0000 0003"),), frame(1, "81 02")),
    Defect("bytes behind a request are passed over", (frame(1, "03 0000 0001 00"),), frame(1, "83 03")),
    Defect("read code 0 is a device failure", (frame(1, "2b 0e 00 00"),), frame(1, "ab 03")),
    Defect(
        "a stream that begins at an unknown object is empty",
        (frame(1, "2b 0e 01 05"),),
        frame(
            1,
            "2b 0e 01 82 00 00 03 00 09"
            + b"Attestbed".hex()
            + "01 0c"
            + b"emulated-plc".hex()
            + "02 03"
            + b"1.0".hex(),
        ),
    ),
]


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
async def test_what_the_stock_server_does_wrong_is_right(defect: Defect) -> None:
    async with ours() as server:
        assert await exchange(server.port, defect.chunks) == defect.answer
        # The connection goes on behind it.
        assert await exchange(server.port, (*defect.chunks, read(99, 7))) == defect.answer + shown(99, 7)
    async with stock() as port:
        assert await exchange(port, defect.chunks, 0.25) != defect.answer


async def test_the_stock_server_of_this_comparison_does_answer() -> None:
    async with stock() as port, ours() as server:
        for chunk in (read(1, 5, 120), frame(2, "01 0000 0002"), frame(3, "05 0001 ff00"), frame(4, "06 0007 0007")):
            assert await exchange(port, [chunk], 0.25) == await exchange(server.port, [chunk]) != b""


async def test_a_length_that_cannot_be_ends_the_connection_behind_the_answers_before_it() -> None:
    # The stock server waits for ever.
    for length in (0, 1, 255, 0xFFFF):
        bad = struct.pack(">HHHB", 2, 0, length, 1)
        async with ours() as server:
            reader, writer = await asyncio.open_connection(LOCAL, server.port)
            writer.write(read(1, 5) + bad + read(3, 6))
            async with asyncio.timeout(5):
                assert await reader.read() == shown(1, 5)
            writer.close()


async def test_byte_by_byte_and_pipelined_requests_are_answered_in_order() -> None:
    stream = b"".join(read(n, n % 100, 1 + n % 20) for n in range(200))
    expected = b"".join(shown(n, *range(n % 100, n % 100 + 1 + n % 20)) for n in range(200))
    async with ours() as server:
        one = [stream[at : at + 1] for at in range(len(stream))]
        assert await exchange(server.port, one) == expected
        assert await exchange(server.port, [stream]) == expected


async def test_what_was_asked_before_the_client_closed_its_side_is_answered() -> None:
    async with ours() as server:
        reader, writer = await asyncio.open_connection(LOCAL, server.port)
        writer.write(read(1, 3) + read(2, 4))
        writer.write_eof()
        async with asyncio.timeout(5):
            assert await reader.read() == shown(1, 3) + shown(2, 4)
        writer.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # the server says nothing when a connection is gone
            await asyncio.sleep(0.005)


class Client:
    """A client that waits for each answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, port: int) -> "Client":
        return cls(*await asyncio.open_connection(LOCAL, port))

    async def ask(self, address: int = 7) -> bool:
        """Whether the right answer came, and not the end."""
        expected = shown(1, address)
        try:
            self._writer.write(read(1, address))
            async with asyncio.timeout(5):
                answer = await self._reader.readexactly(len(expected))
        except (ConnectionError, asyncio.IncompleteReadError):
            return False
        assert answer == expected
        return True

    async def ended(self) -> bool:
        """Whether the server closes the connection, within 5 s."""
        try:
            async with asyncio.timeout(5):
                return await self._reader.read() == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self._writer.close()


async def test_two_thousand_idle_connections_shut_nobody_out() -> None:
    async with ours() as server, AsyncExitStack() as idle:
        early = await Client.connect(server.port)
        assert await early.ask()
        for count in range(2000):
            connection = idle.enter_context(closing(socket.socket()))
            connection.setblocking(False)
            await asyncio.get_running_loop().sock_connect(connection, (LOCAL, server.port))
            if count % 200 == 0:
                assert await early.ask()
                late = await Client.connect(server.port)
                assert await late.ask()
                late.close()
        assert await early.ask()
        await until(lambda: server.connections <= 32)
        late = await Client.connect(server.port)
        assert await late.ask()
        assert await early.ask()
        early.close()
        late.close()


async def test_beyond_the_limit_the_one_that_never_asked_goes_and_then_the_one_idle_for_longest() -> None:
    async with ours(ConnectionLimits(connections=3)) as server:
        first, silent, second = [await Client.connect(server.port) for _ in range(3)]
        assert await first.ask()
        assert await second.ask()
        third = await Client.connect(server.port)
        assert await third.ask()
        assert await silent.ended()
        assert await first.ask()
        fourth = await Client.connect(server.port)
        assert await fourth.ask()
        assert await second.ended()
        assert [await client.ask() for client in (first, third, fourth)] == [True] * 3
        assert server.connections == 3
        for client in (first, silent, second, third, fourth):
            client.close()


@pytest.mark.parametrize("sent", [b"", read(1)[:5], read(1)[:9], frame(1, "03", protocol=7)])
async def test_a_connection_without_a_whole_request_is_closed(sent: bytes) -> None:
    async with ours(ConnectionLimits(idle_s=0.1)) as server:
        reader, writer = await asyncio.open_connection(LOCAL, server.port)
        writer.write(sent)
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        assert server.connections == 0
        writer.close()


async def test_a_connection_that_asks_stays() -> None:
    loop = asyncio.get_running_loop()
    async with ours(ConnectionLimits(idle_s=0.5)) as server:
        client = await Client.connect(server.port)
        end = loop.time() + 0.9
        while loop.time() < end:
            assert await client.ask()
            await asyncio.sleep(0.02)
        assert await client.ended()
        client.close()


async def test_a_client_that_vanished_is_found_out_by_the_system() -> None:
    async with ours() as server:
        client = await Client.connect(server.port)
        assert await client.ask()
        (connection,) = server._connections
        accepted = connection._transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        if hasattr(socket, "TCP_KEEPIDLE"):
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
        client.close()


async def test_a_client_that_takes_no_answers_is_read_no_more_and_then_closed() -> None:
    loop = asyncio.get_running_loop()
    request = read(1, 0, REGISTERS)
    async with ours(ConnectionLimits(stalled_s=0.3, unsent=4096)) as server:
        other = await Client.connect(server.port)
        with closing(socket.socket()) as slow:
            # A small window, so that the system's buffers do not hide that nobody reads.
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.setblocking(False)
            await loop.sock_connect(slow, (LOCAL, server.port))
            sent = 0

            async def flood() -> None:
                nonlocal sent
                while True:
                    await loop.sock_sendall(slow, request * 100)
                    sent += 100

            flooding = asyncio.create_task(flood())
            while not flooding.done():
                assert await other.ask()
                await asyncio.sleep(0.01)
            assert isinstance(flooding.exception(), ConnectionError)
        await until(lambda: server.connections == 1)
        assert await other.ask()
        other.close()


async def test_a_client_that_takes_its_answers_late_gets_all_of_them() -> None:
    count = 60_000  # more answers than the system's own buffers take
    request = read(1, 0, REGISTERS)
    limits = ConnectionLimits(unsent=4096)
    at_once = 2048 // len(request) * len(shown(1, *range(REGISTERS)))
    async with ours(limits) as server:
        reader, writer = await asyncio.open_connection(LOCAL, server.port)
        writer.write(request * count)
        # The server stops reading once its answers find no taker; then this side cannot send all it has.
        other = await Client.connect(server.port)
        await until(lambda: any(one.asked for one in server._connections))
        (flooded,) = (one._transport for one in server._connections if one.asked)
        await until(lambda: flooded.get_write_buffer_size() > limits.unsent)
        for _ in range(50):
            assert await other.ask()
            assert flooded.get_write_buffer_size() <= limits.unsent + at_once
        received = 0
        async with asyncio.timeout(20):
            while received < count * len(shown(1, *range(REGISTERS))):
                data = await reader.read(1 << 16)
                assert data
                received += len(data)
        writer.close()
        other.close()


async def test_stop_closes_every_connection_and_the_port_is_free_again() -> None:
    async with ours() as server:
        clients = [await Client.connect(server.port) for _ in range(5)]
        assert all([await client.ask() for client in clients])
        await server.stop()
        assert server.connections == 0
        assert all([await client.ended() for client in clients])
        with pytest.raises(ConnectionRefusedError):
            await Client.connect(server.port)
        await server.start()
        again = await Client.connect(server.port)
        assert await again.ask()
        for client in (*clients, again):
            client.close()


@pytest.mark.parametrize(("connections", "idle_s"), [(0, 1.0), (1, 0.0)])
def test_limits_that_let_nobody_in_are_wrong_usage(connections: int, idle_s: float) -> None:
    with pytest.raises(UsageError, match="connections"):
        ConnectionLimits(connections=connections, idle_s=idle_s)
