"""Who comes to our OPC UA server, by which policy and as whom; and beside each the one that must stay outside."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.utils import Buffer
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.ua_binary import struct_from_binary
from asyncua.ua.uaerrors import UaStatusCodeError

from testbed.core.errors import DeviceError, DeviceRefused, UsageError
from testbed.core.identity import Identity
from testbed.fieldbus.opcua_access import Access, Account, Role
from testbed.fieldbus.opcua_client import OpcUaReader
from testbed.fieldbus.opcua_discovery import endpoints
from testbed.fieldbus.opcua_security import Credentials, Login, Mode, Policy, Security
from testbed.fieldbus.opcua_server import APPLICATION_URI, OpcUaServer
from testbed.keys.application import Application
from testbed.keys.passwords import check_password, hash_password
from testbed.keys.trust import TrustList, thumbprint
from testbed.plc.emulator import Emulator
from testbed.rig.bench import load_bench
from tests.fieldbus.opcua_parties import CLIENT_URI, OBSERVER, OPERATOR, PASSWORD, YEAR_NS, Parties, Party
from tests.fieldbus.opcua_wire import Wire
from tests.fieldbus.relay import relayed

TAGS = load_bench(None).tags
SETPOINT = next(tag for tag in TAGS if tag.name == "control.level_setpoint")
WAYS = [(mode, policy.value) for mode in ("Sign", "SignAndEncrypt") for policy in Policy]

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Bench:
    """A server that is closed to all but those whom it knows."""

    def __init__(self, folder: Path) -> None:
        self.parties = Parties.make(folder)
        self.second = Party.make(folder, "second", CLIENT_URI)
        self.stranger = Party.make(folder, "stranger", CLIENT_URI)
        self.former = Party.make(folder, "former", CLIENT_URI, time.time_ns() - 11 * YEAR_NS)
        self.plc = Emulator(TAGS, seed=2, boot=4)
        parties, access = self.parties, self.parties.access()
        known = TrustList.of(
            file.read_bytes() for file in (parties.client.certificate, self.second.certificate, self.former.certificate)
        )
        self.access = replace(access, clients=known)
        own = parties.server
        self.server = OpcUaServer(
            TAGS, self.plc.image, period=60.0, certificate=own.certificate, key=own.key, access=self.access,
            identity=Identity("Vendor", "Product", "4.5", ""), build="6",
        )  # fmt: skip

    def reader(self, security: Security, port: int = 0, timeout: float = 5.0) -> OpcUaReader:
        url = f"opc.tcp://127.0.0.1:{port or self.server.port}/attestbed"
        return OpcUaReader(TAGS, url, namespace="urn:attestbed:cell", security=security, timeout=timeout)

    @asynccontextmanager
    async def connected(self, security: Security, port: int = 0, patience: float = 5.0) -> AsyncIterator[OpcUaReader]:
        reader = self.reader(security, port, patience)
        await reader.connect()
        try:
            yield reader
        finally:
            await reader.close()

    async def works(self, reader: OpcUaReader) -> None:
        """It reads what there is and writes what it may."""
        assert (await reader.poll()).boot == 4
        await reader.write(SETPOINT, 1.25)
        assert self.plc.image.take_writes() == {SETPOINT.name: 1.25}

    async def outside(self, security: Security, words: str) -> None:
        """It does not come in, and whoever did before still does."""
        with pytest.raises(DeviceError, match=words):
            await self.reader(security).connect()
        async with self.connected(self.parties.security(OPERATOR)) as reader:
            await self.works(reader)

    async def client(self, own: Party, policy: Policy = Policy.BASIC256_SHA256) -> Client:
        """The library's, with a channel and no session."""
        client = Client(self.server.url, timeout=5)
        client.application_uri = CLIENT_URI
        await client.set_security(
            policy.suite, own.certificate, own.key, server_certificate=str(self.parties.server.certificate)
        )
        await client.connect_sessionless()
        return client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("access"))
    await bench.server.start()
    yield bench
    await bench.server.stop()


def users(bench: Bench) -> dict[str, tuple[Login | Credentials, Login | Credentials]]:
    """Somebody whom the server knows, and somebody who is almost the same."""
    person, stranger = bench.parties.person, bench.stranger
    return {
        "password": (OPERATOR, Login("operator", PASSWORD[:-1] + chr(ord(PASSWORD[-1]) ^ 1))),
        "name": (OPERATOR, Login("operato", PASSWORD)),
        "certificate": (person.credentials(person=True), stranger.credentials(person=True)),
        "another's password": (OPERATOR, Login("engineer", PASSWORD)),
    }


@pytest.mark.parametrize(
    ("mode", "policy", "user"),
    [
        # Each of them by one way, one of them by each.
        pytest.param(*way, user, marks=() if user == "password" or way == WAYS[-1] else pytest.mark.long)
        for way in WAYS
        for user in ("password", "name", "certificate", "another's password")
    ],
)
async def test_who_is_known_comes_in_by_every_policy_and_the_twin_does_not(
    bench: Bench, mode: str, policy: str, user: str
) -> None:
    known, twin = users(bench)[user]
    async with bench.connected(bench.parties.security(known, mode=mode, policy=policy)) as reader:
        await bench.works(reader)
    with pytest.raises(DeviceError, match="is not admitted") as raised:
        await bench.reader(bench.parties.security(twin, mode=mode, policy=policy)).connect()
    assert PASSWORD not in str(raised.value)


@pytest.mark.parametrize("sent", [True, False], ids=["request", "answer"])
@pytest.mark.parametrize(("mode", "policy"), WAYS)
async def test_one_changed_bit_of_a_message_ends_the_channel(bench: Bench, mode: str, policy: str, sent: bool) -> None:
    security = bench.parties.security(OPERATOR, mode=mode, policy=policy)

    def flip(data: bytes) -> bytes:
        return data[:-1] + bytes([data[-1] ^ 1])

    async with relayed(bench.server.port) as relay, bench.connected(security, relay.port, 2.0) as reader:
        await bench.works(reader)
        if sent:
            relay.sent = flip
        else:
            relay.change = flip
        with pytest.raises(DeviceError):
            await reader.write(SETPOINT, 1.5)
        relay.sent = relay.change = None
        # A write whose answer was changed has been obeyed: that is why it says that nobody knows.
        assert bench.plc.image.take_writes() == ({} if sent else {SETPOINT.name: 1.5})
        await reader.connect()
        await bench.works(reader)


@pytest.mark.parametrize(("mode", "policy"), WAYS)
async def test_one_changed_bit_while_a_channel_is_opened_opens_none(bench: Bench, mode: str, policy: str) -> None:
    """In what opens it, of both sides: certificates and signatures."""
    security = bench.parties.security(OPERATOR, mode=mode, policy=policy)

    def flip(at: int) -> "Flip":
        return Flip(at)

    for at in (200, 500, -1):
        for back in (False, True):
            async with relayed(bench.server.port) as relay:
                if back:
                    relay.change = flip(at)
                else:
                    relay.sent = flip(at)
                with pytest.raises(DeviceError):
                    await bench.reader(security, relay.port, 2.0).connect()


class Flip:
    """Changes one bit of each secured OPN."""

    def __init__(self, at: int) -> None:
        self._at = at

    def __call__(self, data: bytes) -> bytes:
        if data[:3] != b"OPN" or b"#None" in data[:120]:
            return data
        changed = bytearray(data)
        changed[self._at] ^= 1
        return bytes(changed)


async def test_applications_that_are_not_known_stay_outside(bench: Bench) -> None:
    parties = bench.parties
    await bench.outside(parties.security(OPERATOR, own=bench.stranger), "no connection")
    await bench.outside(parties.security(OPERATOR, own=bench.former), "no connection")
    flipped = bytearray(parties.client.certificate.read_bytes())
    flipped[-1] ^= 1
    own = parties.client.credentials()
    await bench.outside(
        replace(parties.security(OPERATOR), own=Application(bytes(flipped), own.key, own.uri)), "no conn"
    )
    # Its certificate is good, but for another application than it says.
    await bench.outside(
        replace(parties.security(OPERATOR), own=Application(own.certificate, own.key, "urn:other")), "no connection"
    )
    # And this one has found the certificate, but not the key.
    await bench.outside(
        replace(parties.security(OPERATOR), own=Application(own.certificate, bench.stranger.key.read_bytes(), own.uri)),
        "no connection",
    )


async def test_nobody_comes_in_anonymously(bench: Bench) -> None:
    await bench.outside(bench.parties.security(), "takes no anonymous client")


async def test_an_observer_reads_and_neither_writes_nor_calls(bench: Bench) -> None:
    async with bench.connected(bench.parties.security(OBSERVER)) as reader:
        assert (await reader.poll()).boot == 4
        with pytest.raises(DeviceRefused, match="BadUserAccessDenied"):
            await reader.write(SETPOINT, 1.25)
        assert (await reader.poll()).boot == 4
    for login, code in ((OBSERVER, StatusCodes.BadUserAccessDenied), (OPERATOR, StatusCodes.Good)):
        client = await bench.client(bench.parties.client)
        client.set_user(login.name)
        client.set_password(login.password)
        await client._create_and_activate_session()
        request = ua.CallMethodRequest()
        request.ObjectId, request.MethodId = (
            ua.NodeId(ua.String(f"{kind}:plc{name}"), ua.Int16(2))
            for kind, name in (("folder", ""), ("method", ".stop"))
        )
        (result,) = await client.uaclient.session.call([request])
        assert result.StatusCode.value == code
        await client.disconnect()
    assert bench.plc.image.take_writes() == {"control.mode": 0}


async def test_the_server_says_who_it_is(bench: Bench) -> None:
    async with bench.connected(bench.parties.security(OPERATOR)) as reader:
        assert await reader.identify() == Identity("Vendor", "Product", "4.5+6")


async def test_without_security_one_is_told_of_the_endpoints_and_of_nothing_else(bench: Bench) -> None:
    offered = await endpoints(bench.server.url, 5.0)
    assert [(one.mode, one.policy) for one in offered] == [
        (mode, policy.value) for policy in Policy for mode in ("SignAndEncrypt", "Sign")
    ]
    assert {one.users for one in offered} == {("Certificate", "UserName")}
    assert {one.application for one in offered} == {APPLICATION_URI}
    wire = await Wire.to(bench.server.port)
    await wire.open()
    create = ObjectIds.CreateSessionRequest_Encoding_DefaultBinary
    for kind, body in (
        (create, ua.CreateSessionParameters()),
        (ObjectIds.ActivateSessionRequest_Encoding_DefaultBinary, ua.ActivateSessionParameters()),
        (ObjectIds.ReadRequest_Encoding_DefaultBinary, ua.ReadParameters()),
    ):
        fault = struct_from_binary(ua.ServiceFault, Buffer((await wire.ask(kind, body))[24:]))
        assert fault.ResponseHeader.ServiceResult.value == StatusCodes.BadSecurityModeInsufficient
    wire.writer.close()
    await bench.outside(Security.none(), "BadSecurityModeInsufficient|no connection")


async def test_a_client_cannot_name_another_certificate_than_that_of_its_channel(bench: Bench) -> None:
    for shown in (None, bench.second.certificate.read_bytes()):
        client = await bench.client(bench.parties.client)
        asked = ua.CreateSessionParameters()
        asked.ClientCertificate = shown
        asked.ClientDescription.ApplicationUri = CLIENT_URI
        with pytest.raises(UaStatusCodeError, match="BadCertificateInvalid"):
            await client.uaclient.create_session(asked)
        client.disconnect_socket()


@pytest.mark.parametrize("thief", [False, True])
async def test_a_session_is_taken_up_by_the_application_that_created_it_and_by_no_other(
    bench: Bench, thief: bool
) -> None:
    first = await bench.client(bench.parties.client)
    first.set_user(OPERATOR.name)
    first.set_password(OPERATOR.password)
    await first._create_and_activate_session()
    other = await bench.client(bench.second if thief else bench.parties.client)
    other.set_user(OPERATOR.name)
    other.set_password(OPERATOR.password)
    other._server_nonce, other._policy_ids = first._server_nonce, first._policy_ids
    other.uaclient.session.restore_authentication_token(first.uaclient.session.authentication_token)
    if thief:
        with pytest.raises(UaStatusCodeError, match="BadSecurityChecksFailed"):
            await other._activate_with_credentials()
    else:
        await other._activate_with_credentials()
    first.disconnect_socket()
    other.disconnect_socket()


async def test_a_server_whose_certificate_is_out_of_date_or_for_another_application_is_not_trusted(
    bench: Bench, tmp_path: Path
) -> None:
    former = Party.make(tmp_path, "old", APPLICATION_URI, time.time_ns() - 11 * YEAR_NS)
    another = Party.make(tmp_path, "another", "urn:another")
    for own, words in ((former, "and not today"), (another, "its certificate is for urn:another")):
        server = OpcUaServer(TAGS[:2], bench.plc.image, period=None, certificate=own.certificate, key=own.key)
        await server.start()
        security = bench.parties.security(trust=own.trust)
        reader = OpcUaReader(TAGS[:2], server.url, None, None, namespace="urn:attestbed:cell", security=security)
        with pytest.raises(DeviceError, match=words) as raised:
            await reader.connect()
        assert thumbprint(own.certificate.read_bytes()) in str(raised.value)
        await server.stop()


async def test_a_channel_is_renewed_under_new_keys_and_the_old_ones_are_of_no_use(bench: Bench) -> None:
    reader = bench.reader(bench.parties.security(OPERATOR))
    reader._channel_s = 0.05
    await reader.connect()
    assert reader._channel is not None
    assert reader._channel._wire.socket is not None
    tokens: set[int] = set()
    while len(tokens) < 4:
        await bench.works(reader)
        tokens.add(reader._channel._wire.socket._connection.security_token.TokenId)
        await asyncio.sleep(0.002)
    await reader.close()


async def test_a_password_goes_to_no_server_that_wants_it_in_the_clear_or_by_an_old_algorithm(bench: Bench) -> None:
    assert bench.server._server is not None
    tokens = [
        token
        for endpoint in bench.server._server.iserver.endpoints
        if endpoint.SecurityMode == ua.MessageSecurityMode.Sign
        for token in endpoint.UserIdentityTokens
        if token.TokenType == ua.UserTokenType.UserName
    ]
    before = [token.SecurityPolicyUri for token in tokens]
    heard = bytearray()
    try:
        for policy in ("None", "Basic128Rsa15", "Basic256"):
            for token in tokens:
                token.SecurityPolicyUri = f"http://opcfoundation.org/UA/SecurityPolicy#{policy}"
            async with relayed(bench.server.port) as relay:
                security = bench.parties.security(OPERATOR, mode="Sign")
                with pytest.raises(DeviceError, match="without encryption, or by an algorithm that is broken"):
                    await bench.reader(security, relay.port).connect()
                heard += relay.heard
    finally:
        for token, uri in zip(tokens, before, strict=True):
            token.SecurityPolicyUri = uri
    assert heard
    assert PASSWORD.encode() not in heard


async def test_on_an_endpoint_without_security_nobody_has_a_name(bench: Bench) -> None:
    own, access = bench.parties.server, bench.parties.access(plain=True, anonymous=Role.OBSERVER)
    server = OpcUaServer(TAGS, bench.plc.image, period=None, certificate=own.certificate, key=own.key, access=access)
    await server.start()
    plain = (await endpoints(server.url, 5.0))[0]
    assert (plain.mode, plain.users) == ("None", ("Anonymous",))
    reader = OpcUaReader(TAGS, server.url, namespace="urn:attestbed:cell", security=Security.none(), timeout=5.0)
    await reader.connect()
    assert (await reader.poll()).boot == 4
    with pytest.raises(DeviceRefused, match="BadUserAccessDenied"):
        await reader.write(SETPOINT, 1.25)
    await reader.close()
    client = Client(server.url, timeout=5)
    client.set_user(OPERATOR.name)
    client.set_password(OPERATOR.password)
    with pytest.raises(UaStatusCodeError, match="BadIdentityTokenRejected"):
        await client.connect()
    client.disconnect_socket()
    await server.stop()


async def test_access_that_makes_no_sense_is_wrong_usage(bench: Bench) -> None:
    kept = hash_password(PASSWORD)
    one = Account("one", Role.OPERATOR, kept)
    trust = bench.parties.client.trust
    for words, make in (
        ("lets nobody in", lambda: Access.closed(trust)),
        ("nobody to check", lambda: Access.closed(trust, [one])),
        ("one name", lambda: Access.closed(trust, [one, one], check_password)),
        ("neither password nor", lambda: Access.closed(trust, [Account("one", Role.OPERATOR)])),
        ("nobody can show", lambda: Access(accounts=(one,), check=check_password, anonymous=None)),
        ("without an endpoint", lambda: Access(plain=False, modes=())),
        ("without an endpoint", lambda: Access(modes=(Mode.NONE,))),
        ("without a certificate", lambda: OpcUaServer(TAGS, bench.plc.image, access=bench.access)),
        ("None with a certificate", lambda: bench.parties.security(mode="None")),
        ("by 'Basic128Rsa15'", lambda: bench.parties.security(policy="Basic128Rsa15")),
        ("empty or too long", lambda: Login("one", "")),
        ("empty or too long", lambda: Login("one", "x" * 129)),
        ("no user name", lambda: Login("", "x")),
    ):
        with pytest.raises(UsageError, match=words):
            make()


async def test_secrets_are_not_shown_by_accident(bench: Bench) -> None:
    shown = f"{OPERATOR!r} {bench.access!r} {bench.parties.security(OPERATOR)!r}"
    assert PASSWORD not in shown
    assert "scrypt" not in shown
    assert "PRIVATE" not in shown
