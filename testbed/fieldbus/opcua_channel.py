"""A secure channel with a session on it, as a client has them, over which requests go as bytes.

asyncua 2.1.0 does the handshakes. Its own `Client.connect` also starts tasks that renew, watch and reconnect; here is
no task at all. What a server may send is bounded, which the library leaves to the server. A secured channel is opened
to a server whose certificate is trusted and to nobody else, and a password goes nowhere in the clear, of which the
library only warns.
"""

import asyncio
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto.security_policies import SecurityPolicyNone
from asyncua.crypto.uacrypto import load_certificate, load_private_key
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaStatusCodeError

from testbed.core.clock import SystemClock
from testbed.core.errors import DeviceError, InvalidData, UsageError
from testbed.fieldbus.opcua_discovery import endpoints
from testbed.fieldbus.opcua_security import Credentials, Login, Mode, Policy, Security, Trust
from testbed.fieldbus.opcua_socket import Wire

_SESSION_MS = 60_000
"""Silence after which the server may forget a session that could not be closed."""
_RENEW_AT = 0.75
"""Share of a channel's lifetime after which it is renewed (OPC 10000-4, section 5.5.2.1)."""
_MOST_PARTS = 100
"""Parts in which the references of a node may come: a server that never ends is left."""
_URI = "urn:attestbed:reader"
"""What a client without a certificate calls itself."""
_SOUND = frozenset(policy.uri for policy in Policy)
_KINDS: dict[type | None, ua.UserTokenType] = {
    None: ua.UserTokenType.Anonymous,
    Login: ua.UserTokenType.UserName,
    Credentials: ua.UserTokenType.Certificate,
}
_WORDS = {
    ua.UserTokenType.Anonymous: "anonymous client",
    ua.UserTokenType.UserName: "user name",
    ua.UserTokenType.Certificate: "certificate of a user",
}
_NOT_ADMITTED = (
    StatusCodes.BadUserAccessDenied,
    StatusCodes.BadIdentityTokenInvalid,
    StatusCodes.BadIdentityTokenRejected,
    StatusCodes.BadUserSignatureInvalid,
)


@dataclass(frozen=True, slots=True)
class Remains:
    """What a client knows of a session whose connection is gone."""

    token: ua.NodeId
    nonce: bytes | None
    policies: list[ua.UserTokenPolicy]


class Channel:
    """timeout: s for each answer; lifetime: s to ask for, renewed within `ask`."""

    def __init__(self, url: str, timeout: float, lifetime: float, security: Security) -> None:
        self._client = Client(url, timeout)
        self._wire = Wire(timeout)
        self._client.uaclient = self._wire
        self._client.application_uri = _URI
        self._client.product_uri = "urn:attestbed"
        self._client.name = self._client.description = "Attestbed reader"
        self._client.session_timeout = _SESSION_MS
        self._client.secure_channel_timeout = int(lifetime * 1000)
        self._url = url
        self._security = security
        self._timeout = timeout
        self._renew_at = 0.0

    async def open(self, remains: Remains | None = None) -> None:
        """Connect, open the channel, and activate a session: the one that remains of a connection before, if it can be
        had, since small devices have few and keep each for a minute; else a new one.

        Raises DeviceError where the server is not trusted, or does not speak as is asked for; and what the library
        raises: anything.
        """
        client = self._client
        if self._security.mode is not Mode.NONE:
            await self._secure()
        await client.connect_socket()
        await client.send_hello()
        await client.open_secure_channel()
        self._note_renewal()
        if remains is not None and await self._taken_up(remains):
            return
        await client.create_session()
        self._identify()
        try:
            await self._activate()
        except UaStatusCodeError as error:
            if error.code in _NOT_ADMITTED:
                raise self._not_admitted(error) from error
            raise

    def remains(self) -> Remains | None:
        """What can be given to the next `open` where this connection is cut; None where there is no session."""
        token, client = self._wire.session.authentication_token, self._client
        if token.is_null():
            return None
        return Remains(token, client._server_nonce, client._policy_ids)  # noqa: SLF001  # of the library, without getters

    async def _taken_up(self, remains: Remains) -> bool:
        """Whether the session could be activated on this channel (OPC 10000-4, section 6.7)."""
        session = self._wire.session
        session.restore_authentication_token(remains.token)
        self._client._server_nonce = remains.nonce  # type: ignore[assignment]  # noqa: SLF001  # of the library, without a setter
        self._client._policy_ids = remains.policies  # noqa: SLF001  # likewise
        try:
            await self._activate()
        except UaStatusCodeError:
            session.reset_authentication_token()
            return False
        return True

    async def _activate(self) -> None:
        client = self._client
        await client.activate_session(client._username, client._password, client.user_certificate)  # noqa: SLF001  # of the library, without getters

    async def values(self, nodes: Sequence[ua.NodeId]) -> list[ua.DataValue]:
        """The values of a few nodes, decoded by the library. Raises what it raises, and InvalidData."""
        await self._renew()
        parameters = ua.ReadParameters()
        parameters.NodesToRead = [ua.ReadValueId(node, AttributeIds.Value) for node in nodes]
        values = await self._wire.read(parameters)
        if len(values) != len(nodes):
            raise InvalidData(f"{len(values)} values came for {len(nodes)} nodes")
        return values

    async def browse(self, nodes: Sequence[ua.NodeId]) -> list[list[ua.ReferenceDescription]]:
        """What each node has below it, objects and variables. Raises what the library raises, and InvalidData."""
        found: list[list[ua.ReferenceDescription]] = [[] for _ in nodes]
        parameters = ua.BrowseParameters()
        parameters.NodesToBrowse = [_below(node) for node in nodes]
        await self._renew()
        results = await self._wire.browse(parameters)
        places = list(range(len(nodes)))
        for _ in range(_MOST_PARTS):
            if len(results) != len(places):
                raise InvalidData(f"{len(results)} results came for {len(places)} nodes")
            for place, one in zip(places, results, strict=True):
                found[place] += one.References or []
            left = [(place, one.ContinuationPoint) for place, one in zip(places, results, strict=True)]
            places = [place for place, point in left if point]
            if not places:
                break
            following = ua.BrowseNextParameters()
            following.ContinuationPoints = [point for _, point in left if point]
            results = await self._wire.browse_next(following)
        return found

    async def write(self, node: ua.NodeId, value: ua.Variant) -> int:
        """Write the value of one node; the StatusCode. Raises what the library raises, and InvalidData."""
        await self._renew()
        parameters = ua.WriteParameters()
        # A value alone: many servers refuse to be told a status or a time.
        data = ua.DataValue(value, StatusCode=None)
        parameters.NodesToWrite = [ua.WriteValue(node, ua.IntegerId(AttributeIds.Value), Value=data)]
        codes = await self._wire.write(parameters)
        if len(codes) != 1:
            raise InvalidData(f"{len(codes)} results came for one write")
        return codes[0].value

    async def _secure(self) -> None:
        """Find the endpoint, judge who is there, and encrypt for them alone."""
        own, trust, policy = self._parts()
        offered = await endpoints(self._url, self._timeout)
        mode = self._security.mode
        endpoint = next((one for one in offered if (one.mode, one.policy) == (mode.value, policy.value)), None)
        if endpoint is None:
            raise DeviceError(
                f"{self._url}: no endpoint with {mode.value} by {policy.value}",
                f"ask for what it offers: {', '.join(sorted({f'{one.mode} by {one.policy}' for one in offered}))}",
            )
        self._check(trust, endpoint.certificate, endpoint.application)
        certificate = await load_certificate(own.certificate, "der")
        key = await load_private_key(own.key, None, "pem")
        suite = policy.suite(await load_certificate(endpoint.certificate, "der"), certificate, key, mode.wire)
        self._client.application_uri = own.uri
        self._client.security_policy = suite  # type: ignore[assignment]  # the library says None's, of its default
        self._wire.set_security(suite)
        user = self._security.user
        if isinstance(user, Login):
            self._client.set_user(user.name)
            self._client.set_password(user.password)
        elif user is not None:
            self._client.user_certificate = await load_certificate(user.certificate, "der")
            self._client.user_private_key = await load_private_key(user.key, None, "pem")

        async def same(_certificate: object, server: ua.ApplicationDescription) -> None:
            """Once the channel is signed, the server says again who it is."""
            self._check(trust, endpoint.certificate, server.ApplicationUri or "")

        self._client.certificate_validator = same

    def _identify(self) -> None:
        """Keep, of what the server takes to know people by, what may go over this channel.

        What it said before the channel was signed is not believed: anybody could have said it. Raises DeviceError.
        """
        client, user = self._client, self._security.user
        kind = _KINDS[type(user) if isinstance(user, Login) else None if user is None else Credentials]
        taken = [token for token in client._policy_ids if token.TokenType == kind]  # noqa: SLF001  # of the library, without a getter
        if not taken:
            raise DeviceError(
                f"{self._url}: the server takes no {_WORDS[kind]}", "give another user, or ask whoever runs the server"
            )
        own = client.security_policy.URI
        sound = [token for token in taken if self._is_sound(kind, token.SecurityPolicyUri or own)]
        if not sound:
            raise DeviceError(
                f"{self._url}: the server wants a {_WORDS[kind]} without encryption, or by an algorithm that is broken",
                "ask for SignAndEncrypt",
            )
        client._policy_ids = sound  # noqa: SLF001  # of the library, without a setter

    def _is_sound(self, kind: ua.UserTokenType, policy: str) -> bool:
        if kind is ua.UserTokenType.Anonymous:
            return True
        if policy in _SOUND:
            return True
        return (
            kind is ua.UserTokenType.UserName
            and policy == SecurityPolicyNone.URI
            and self._security.mode is Mode.SIGN_AND_ENCRYPT
        )

    def _check(self, trust: Trust, certificate: bytes, application: str) -> None:
        try:
            trust.check(certificate, application, SystemClock().now_ns())
        except InvalidData as error:
            raise DeviceError(
                f"{self._url}: the server is not trusted: {error}",
                "compare the thumbprint with the one that the device shows; if it is the same, put its certificate "
                f"into {trust.place}",
            ) from error

    def _parts(self) -> tuple[Credentials, Trust, Policy]:
        security = self._security
        if security.own is None or security.trust is None or security.policy is None:
            raise UsageError("OPC UA security without certificate, trust list or policy", "use Security.secured")
        return security.own, security.trust, security.policy

    def _not_admitted(self, error: UaStatusCodeError) -> DeviceError:
        user = self._security.user
        who = f"user {user.name}" if isinstance(user, Login) else "the user's certificate" if user else "anonymous"
        return DeviceError(
            f"{self._url}: {who} is not admitted: {ua.StatusCode(ua.UInt32(error.code)).name}",
            "correct name and password, or ask whoever runs the server for an account",
        )

    async def ask(self, kind: bytes, parameters: bytes) -> bytes:
        """The answer to a request of the type `kind`, both without the channel's wrapping.

        Raises TimeoutError, ConnectionError, or what the library raises.
        """
        await self._renew()
        socket = self._wire.socket
        if socket is None:
            raise ConnectionError("the connection is closed")
        return await socket.ask(kind, parameters)

    async def leave(self) -> None:
        """Close session, channel and connection. Never raises, and takes no longer than the timeout."""
        try:
            with suppress(Exception):
                async with asyncio.timeout(self._timeout):
                    await self._wire.close_session(delete_subscriptions=True)
                    await self._wire.close_secure_channel()
        finally:
            self.drop()
        # The transport is gone one turn of the loop after it was told to go.
        await asyncio.sleep(0)

    def drop(self) -> None:
        """Cut the connection."""
        if self._wire.socket is not None:
            self._wire.socket.drop()

    async def _renew(self) -> None:
        if asyncio.get_running_loop().time() < self._renew_at:
            return
        self._renew_at = math.inf  # a second request that comes meanwhile still goes under the old keys
        await self._client.open_secure_channel(renew=True)
        self._wire.revolve_security_token()
        self._note_renewal()

    def _note_renewal(self) -> None:
        # The server says how long the channel lives, which may be less than what was asked for.
        lifetime = self._client.secure_channel_timeout / 1000
        self._renew_at = asyncio.get_running_loop().time() + _RENEW_AT * lifetime


def _below(node: ua.NodeId) -> ua.BrowseDescription:
    """Forward, by every kind of reference that leads down, to objects and variables; their names and kinds."""
    description = ua.BrowseDescription()
    description.NodeId = node
    description.BrowseDirection = ua.BrowseDirection.Forward
    description.ReferenceTypeId = ua.NodeId(ua.Int32(ObjectIds.HierarchicalReferences))
    description.IncludeSubtypes = True
    description.NodeClassMask = ua.UInt32(ua.NodeClass.Object | ua.NodeClass.Variable)
    description.ResultMask = ua.UInt32(ua.BrowseResultMask.All)
    return description
