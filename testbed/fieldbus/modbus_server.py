"""A Modbus/TCP server in front of a process image (Messaging on TCP/IP Implementation Guide V1.0b).

Each request is answered from one snapshot, so registers of one answer never mix two scans. A write must cover whole
tags; it takes effect in the PLC's next scan, and reads show it from then on, also for the client that wrote. The two
functions that read and write in one request keep to this. Function 22 changes bits of what was last written to the
register, by either protocol, or else of what it shows. Function 23 answers with the snapshot, and in it what this very
request wrote: the write comes before the read.

The requests of one connection are answered in order, each once. A frame of another protocol is passed over; a length
that no frame has ends the connection. The device answers as its own unit, as 0 and as 255, which address a device that
is reached directly; for any other unit it says 0B. Nothing is a broadcast on TCP.

With `access` it is a Modbus/TCP Security server: the same frames over TLS, and a write needs a role. With `rtu` the
frames are those of a serial line, as a serial device server passes them on: then unit 0 is a broadcast, and for another
unit nobody answers.

No client shuts out another: see ConnectionLimits.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from testbed.core.errors import InvalidData, UsageError
from testbed.core.tags import Tag
from testbed.fieldbus.modbus_access import Access
from testbed.fieldbus.modbus_identity import DeviceIdentity
from testbed.fieldbus.modbus_memory import Memory
from testbed.fieldbus.modbus_requests import Requests
from testbed.fieldbus.modbus_station import RtuStation, Station, TcpStation
from testbed.fieldbus.signed_frames import FrameSource
from testbed.fieldbus.source import ImageSource

_log = logging.getLogger(__name__)

_BURST_S = 0.02
_FRESH_S = 1.0
_MOST_FRESH = 256
"""Newcomers that have not asked yet: for how long and how many there may be of them beside the other connections. In a
burst nobody can be judged at once, and one of them is a client whose first request is on its way.
"""
_BACKLOG = 256
"""Connections that wait to be accepted: where there is no place for a client, it tries again after a second."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What all clients together and each of them may hold.

    connections: open for longer than a moment. One more closes another: one that never asked anything, or else the one
    that has been idle for longest (section 4.2 leaves the choice to the device). idle_s: seconds without a whole
    request, after which a connection is closed. unsent: bytes of answers that may wait for a client before no more of
    its requests are read; after stalled_s seconds of that the connection is closed.
    """

    connections: int = 32
    idle_s: float = 120.0
    stalled_s: float = 10.0
    unsent: int = 16384

    def __post_init__(self) -> None:
        if self.connections < 1 or self.idle_s <= 0 or self.stalled_s <= 0 or self.unsent < 0:
            raise UsageError(f"Modbus connections: {self}", "give one connection or more, and times above 0")


class ModbusServer:
    """Serves `tags` of `source` as unit `unit` (1..255). Port 0 lets the system choose; `port` says which.

    frames: the signed ones of a PLC that signs.
    Raises UsageError where tags do not fit the tables, and on `start` where nobody can listen there.
    """

    def __init__(
        self,
        tags: Sequence[Tag],
        source: ImageSource,
        host: str = "127.0.0.1",
        port: int = 0,
        unit: int = 1,
        *,
        identity: DeviceIdentity | None = None,
        limits: ConnectionLimits | None = None,
        access: Access | None = None,
        rtu: bool = False,
        frames: FrameSource | None = None,
    ) -> None:
        if not 1 <= unit <= 255:
            raise UsageError(f"Modbus unit {unit}", "give a unit from 1 to 255")
        requests = Requests(Memory(tags, source, frames), identity or DeviceIdentity())
        self._host = host
        self._port = port
        self._access = access
        self.station: Station = RtuStation(requests, unit) if rtu else TcpStation(requests, unit)
        self._limits = limits or ConnectionLimits()
        self._server: asyncio.Server | None = None
        self._open = False
        self._connections: set[_Connection] = set()
        self._thinning: asyncio.TimerHandle | None = None

    @property
    def port(self) -> int:
        """The TCP port; once started, the real one."""
        return self._port

    @property
    def connections(self) -> int:
        """Clients that are connected now."""
        return len(self._connections)

    async def start(self) -> None:
        """Listen, and return."""
        loop = asyncio.get_running_loop()
        context = None if self._access is None else self._access.context()
        self._open = True
        try:
            server = await loop.create_server(
                lambda: _Connection(self, loop),
                self._host,
                self._port,
                backlog=_BACKLOG,
                ssl=context,
                ssl_handshake_timeout=None if context is None else self._limits.stalled_s,
            )
        except OSError as error:
            raise UsageError(
                f"cannot listen on {self._host}:{self._port}", "choose a free port, or end what holds this one"
            ) from error
        self._server = server
        self._port = server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and close all connections; stopping twice is fine."""
        self._open = False
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        if self._thinning is not None:
            self._thinning.cancel()
            self._thinning = None
        closing = [connection.close() for connection in list(self._connections)]
        if closing:
            await asyncio.wait(closing)
        await server.wait_closed()

    def may_write(self, transport: asyncio.BaseTransport) -> bool:
        """Whether who is at the other end of a connection may write."""
        if self._access is None:
            return True
        secured: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        return self._access.may_write(None if secured is None else secured.getpeercert(binary_form=True))

    @property
    def limits(self) -> ConnectionLimits:
        return self._limits

    def opened(self, connection: "_Connection") -> None:
        """Take in a connection; where there are too many, the least used go soon."""
        if not self._open:  # accepted in the moment in which the server stopped
            connection.close()
            return
        self._connections.add(connection)
        self._thin_out_in(_BURST_S)

    def _thin_out_in(self, delay_s: float) -> None:
        if len(self._connections) > self._limits.connections and self._thinning is None:
            self._thinning = asyncio.get_running_loop().call_later(delay_s, self._thin_out)

    def _thin_out(self) -> None:
        """Close what is too much: who never asked anything first, then who has been idle for longest."""
        self._thinning = None
        since = asyncio.get_running_loop().time() - _FRESH_S
        ranked = sorted(self._connections, key=lambda connection: (connection.asked, connection.active))
        fresh = [connection for connection in ranked if not connection.asked and connection.active > since]
        others = [connection for connection in ranked if connection.asked or connection.active <= since]
        for group, most in ((fresh, _MOST_FRESH), (others, self._limits.connections)):
            for connection in group[: max(0, len(group) - most)]:
                _log.debug("modbus: connection closed in favour of a new one")
                self.closed(connection)
                connection.close()
        # Those that are still fresh are judged again when they are not.
        self._thin_out_in(_FRESH_S / 4)

    def closed(self, connection: "_Connection") -> None:
        """Forget a connection."""
        self._connections.discard(connection)


class _Connection(asyncio.BufferedProtocol):
    """One client. asked: it sent a whole request; active: loop time of its last one, or of its coming."""

    def __init__(self, server: ModbusServer, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self._limits = server.limits
        self._station = server.station
        self._frames = self._station.frames()
        self._may_write = False
        self._transport: asyncio.Transport
        self._idle: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._silent: asyncio.TimerHandle | None = None
        self._gone: asyncio.Future[None] = loop.create_future()
        self.asked = False
        self.active = loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._limits.unsent)
        _keep_alive(self._transport.get_extra_info("socket"))
        self._may_write = self._server.may_write(transport)
        self._idle = self._loop.call_later(self._limits.idle_s, self._check_idle)
        self._server.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # how a client went makes no difference
        for timer in (self._idle, self._stalled, self._silent):
            if timer is not None:
                timer.cancel()
        self._server.closed(self)
        if not self._gone.done():
            self._gone.set_result(None)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # the room is what it is
        return self._frames.room()

    def buffer_updated(self, nbytes: int) -> None:
        self._frames.add(nbytes)
        answers: list[bytes] = []
        whole, asked = True, False
        try:
            while (frame := self._frames.take()) is not None:
                answer = self._station.answer(frame, self._may_write)
                asked = asked or answer is not None
                if answer:
                    answers.append(answer)
        except InvalidData as error:
            _log.debug("modbus: connection closed: %s", error)
            whole = False
        if asked:
            self.asked = True
            self.active = self._loop.time()
        if answers:
            self._transport.write(b"".join(answers))
        if not whole:
            self._transport.close()
        elif self._station.silence:
            self._wait_for_silence()

    def _wait_for_silence(self) -> None:
        if self._silent is not None:
            self._silent.cancel()
        self._silent = self._loop.call_later(self._station.silence, self._fell_silent) if self._frames.held else None

    def _fell_silent(self) -> None:
        self._silent = None
        frame = self._frames.quiet()
        answer = None if frame is None else self._station.answer(frame, self._may_write)
        if answer:
            self._transport.write(answer)

    def eof_received(self) -> bool:
        """The client will ask no more; what it asked is answered, then the connection ends."""
        return False

    def pause_writing(self) -> None:
        self._transport.pause_reading()
        self._stalled = self._loop.call_later(self._limits.stalled_s, self.close)

    def resume_writing(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
        self._transport.resume_reading()

    def close(self) -> "asyncio.Future[None]":
        """Close at once, answers that wait are lost. The future is done when the connection is gone."""
        self._transport.abort()
        return self._gone

    def _check_idle(self) -> None:
        left = self.active + self._limits.idle_s - self._loop.time()
        if left > 0:
            self._idle = self._loop.call_later(left, self._check_idle)
        else:
            self.close()


def _keep_alive(connection: socket.socket) -> None:
    """Find out about clients that vanished without a word, in about a minute."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    with suppress(AttributeError):  # not every system names all three
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
