"""How many connections, sessions and requests the OPC UA server bears, and that the others are served meanwhile."""

import asyncio
import hashlib
import inspect
import struct
from collections.abc import Callable

import pytest
from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UASocketProtocol
from asyncua.common.connection import SecureConnection, TransportLimits
from asyncua.server.binary_server_asyncio import BinaryServer, OPCUAProtocol
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession
from asyncua.server.server import Server
from asyncua.server.uaprocessor import UaProcessor
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaStatusCodeError

from testbed.fieldbus.opcua_server import OpcUaServer
from tests.fieldbus.opcua_wire import BOUNDS, LEVEL, Wire, connections, is_served

BUILT_UPON = "221a6739038adda963639c3dd13d5b2ad0cad9ba0b2f062462a5e69dccdb0544"

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_request_of_many_chunks_is_answered_up_to_a_mebibyte(server: OpcUaServer) -> None:
    async with Client(server.url, timeout=20) as client:
        values = await client.read_attributes([client.get_node(LEVEL)] * 15000)
        assert len(values) == 15000
    with pytest.raises((ConnectionError, UaStatusCodeError, asyncio.TimeoutError)):
        async with Client(server.url, timeout=2) as client:
            await client.read_attributes([client.get_node(LEVEL)] * 60000)
    await is_served(server)


async def test_sessions_are_bounded_and_come_free_again(server: OpcUaServer) -> None:
    clients = [Client(server.url, timeout=4) for _ in range(BOUNDS.sessions)]
    for client in clients:
        await client.connect()
    late = Client(server.url, timeout=4)
    with pytest.raises(UaStatusCodeError, match="BadTooManySessions"):
        await late.connect()
    await clients.pop().disconnect()
    await is_served(server)
    for client in clients:
        await client.disconnect()


async def test_a_session_whose_connection_was_cut_gives_way_to_a_newcomer(server: OpcUaServer) -> None:
    subscribe = ObjectIds.CreateSubscriptionRequest_Encoding_DefaultBinary
    parameters = ua.CreateSubscriptionParameters()
    parameters.RequestedPublishingInterval = 1000.0
    parameters.RequestedLifetimeCount, parameters.RequestedMaxKeepAliveCount = ua.UInt32(100), ua.UInt32(10)
    tokens = []
    # One that stays, and so many that are cut that all places are taken: by sessions that wait to be taken up again.
    async with Client(server.url, timeout=4) as staying:
        for _ in range(BOUNDS.sessions - 1):
            wire = await Wire.to(server.port)
            tokens.append(await wire.session())
            assert len(await wire.ask(subscribe, parameters, tokens[-1])) > 60
            wire.writer.transport.abort()
        async with asyncio.timeout(4):
            while connections(server) > 1:  # noqa: ASYNC110 - the server runs on this loop, and says it to nobody
                await asyncio.sleep(0.02)
        activate = ObjectIds.ActivateSessionRequest_Encoding_DefaultBinary
        again = await Wire.to(server.port)
        await again.open()
        assert len(await again.ask(activate, ua.ActivateSessionParameters(), tokens[1])) > 80
        for _ in range(BOUNDS.sessions):
            await is_served(server)
        assert isinstance(await staying.get_node(LEVEL).read_value(), float)
        # The oldest that nobody had taken up is gone; the one that was taken up is not.
        read = ObjectIds.ReadRequest_Encoding_DefaultBinary
        gone = struct.pack("<I", StatusCodes.BadSessionIdInvalid)
        assert gone not in await again.ask(read, ua.ReadParameters(), tokens[1])
        stranger = await Wire.to(server.port)
        await stranger.open()
        assert gone in await stranger.ask(activate, ua.ActivateSessionParameters(), tokens[0])
        for other in (stranger, again):
            other.writer.close()


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
        InternalSession.call,
        InternalServer.lookup_external_session,
        Server._set_endpoints,
        SecureConnection.select_policy,
        Client.create_session,
        Client.activate_session,
        UASocketProtocol,
        TransportLimits,
    ]
    text = "\n".join(map(inspect.getsource, parts))
    assert hashlib.sha256(text.encode()).hexdigest() == BUILT_UPON
