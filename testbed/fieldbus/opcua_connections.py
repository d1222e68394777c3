"""The listening socket of the OPC UA server, and how many connections, strangers and sessions it bears.

A connection is a stranger until a session is activated on it. Strangers are few, may send 64 KiB in all and have a few
seconds; where one too many comes, the least advanced and oldest goes. So the memory that strangers can hold is
known, and idle sockets lock nobody out.

asyncua 2.1.0 has no place to hand in a protocol class: `BoundedServer.start` repeats the few lines of its `start`, and
the overrides stand on methods whose text a test compares. It would bear 1,000 connections, each idle one for 30 s.
"""

import asyncio
import logging
from contextlib import suppress

from asyncua import ua
from asyncua.common.connection import TransportLimits
from asyncua.crypto.security_policies import SecurityPolicy
from asyncua.server.binary_server_asyncio import BinaryServer
from asyncua.server.server import Server

from testbed.fieldbus.opcua_doorkeeper import Doorkeeper
from testbed.fieldbus.opcua_protocol import LEAST_BUFFER, MOST_CHUNK, BoundedProtocol, ConnectionBounds
from testbed.fieldbus.opcua_sessions import BoundedInternalServer

_log = logging.getLogger(__name__)

_SWEEP_S = 0.25
_BURST_S = 0.02
_LITTLE = 4096
"""Bytes that every stranger may have wait; a HEL, an OPN or a CreateSession is taken as soon as it is here."""
_FRESH_S = 1.0
_MOST_FRESH = 512
"""Newcomers, for how long and how many, beside the other strangers: in a burst nobody can be judged at once. One that
has opened a channel holds 15 kB.
"""
_BACKLOG = 256
"""Connections that wait to be accepted; all together stay below the 1,024 open files that a process usually has."""


class BoundedBinaryServer(BinaryServer):
    """The listening socket and its connections."""

    def __init__(self, server: Server, bounds: ConnectionBounds, host: str | None, port: int | None) -> None:
        # The library's own types are narrower than what it passes itself.
        super().__init__(server.iserver, host or "", port or 0, server.limits)
        self.bounds = bounds
        self._sweeper: asyncio.Task[None] | None = None
        self._thinning: asyncio.TimerHandle | None = None

    def now(self) -> float:
        """Seconds of the event loop's clock."""
        return asyncio.get_running_loop().time()

    def make_room(self) -> None:
        """Thin strangers out where there are too many: soon, so that of a burst those who get on are known."""
        if len(self.clients) > self.bounds.strangers and self._thinning is None:
            self._thinning = asyncio.get_running_loop().call_later(_BURST_S, self._thin_out)

    def _thin_out(self) -> None:
        """Drop strangers above the number, and newcomers above theirs: the least advanced and oldest first."""
        self._thinning = None
        since = self.now() - _FRESH_S
        strangers = sorted(self._strangers(), key=lambda client: (client.progress, client.connected))
        fresh = [client for client in strangers if client.connected > since]
        others = [client for client in strangers if client.connected <= since]
        for group, most in ((fresh, _MOST_FRESH), (others, self.bounds.strangers)):
            for client in group[: max(0, len(group) - most)]:
                client.drop()

    def bears(self, waiting: int) -> bool:
        """Each stranger may have a little wait, and all together a sixteenth of what they may send."""
        if waiting <= _LITTLE:
            return True
        most = self.bounds.strangers * self.bounds.stranger_bytes // 16
        return sum(client.waiting for client in self._strangers()) <= most

    def _strangers(self) -> list[BoundedProtocol]:
        return [client for client in self._connections() if not client.leaving and client.is_stranger]

    def _connections(self) -> list[BoundedProtocol]:
        return [client for client in self.clients if isinstance(client, BoundedProtocol)]

    def forget_when_done(self, task: asyncio.Task[object]) -> None:
        """The library keeps the closing tasks for ten seconds, which a flood of connections would fill."""

        def forget(done: asyncio.Task[object]) -> None:
            if done in self.closing_tasks:
                self.closing_tasks.remove(done)
            if not done.cancelled() and (error := done.exception()) is not None:
                _log.error("a connection was not closed in order", exc_info=error)

        task.add_done_callback(forget)

    async def start(self) -> None:
        """As the library's, with a longer queue before `accept`: where it is full, a client waits for seconds."""
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(self._make_protocol, self.hostname, self.port, backlog=_BACKLOG)
        self._server = listening
        if self.port == 0:
            self.hostname, self.port = listening.sockets[0].getsockname()[:2]
        self.cleanup_task = asyncio.create_task(self._close_task_loop())
        self._sweeper = asyncio.create_task(self._sweep_on())

    async def stop(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._sweeper
        if self._thinning is not None:
            self._thinning.cancel()
        for client in self._connections():
            if client.stalled_since is not None:
                client.drop()
        await super().stop()

    def _make_protocol(self) -> BoundedProtocol:
        return BoundedProtocol(self, self.iserver, self._policies, self.clients, self.closing_tasks, self.limits)

    async def _sweep_on(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            now = self.now()
            for client in self._connections():
                self._judge(client, now)

    def _judge(self, client: BoundedProtocol, now: float) -> None:
        if not client.is_stranger:
            client.stranger_since = None
        elif client.stranger_since is None:
            client.stranger_since = now  # its session was closed or has timed out
        elif now - client.stranger_since > self.bounds.patience:
            client.drop()
        if client.stalled_since is not None and now - client.stalled_since > self.bounds.stall:
            client.drop()


class BoundedServer(Server):
    """asyncua's server within bounds, for whom the doorkeeper lets in."""

    def __init__(self, bounds: ConnectionBounds, doorkeeper: Doorkeeper) -> None:
        internal = BoundedInternalServer(bounds.sessions, doorkeeper)
        internal.max_session_timeout_ms = bounds.session_s * 1000
        internal.max_connections = 2**31  # we bound them ourselves
        internal.max_pending_activation_seconds = 0
        internal.max_subscriptions = 4 * bounds.sessions
        internal.max_unacked_messages_per_subscription = 100
        internal.max_monitored_item_queue_size = 1000
        super().__init__(iserver=internal)
        self._bounds = bounds
        self.limits = TransportLimits(
            max_recv_buffer=MOST_CHUNK,
            max_send_buffer=MOST_CHUNK,
            max_chunk_count=bounds.message_bytes // LEAST_BUFFER,
            max_message_size=bounds.message_bytes,
        )

    def _set_endpoints(self, policy: type[SecurityPolicy], mode: ua.MessageSecurityMode, level: int) -> None:
        """As the library's; without security a name proves nothing, and a password would be anybody's."""
        super()._set_endpoints(policy, mode, level)
        if mode == ua.MessageSecurityMode.None_:
            endpoint = self.iserver.endpoints[-1]
            endpoint.UserIdentityTokens = [
                token for token in endpoint.UserIdentityTokens if token.TokenType == ua.UserTokenType.Anonymous
            ]

    async def start(self) -> None:
        """As the library's, with our connections. Raises OSError where nobody can listen."""
        await self._setup_server_nodes()
        await self.iserver.start()
        host, port = self._get_bind_socket_info()
        self.bserver = BoundedBinaryServer(self, self._bounds, host, port)
        self.bserver.set_policies(self._policies)
        try:
            await self.bserver.start()
        except OSError:
            await self.iserver.stop()
            raise
