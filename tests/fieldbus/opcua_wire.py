"""A client of the OPC UA wire that says what it likes, and looks into the server's bounds; for the tests beside it."""

import asyncio
import struct

import pytest
from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.utils import Buffer
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.ua_binary import nodeid_to_binary, struct_from_binary, struct_to_binary

from testbed.fieldbus.opcua_connections import BoundedBinaryServer
from testbed.fieldbus.opcua_protocol import ConnectionBounds
from testbed.fieldbus.opcua_server import OpcUaServer

LEVEL = ua.NodeId(ua.String("cell.tank1.level"), ua.Int16(2))
BOUNDS = ConnectionBounds(strangers=32, sessions=6)
HASTY = ConnectionBounds(strangers=32, sessions=6, patience=0.5, stall=0.5)
HELLO = struct.pack("<4s6Ii", b"HELF", 32, 0, 65535, 65535, 0, 0, -1)


class Wire:
    """A client that says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.channel = 0
        self._sequence = 1

    @classmethod
    async def to(cls, port: int) -> "Wire":
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ends(self) -> bytes:
        """All that the server says until it hangs up; fails where it does not."""
        said = b""
        try:
            async with asyncio.timeout(4):
                while data := await self.reader.read(65536):
                    said += data
        except ConnectionError:
            pass
        self.writer.close()
        return said

    async def answer(self) -> bytes:
        """One message."""
        async with asyncio.timeout(4):
            head = await self.reader.readexactly(8)
            return head + await self.reader.readexactly(int.from_bytes(head[4:], "little") - 8)

    async def open(self) -> None:
        """Say hello and open a channel without security."""
        self.writer.write(HELLO)
        assert (await self.answer())[:4] == b"ACKF"
        self.writer.write(opening())
        answer = await self.answer()
        assert answer[:4] == b"OPNF"
        self.channel = int.from_bytes(answer[8:12], "little")

    async def session(self) -> ua.NodeId:
        """Open a channel and activate a session on it; its token."""
        await self.open()
        answer = await self.ask(ObjectIds.CreateSessionRequest_Encoding_DefaultBinary, ua.CreateSessionParameters())
        created = struct_from_binary(ua.CreateSessionResponse, Buffer(answer[24:]))
        token: ua.NodeId = created.Parameters.AuthenticationToken
        activate = ObjectIds.ActivateSessionRequest_Encoding_DefaultBinary
        assert len(await self.ask(activate, ua.ActivateSessionParameters(), token)) > 80
        return token

    async def ask(self, kind: int, body: object, token: ua.NodeId | None = None) -> bytes:
        """Send a request of one chunk; its answer."""
        self.writer.write(self.chunk(request(kind, body, token)))
        return await self.answer()

    def chunk(self, body: bytes, final: bytes = b"F") -> bytes:
        """A chunk of a message on this channel, with the next sequence number."""
        self._sequence += 1
        return struct.pack(
            "<3scIIIII", b"MSG", final, 24 + len(body), self.channel, 13, self._sequence, 1
        ) + body  # fmt: skip


def opening() -> bytes:
    """The opening of a channel without security."""
    opened = ua.OpenSecureChannelRequest()
    opened.Parameters.SecurityMode = ua.MessageSecurityMode.None_
    opened.Parameters.RequestedLifetime = ua.UInt32(60_000)
    body = struct_to_binary(opened)
    policy = b"http://opcfoundation.org/UA/SecurityPolicy#None"
    head = struct.pack("<i", len(policy)) + policy + struct.pack("<iiII", -1, -1, 1, 1)
    return struct.pack("<4sII", b"OPNF", 12 + len(head) + len(body), 0) + head + body


def request(kind: int, body: object, token: ua.NodeId | None = None) -> bytes:
    """A request of the service with that identifier, to go into a chunk."""
    header = ua.RequestHeader()
    if token is not None:
        header.AuthenticationToken = token
    raw = body if isinstance(body, bytes) else struct_to_binary(body)
    return nodeid_to_binary(ua.NodeId(ua.Int32(kind))) + struct_to_binary(header) + raw


async def is_served(server: OpcUaServer) -> None:
    """A client comes, reads and goes."""
    async with asyncio.timeout(4), Client(server.url, timeout=4) as client:
        assert isinstance(await client.get_node(LEVEL).read_value(), float)


def listening(server: OpcUaServer) -> BoundedBinaryServer:
    """The socket of the server, with its connections."""
    assert server._server is not None
    assert isinstance(server._server.bserver, BoundedBinaryServer)
    return server._server.bserver


def connections(server: OpcUaServer) -> int:
    """How many there are."""
    return len(listening(server).clients)


async def empties(server: OpcUaServer) -> None:
    """Wait until nobody is connected."""
    for _ in range(300):
        if not connections(server):
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"{connections(server)} connections are left")
