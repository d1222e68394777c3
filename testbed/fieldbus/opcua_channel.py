"""A secure channel with a session on it, as a client has them, over which requests go as bytes.

asyncua 2.1.0 does the handshakes. Its own `Client.connect` also starts tasks that renew, watch and reconnect; here is
no task at all. What a server may send is bounded, which the library leaves to the server.
"""

import asyncio
import struct
from contextlib import suppress

from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClient, UASocketProtocol
from asyncua.common.utils import Buffer
from asyncua.crypto.security_policies import SecurityPolicy
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.ua_binary import nodeid_to_binary

from testbed.core.clock import SystemClock

MOST_ANSWER = 1024 * 1024
"""Bytes that are taken of a server between two requests."""

_SESSION_MS = 60_000
"""Silence after which the server may forget a session that could not be closed."""
_RENEW_AT = 0.75
"""Share of a channel's lifetime after which it is renewed (OPC 10000-4, section 5.5.2.1)."""
_UNIX_EPOCH = 116_444_736_000_000_000
"""1970 in the 100 ns since 1601 of a DateTime (OPC 10000-6, section 5.2.2.5)."""
_HEADER = struct.Struct("<qIIiI3x")
"""Of a request, behind its token: time, handle, no diagnostics, no audit entry, time-out in ms, nothing more."""


class Channel:
    """Not signed and not encrypted. timeout: s for each answer; lifetime: s to ask for, renewed within `ask`."""

    def __init__(self, url: str, timeout: float, lifetime: float) -> None:
        self._client = Client(url, timeout)
        self._wire = _Wire(timeout)
        self._client.uaclient = self._wire
        self._client.application_uri = "urn:attestbed:reader"
        self._client.product_uri = "urn:attestbed"
        self._client.name = self._client.description = "Attestbed reader"
        self._client.session_timeout = _SESSION_MS
        self._client.secure_channel_timeout = int(lifetime * 1000)
        self._timeout = timeout
        self._renew_at = 0.0

    async def open(self) -> None:
        """Connect, open the channel, and activate a session. Raises what the library raises: anything."""
        client = self._client
        await client.connect_socket()
        await client.send_hello()
        await client.open_secure_channel()
        self._note_renewal()
        await client.create_session()
        await client.activate_session()

    async def namespace(self, uri: str) -> int | None:
        """Index of the namespace `uri` on this server, None where it has none."""
        parameters = ua.ReadParameters()
        parameters.NodesToRead = [
            ua.ReadValueId(ua.NodeId(ua.Int32(ObjectIds.Server_NamespaceArray)), AttributeIds.Value)
        ]
        (value,) = await self._wire.read(parameters)
        names = value.Value.Value if value.Value is not None else None
        return names.index(uri) if isinstance(names, list) and uri in names else None

    async def ask(self, kind: bytes, parameters: bytes) -> bytes:
        """The answer to a request of the type `kind`, both without the channel's wrapping.

        Raises TimeoutError, ConnectionError, or what the library raises.
        """
        if asyncio.get_running_loop().time() >= self._renew_at:
            await self._client.open_secure_channel(renew=True)
            self._wire.revolve_security_token()
            self._note_renewal()
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

    def _note_renewal(self) -> None:
        # The server says how long the channel lives, which may be less than what was asked for.
        lifetime = self._client.secure_channel_timeout / 1000
        self._renew_at = asyncio.get_running_loop().time() + _RENEW_AT * lifetime


class _Wire(UaClient):
    """As the library's, with a socket of ours."""

    def __init__(self, timeout: float) -> None:
        super().__init__(timeout)
        self.socket: _Socket | None = None

    def _make_protocol(self) -> UASocketProtocol:
        self.protocol = self.socket = _Socket(self._timeout, self.security_policy)
        return self.protocol


class _Socket(UASocketProtocol):
    """The library's, that sends a request of bytes and takes no more than it has asked for."""

    def __init__(self, timeout: float, policy: SecurityPolicy) -> None:
        super().__init__(timeout, policy)
        self._left = MOST_ANSWER
        self._token = b""

    async def ask(self, kind: bytes, parameters: bytes) -> bytes:
        """Raises ConnectionError where the connection is closed, TimeoutError where no answer comes in time."""
        if self.transport is None:
            raise ConnectionError("the connection is closed")
        self._left = MOST_ANSWER
        self._request_handle += 1
        self._request_id += 1
        if not self._token:
            self._token = nodeid_to_binary(self.authentication_token)
        ticks = SystemClock().now_ns() // 100 + _UNIX_EPOCH
        header = _HEADER.pack(ticks, self._request_handle, 0, -1, int(self.timeout * 1000))
        self.revolve_security_token()
        message = self._connection.message_to_binary(
            kind + self._token + header + parameters, request_id=self._request_id
        )
        answer: asyncio.Future[Buffer] = asyncio.get_running_loop().create_future()
        self._callbackmap[self._request_id] = answer
        self.transport.write(message)
        async with asyncio.timeout(self.timeout):
            return bytes(await answer)

    def drop(self) -> None:
        """Cut the connection: what is left to send is lost."""
        if self.transport is not None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self.drop()
            return
        super().data_received(data)
