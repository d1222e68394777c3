"""What the OPC UA server refuses on the wire and what strangers can make it hold, while others are served."""

import asyncio
import gc
import os
import socket
import struct

import pytest
from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.utils import Buffer, NotEnoughData
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.ua_binary import struct_from_binary

from testbed.fieldbus.opcua_server import OpcUaServer
from testbed.fieldbus.opcua_sessions import StrictBuffer
from tests.fieldbus.opcua_wire import BOUNDS, HASTY, HELLO, LEVEL, Wire, empties, is_served, listening, opening, request
from tests.fieldbus.processes import MOST_GROWTH, needs_proc, resident

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"HELF" + struct.pack("<I", 2**31), id="a hello of 2 GiB"),
        pytest.param(b"HELF" + struct.pack("<I", 8193), id="a hello above the smallest buffer"),
        pytest.param(HELLO + b"OPNF" + struct.pack("<I", 8193), id="a channel above the smallest buffer"),
        pytest.param(b"HELF" + struct.pack("<I", 8), id="a hello of nothing"),
        pytest.param(b"HELC" + HELLO[4:], id="a hello in parts"),
        pytest.param(struct.pack("<4s6Ii", b"HELF", 32, 0, 100, 65535, 0, 0, -1), id="a tiny buffer"),
        pytest.param(b"OPNF" + struct.pack("<I", 132), id="a channel before the hello"),
        pytest.param(b"MSGF" + struct.pack("<I", 132), id="a message before the hello"),
        pytest.param(struct.pack("<4s6I", b"ACKF", 28, 0, 0, 0, 0, 0), id="an acknowledgement that lifts limits"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="another protocol"),
        pytest.param(HELLO + HELLO, id="two hellos"),
        pytest.param(HELLO + b"MSGF" + struct.pack("<I", 132), id="a message before the channel"),
        pytest.param(HELLO + opening() + b"MSGF" + struct.pack("<I", 2**32 - 1), id="a message of 4 GiB"),
        pytest.param(HELLO + opening() + b"MSGX" + struct.pack("<I", 132), id="an unknown kind of chunk"),
        pytest.param(HELLO + opening() + b"MSGF" + struct.pack("<5I", 24, 0, 99, 2, 2) + b"junk", id="a wrong token"),
    ],
)
async def test_a_wrong_header_ends_the_connection_at_once_with_an_error(server: OpcUaServer, head: bytes) -> None:
    wire = await Wire.to(server.port)
    wire.writer.write(head)
    assert b"ERRF" in await wire.ends()
    await is_served(server)


async def test_the_same_without_the_fault_is_answered(server: OpcUaServer) -> None:
    wire = await Wire.to(server.port)
    await wire.open()
    answer = await wire.ask(ObjectIds.GetEndpointsRequest_Encoding_DefaultBinary, ua.GetEndpointsParameters())
    assert server.namespace.encode() not in answer
    assert b"opc.tcp://" in answer
    wire.writer.close()


async def test_chunks_without_an_end_are_not_kept_for_a_stranger(server: OpcUaServer) -> None:
    wire = await Wire.to(server.port)
    await wire.open()
    for _ in range(20):
        wire.writer.write(wire.chunk(bytes(8000), b"C"))
    assert b"ERRF" in await wire.ends()


async def test_who_activates_no_session_is_dropped_after_the_patience(server: OpcUaServer) -> None:
    async with Client(server.url) as client:
        silent, halfway = await Wire.to(server.port), await Wire.to(server.port)
        await halfway.open()
        loop = asyncio.get_running_loop()
        started = loop.time()
        listening(server).bounds = HASTY
        assert await silent.ends() == b""
        assert await halfway.ends() == b""
        assert loop.time() - started >= HASTY.patience - 0.3
        # The twin: a client with a session stays, though it is silent.
        assert isinstance(await client.get_node(LEVEL).read_value(), float)
        listening(server).bounds = BOUNDS


async def test_a_connection_has_one_session_under_a_token_that_nobody_guesses(server: OpcUaServer) -> None:
    wire = await Wire.to(server.port)
    token = await wire.session()
    assert isinstance(token.Identifier, bytes)
    assert len(token.Identifier) == 32
    second = await wire.ask(ObjectIds.CreateSessionRequest_Encoding_DefaultBinary, ua.CreateSessionParameters())
    assert struct.pack("<I", StatusCodes.BadTooManySessions) in second
    activate = ObjectIds.ActivateSessionRequest_Encoding_DefaultBinary
    stranger = await Wire.to(server.port)
    await stranger.open()
    for guess in range(1000, 1050):
        fault = await stranger.ask(activate, ua.ActivateSessionParameters(), ua.NodeId(ua.Int32(guess)))
        assert struct.pack("<I", StatusCodes.BadSessionIdInvalid) in fault
    # The twin: whoever has the token goes on with the session on another connection.
    assert len(await stranger.ask(activate, ua.ActivateSessionParameters(), token)) > 80
    read = ObjectIds.ReadRequest_Encoding_DefaultBinary
    assert struct.pack("<I", StatusCodes.BadSessionIdInvalid) in await stranger.ask(read, ua.ReadParameters())
    assert struct.pack("<I", StatusCodes.BadSessionIdInvalid) not in await stranger.ask(
        read, ua.ReadParameters(), token
    )
    stranger.writer.close()
    wire.writer.close()


async def test_strangers_fill_no_list_of_servers(server: OpcUaServer) -> None:
    wire = await Wire.to(server.port)
    await wire.open()
    fault = await wire.ask(ObjectIds.RegisterServerRequest_Encoding_DefaultBinary, ua.RegisteredServer())
    assert struct.pack("<I", StatusCodes.BadServiceUnsupported) in fault
    wire.writer.close()


async def test_a_string_of_negative_length_does_not_hold_the_server(server: OpcUaServer) -> None:
    # GetEndpoints: an URL, then many locales, each of which takes its own four bytes back.
    def bomb(count: int) -> bytes:
        return struct.pack("<iii", -1, count, -4)

    endless = struct_from_binary(ua.GetEndpointsParameters, Buffer(bomb(1000)))
    assert len(endless.LocaleIds) == 1000  # what the library makes of four bytes
    with pytest.raises(NotEnoughData):
        struct_from_binary(ua.GetEndpointsParameters, StrictBuffer(bomb(1000)))
    wire = await Wire.to(server.port)
    await wire.open()
    wire.writer.write(wire.chunk(request(ObjectIds.GetEndpointsRequest_Encoding_DefaultBinary, bomb(2**31 - 1))))
    await is_served(server)
    wire.writer.close()


def held() -> int:
    """Bytes that this process holds, without what the clients here have thrown away."""
    gc.collect()
    return resident(os.getpid())


@needs_proc
async def test_a_client_that_reads_no_answers_is_dropped_and_holds_little(server: OpcUaServer) -> None:
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    deaf.connect(("127.0.0.1", server.port))
    wire = Wire(*await asyncio.open_connection(sock=deaf))
    token = await wire.session()
    read = ua.ReadParameters()
    value = ua.ReadValueId()
    value.NodeId, value.AttributeId = LEVEL, AttributeIds.Value
    read.NodesToRead = [value] * 1000
    body = request(ObjectIds.ReadRequest_Encoding_DefaultBinary, read, token)
    for _ in range(500):
        wire.writer.write(wire.chunk(body))
    before = held()
    try:
        await is_served(server)
        listening(server).bounds = HASTY
        await empties(server)
        assert held() - before <= MOST_GROWTH
    finally:
        listening(server).bounds = BOUNDS
        wire.writer.transport.abort()
