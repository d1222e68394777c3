"""For tests of S7: tags, python-snap7's own client as a second opinion, and servers that do not do as they should."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from snap7.client import Client
from snap7.type import Area

from testbed.core.tags import ByteOrder, DataType, ModbusAddress, ModbusTable, Tag

LOCAL = "127.0.0.1"
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def tag(
    name: str, kind: DataType, s7: str, *, writable: bool = True, scale: float = 1.0, order: ByteOrder = ByteOrder.CDAB
) -> Tag:
    """A tag whose Modbus address, which S7 does not use, has another byte order."""
    where = ModbusAddress(ModbusTable.HOLDING_REGISTER, 0, order)
    return Tag(name, kind, "", -5e9, 5e9, writable, where, name, scale=scale, s7=s7)


async def looked_at(port: int, area: Area, db: int, start: int, size: int) -> bytes:
    """What python-snap7's client reads there."""

    def look() -> bytes:
        client = Client()
        client.connect(LOCAL, 0, 1, port)
        try:
            return bytes(client.read_area(area, db, start, size))
        finally:
            client.disconnect()

    return await asyncio.to_thread(look)


async def put(port: int, area: Area, db: int, start: int, data: bytes) -> None:
    """Write it there by python-snap7's client."""

    def write() -> None:
        client = Client()
        client.connect(LOCAL, 0, 1, port)
        try:
            client.write_area(area, db, start, bytearray(data))
        finally:
            client.disconnect()

    await asyncio.to_thread(write)


@asynccontextmanager
async def rogue(script: Script, pdu: int = 240) -> AsyncIterator[int]:
    """A server that connects as it should, and then does what `script` does; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await frame(reader)
            writer.write(wrapped(bytes.fromhex("06 d0 0001 0001 00"), data=False))
            setup = await frame(reader)
            head = struct.pack(">BBHHHHBB", 0x32, 3, 0, int.from_bytes(setup[7:9], "big"), 8, 0, 0, 0)
            writer.write(wrapped(head + struct.pack(">BBHHH", 0xF0, 0, 1, 1, pdu)))
            await script(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, LOCAL, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def frame(reader: asyncio.StreamReader) -> bytes:
    """The next frame without its first four bytes (RFC 1006, section 6)."""
    head = await reader.readexactly(4)
    return await reader.readexactly(int.from_bytes(head[2:], "big") - 4)


def wrapped(pdu: bytes, *, data: bool = True) -> bytes:
    """A frame around it."""
    inner = (bytes.fromhex("02 f0 80") if data else b"") + pdu
    return b"\x03\x00" + (len(inner) + 4).to_bytes(2, "big") + inner


def answer(request: bytes, items: bytes, *, count: int = 1, function: int = 4, later: int = 0, error: int = 0) -> bytes:
    """The answer to a frame's request. later: by how much its reference is wrong; error: class and number."""
    reference = (int.from_bytes(request[7:9], "big") + later) & 0xFFFF
    head = struct.pack(">BBHHHHH", 0x32, 3, 0, reference, 2, len(items), error)
    return wrapped(head + bytes((function, count)) + items)
