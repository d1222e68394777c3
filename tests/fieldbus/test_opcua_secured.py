"""The endpoint that signs and encrypts: what a client does over it, and what it refuses."""

import asyncio
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.connection import SecureConnection, TransportLimits
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.crypto.uacrypto import load_certificate, load_private_key
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.ua_binary import struct_to_binary
from asyncua.ua.uaerrors import UaStatusCodeError

from testbed.core.errors import UsageError
from testbed.fieldbus.opcua_server import APPLICATION_URI, OpcUaServer
from testbed.plc.emulator import Emulator
from testbed.rig.bench import load_bench
from tests.fieldbus.opcua_parties import Party

TAGS = load_bench(None).tags
SETPOINT = ua.NodeId(ua.String("cell.control.level_setpoint"), ua.Int16(2))
SCAN = ua.NodeId(ua.String("cell.plc.scan"), ua.Int16(2))
URI = "urn:example.org:FreeOpcUa:opcua-asyncio"  # what the library's client calls itself
HELLO = struct.pack("<4s6Ii", b"HELF", 32, 0, 65535, 65535, 0, 0, -1)
FAILED = struct.pack("<I", StatusCodes.BadSecurityChecksFailed)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True, slots=True)
class Bench:
    plc: Emulator
    server: OpcUaServer
    server_identity: Party
    client_identity: Party

    async def client(self, server: Path | None = None, url: str = "") -> Client:
        """A client that trusts the certificate `server` alone."""
        client = Client(url or self.server.url, timeout=4)
        await client.set_security(
            SecurityPolicyBasic256Sha256,
            self.client_identity.certificate,
            self.client_identity.key,
            server_certificate=str(server or self.server_identity.certificate),
        )
        return client

    async def served(self) -> None:
        async with asyncio.timeout(4), await self.client() as client:
            assert isinstance(await client.get_node(SETPOINT).read_value(), float)

    async def said_to(self, *messages: bytes) -> bytes:
        """All that the server says to these until it hangs up; fails where it does not."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(b"".join(messages))
        try:
            async with asyncio.timeout(4):
                return await reader.read()
        finally:
            writer.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    folder = tmp_path_factory.mktemp("identities")
    own = Party.make(folder, "server", APPLICATION_URI)
    plc = Emulator(TAGS)
    server = OpcUaServer(TAGS, plc.image, period=60.0, certificate=own.certificate, key=own.key)
    await server.start()
    yield Bench(plc, server, own, Party.make(folder, "client", URI))
    await server.stop()


async def policy(bench: Bench, mode: ua.MessageSecurityMode) -> SecurityPolicyBasic256Sha256:
    """As a client of the server sees it."""
    server, own = bench.server_identity, bench.client_identity
    return SecurityPolicyBasic256Sha256(  # type: ignore[no-untyped-call]  # of the library
        await load_certificate(server.certificate), await load_certificate(own.certificate),
        await load_private_key(own.key), mode,
    )  # fmt: skip


def opening(policy: SecurityPolicyBasic256Sha256, mode: ua.MessageSecurityMode, spare: int = 0) -> bytes:
    """An OPN that the server answers; `spare` bytes stand behind what it needs."""
    request = ua.OpenSecureChannelRequest()
    request.Parameters.SecurityMode = mode
    request.Parameters.RequestedLifetime = ua.UInt32(60_000)
    request.Parameters.ClientNonce = bytes(range(32))
    connection = SecureConnection(policy, TransportLimits())
    opened: ua.MessageType = ua.MessageType.SecureOpen  # type: ignore[assignment]  # bytes, as the library wants them
    return connection.message_to_binary(struct_to_binary(request) + bytes(spare), message_type=opened, request_id=1)


async def test_a_client_reads_writes_and_subscribes_encrypted(bench: Bench) -> None:
    heard: asyncio.Queue[object] = asyncio.Queue()

    class Handler:
        def datachange_notification(self, _node: object, value: object, _data: object) -> None:
            heard.put_nowait(value)

    async with await bench.client() as client:
        subscription = await client.create_subscription(20, Handler())
        await subscription.subscribe_data_change(client.get_node(SCAN))
        first = await asyncio.wait_for(heard.get(), 5)
        await client.get_node(SETPOINT).write_value(ua.DataValue(ua.Variant(1.25, ua.VariantType.Float)))
        bench.plc.scan()
        await bench.server.publish()
        assert await asyncio.wait_for(heard.get(), 5) == int(str(first)) + 1
        assert await client.get_node(SETPOINT).read_value() == 1.25
        with pytest.raises(UaStatusCodeError, match="BadOutOfRange"):
            await client.get_node(SETPOINT).write_value(ua.DataValue(ua.Variant(9.0, ua.VariantType.Float)))
        await subscription.delete()


@pytest.mark.parametrize("encrypted", [True, False])
async def test_what_is_read_is_hidden_on_the_wire(bench: Bench, encrypted: bool) -> None:
    seen = bytearray()
    ended = asyncio.Event()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            seen.extend(data)
            writer.write(data)
        writer.close()

    async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward = await asyncio.open_connection("127.0.0.1", bench.server.port)
        await asyncio.gather(forward(reader, onward[1]), forward(onward[0], writer))
        ended.set()

    middle = await asyncio.start_server(between, "127.0.0.1", 0)
    url = f"opc.tcp://127.0.0.1:{middle.sockets[0].getsockname()[1]}/attestbed"
    async with await bench.client(url=url) if encrypted else Client(url) as client:
        await client.get_node(SETPOINT).read_value()
    await asyncio.wait_for(ended.wait(), 5)
    middle.close()
    await middle.wait_closed()
    assert (b"cell.control.level_setpoint" in seen) is not encrypted


async def test_both_endpoints_are_told_with_the_certificate(bench: Bench) -> None:
    async with Client(bench.server.url) as client:
        plain, secured = await client.get_endpoints()
    assert plain.SecurityMode is ua.MessageSecurityMode.None_
    assert secured.SecurityMode is ua.MessageSecurityMode.SignAndEncrypt
    assert secured.SecurityPolicyUri == SecurityPolicyBasic256Sha256.URI
    assert secured.ServerCertificate == bench.server_identity.certificate.read_bytes()
    assert [token.TokenType for token in secured.UserIdentityTokens] == [ua.UserTokenType.Anonymous]


async def test_a_client_that_pinned_another_certificate_gets_no_session(bench: Bench, tmp_path: Path) -> None:
    another = Party.make(tmp_path, "another", APPLICATION_URI)
    client = await bench.client(another.certificate)
    with pytest.raises((UaStatusCodeError, ConnectionError, asyncio.TimeoutError)):
        await client.connect()
    await bench.served()


async def test_an_opened_channel_is_the_one_that_was_built_here(bench: Bench) -> None:
    mode = ua.MessageSecurityMode.SignAndEncrypt
    message = opening(await policy(bench, mode), mode)
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.server.port)
    writer.write(HELLO + message)
    async with asyncio.timeout(4):
        assert (await reader.readexactly(28))[:4] == b"ACKF"
        assert (await reader.readexactly(8))[:4] == b"OPNF"
    writer.close()


@pytest.mark.parametrize("at", [100, 600, -1], ids=["certificate", "key", "signature"])
async def test_one_changed_byte_opens_no_channel_and_is_answered_alike(bench: Bench, at: int) -> None:
    mode = ua.MessageSecurityMode.SignAndEncrypt
    message = bytearray(opening(await policy(bench, mode), mode))
    message[at] ^= 1
    said = await bench.said_to(HELLO, bytes(message))
    assert said[28:] == b"ERRF" + struct.pack("<I", 31) + FAILED + struct.pack("<I", 15) + b"security checks"
    await bench.served()


async def test_to_sign_only_is_not_offered(bench: Bench) -> None:
    mode = ua.MessageSecurityMode.Sign
    said = await bench.said_to(HELLO, opening(await policy(bench, mode), mode))
    assert FAILED in said[28:]


async def test_no_channel_without_a_certificate(bench: Bench) -> None:
    uri = SecurityPolicyBasic256Sha256.URI.encode()
    for certificate in (struct.pack("<i", -1), struct.pack("<i", 0), struct.pack("<i", 9) + b"not a DER"):
        body = struct.pack("<i", len(uri)) + uri + certificate + struct.pack("<i", -1) + bytes(256)
        said = await bench.said_to(HELLO, struct.pack("<4sII", b"OPNF", 12 + len(body), 0) + body)
        assert FAILED in said[28:]


async def test_a_long_opening_costs_no_private_key_operations(bench: Bench) -> None:
    mode = ua.MessageSecurityMode.SignAndEncrypt
    message = opening(await policy(bench, mode), mode, spare=8000)
    assert len(message) > 8192
    said = await bench.said_to(HELLO, message)
    assert struct.pack("<I", StatusCodes.BadTcpMessageTooLarge) in said[28:]


async def test_a_changed_message_ends_the_channel(bench: Bench) -> None:
    client = await bench.client()
    await client.connect()
    assert client.uaclient.protocol is not None
    transport = client.uaclient.protocol.transport
    assert transport is not None
    send = transport.write

    def changing(data: bytes) -> None:
        send(data[:-1] + bytes([data[-1] ^ 1]))

    transport.write = changing  # type: ignore[assignment,method-assign]  # somebody on the wire
    with pytest.raises((UaStatusCodeError, ConnectionError, asyncio.TimeoutError)):
        await client.get_node(SETPOINT).read_value()
    transport.write = send  # type: ignore[method-assign]  # as it was
    client.disconnect_socket()
    await bench.served()


async def test_half_an_identity_and_no_identity_are_wrong_usage(bench: Bench, tmp_path: Path) -> None:
    own = bench.server_identity
    with pytest.raises(UsageError, match="with its key only"):
        OpcUaServer(TAGS, bench.plc.image, certificate=own.certificate)
    for certificate, key in ((tmp_path / "none", own.key), (own.key, own.key), (own.certificate, own.certificate)):
        with pytest.raises(UsageError, match="no certificate with its key"):
            await OpcUaServer(TAGS[:1], bench.plc.image, certificate=certificate, key=key).start()
