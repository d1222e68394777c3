"""One TCP connection of the OPC UA server: what it may send, in which order, and how much of it waits.

The header of a message is judged before anything that it announces is waited for. Messages are taken one at a time
from what has arrived, and no more is read from a client that is ahead of us or that does not read its answers.

A connection has what it has come to need: a socket that says nothing holds its bytes, a HEL adds the limits that were
agreed, and from the OPN on there is a task that takes messages, and a processor for them. Once the connection is lost,
nothing refers back to it, so its memory comes free at once and not when the garbage collector next walks the heap,
which for a heap like that of an address space is seldom.

asyncua 2.1.0 keeps what a header announces, up to 4 GiB, from anybody; it obeys a MSG before any HEL or OPN, and an ACK
that lifts its limits; it copies all that has arrived for each message in it; and it gives each socket 20 kB.
"""

import asyncio
import copy
import logging
from dataclasses import dataclass
from typing import Protocol, cast

from asyncua import ua
from asyncua.common.connection import TransportLimits
from asyncua.server.binary_server_asyncio import OPCUAProtocol
from asyncua.server.internal_server import InternalServer
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.ua_binary import header_from_binary, struct_from_binary, uatcp_to_binary

from testbed.fieldbus.opcua_sessions import BoundedProcessor, StrictBuffer

_log = logging.getLogger(__name__)

MOST_CHUNK = 65535
"""Bytes of a chunk; what we acknowledge as our receive buffer."""
LEAST_BUFFER = 8192
"""Bytes of the smallest buffer that a client may offer (OPC 10000-6, section 7.1.2.3), so that a HEL or an OPN, which
is one chunk, fits into it. Longer ones are refused: each 256 bytes of an encrypted OPN cost a private-key operation.
"""

_LEAST = {b"HEL": 32, b"OPN": 32, b"MSG": 24, b"CLO": 24}
"""What clients may send, with the bytes that it has at least (OPC 10000-6, sections 6.7.2 and 7.1.2)."""
_MOST = {b"HEL": LEAST_BUFFER, b"OPN": LEAST_BUFFER}
_IN_ORDER = ((b"HEL",), (b"OPN",), (b"OPN", b"MSG", b"CLO"))
"""What may come before a HEL, after it, and once a secure channel is open."""


@dataclass(frozen=True, slots=True)
class ConnectionBounds:
    """strangers: connections without an activated session; sessions: activated ones; patience: s for a stranger to
    activate one; stall: s for a client to take its answers; session_s: longest silence of a session, s;
    stranger_bytes: received of one stranger in all; message_bytes: of one request.
    """

    strangers: int = 64
    sessions: int = 64
    patience: float = 5.0
    stall: float = 15.0
    session_s: float = 120.0
    stranger_bytes: int = 64 * 1024
    message_bytes: int = 1024 * 1024


class Gate(Protocol):
    """The server, as its connections see it."""

    bounds: ConnectionBounds

    def now(self) -> float:
        """Seconds of the event loop's clock."""
        ...

    def make_room(self) -> None:
        """Let somebody go if there is one connection too many."""
        ...

    def bears(self, waiting: int) -> bool:
        """Whether a stranger may have so many bytes wait, beside all other strangers."""
        ...

    def forget_when_done(self, task: asyncio.Task[object]) -> None:
        """Keep no account of `task` once it is done."""
        ...


class BoundedProtocol(OPCUAProtocol):
    """One connection."""

    processor: BoundedProcessor | None
    server: Gate

    def __init__(
        self,
        server: Gate,
        internal: InternalServer,
        policies: list[object],
        clients: list[OPCUAProtocol],
        closing_tasks: list[asyncio.Task[object]],
        limits: TransportLimits,
    ) -> None:
        super().__init__(internal, policies, clients, closing_tasks, limits)
        del self.messages  # 2 kB: messages are taken from what has arrived
        self.server = server
        self.leaving = False
        self.progress = 0
        self.connected = server.now()
        self.stranger_since: float | None = self.connected
        self.stalled_since: float | None = None
        self._strange_bytes = 0
        self._received = bytearray()
        self._go_on: asyncio.Event | None = None

    @property
    def waiting(self) -> int:
        """Bytes that have arrived and wait."""
        return len(self._received)

    @property
    def is_stranger(self) -> bool:
        return self.processor is None or not self.processor.is_activated

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As the library's, but without a processor and a task."""
        self.peer_name = transport.get_extra_info("peername")
        self.transport = cast("asyncio.Transport", transport)
        self.iserver.asyncio_transports.append(transport)
        self.clients.append(self)
        self.server.make_room()

    def _begin(self, transport: asyncio.Transport) -> None:
        self.processor = BoundedProcessor(self.iserver, transport, self.limits)
        self.processor.set_policies(self.policies)  # type: ignore[no-untyped-call]  # of the library
        self._go_on = go_on = asyncio.Event()
        self._task = asyncio.create_task(self._take_messages(go_on))
        self._task.add_done_callback(self._taken_leave)

    def _taken_leave(self, task: asyncio.Task[object]) -> None:
        """One that was cancelled keeps its frame, and so the connection, which must not keep it in turn."""
        self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s: connection given up", self.peer_name, exc_info=error)
            self.drop()

    def connection_lost(self, ex: BaseException | None) -> None:  # noqa: ARG002  # how a client went makes no difference
        """As the library's, and nothing is left that refers back to this connection."""
        self.leaving = True
        self._received.clear()
        if self.transport is not None:
            self.iserver.asyncio_transports.remove(self.transport)
            self.clients.remove(self)
        if self._task is not None:
            self._task.cancel()
        if self.processor is not None:
            closing: asyncio.Task[object] = asyncio.create_task(self.processor.close())
            self.closing_tasks.append(closing)
            self.server.forget_when_done(closing)

    def drop(self) -> None:
        """Close at once: what is left to send is lost."""
        self.leaving = True
        self._received.clear()
        if self.transport is not None:
            self.transport.abort()

    def refuse(self, code: int, reason: str) -> None:
        """Say why, and close (OPC 10000-6, section 7.1.2.5)."""
        _log.debug("%s: %s", self.peer_name, reason)
        if self.leaving or self.transport is None:
            return
        self.leaving = True
        self._received.clear()
        error = ua.ErrorMessage(ua.StatusCode(ua.UInt32(code)), ua.String(reason))
        kind: ua.MessageType = ua.MessageType.Error  # type: ignore[assignment]  # bytes, as the library wants them
        self.transport.write(uatcp_to_binary(kind, error))
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        if self.leaving:
            return
        self._received += data
        if self.is_stranger:
            self._strange_bytes += len(data)
            if self._strange_bytes > self.server.bounds.stranger_bytes or not self.server.bears(self.waiting):
                self.refuse(StatusCodes.BadTcpNotEnoughResources, "too much before a session")
                return
        if self.progress == 0 and (hello := self._next()) is not None:
            self._greet(hello)
        if self.progress > 0 and len(self._received) >= 8 and self._check() and self.transport is not None:
            if self.processor is None:
                self._begin(self.transport)
            self._wake()
            if len(self._received) > 2 * MOST_CHUNK:
                self.transport.pause_reading()

    def _greet(self, hello: bytes) -> None:
        """Agree on limits (OPC 10000-6, sections 7.1.2.3 and 7.1.2.4)."""
        buffer = StrictBuffer(hello)
        header_from_binary(buffer)
        try:
            said = struct_from_binary(ua.Hello, buffer)
        except Exception as error:  # noqa: BLE001  # the library raises whatever its decoder stumbles over
            self.refuse(StatusCodes.BadDecodingError, f"{type(error).__name__} in a message")
            return
        if min(said.ReceiveBufferSize, said.SendBufferSize) < LEAST_BUFFER:
            self.refuse(StatusCodes.BadTcpNotEnoughResources, "buffer size")
            return
        self.progress = 1
        self.limits = copy.copy(self.limits)
        agreed = self.limits.create_acknowledge_and_set_limits(said)
        kind: ua.MessageType = ua.MessageType.Acknowledge  # type: ignore[assignment]  # bytes, as the library wants them
        if self.transport is not None:
            self.transport.write(uatcp_to_binary(kind, agreed))

    def pause_writing(self) -> None:
        self.stalled_since = self.server.now()

    def resume_writing(self) -> None:
        self.stalled_since = None
        self._wake()

    def _wake(self) -> None:
        if self._go_on is not None:
            self._go_on.set()

    def _check(self) -> bool:
        """Judge the first header as soon as it is here, before anything that it announces is waited for."""
        kind, final, size = bytes(self._received[:3]), bytes(self._received[3:4]), self._size()
        if kind not in _IN_ORDER[self.progress] or final not in ((b"F", b"C", b"A") if kind == b"MSG" else (b"F",)):
            self.refuse(StatusCodes.BadTcpMessageTypeInvalid, "message type")
        elif not _LEAST[kind] <= size <= _MOST.get(kind, MOST_CHUNK):
            self.refuse(StatusCodes.BadTcpMessageTooLarge, "message size")
        return not self.leaving

    def _size(self) -> int:
        return int.from_bytes(self._received[4:8], "little")

    def _next(self) -> bytes | None:
        """Take the first message, if all of it is here."""
        if len(self._received) < 8 or not self._check() or len(self._received) < (size := self._size()):
            return None
        message = bytes(self._received[:size])
        del self._received[:size]
        if self.transport is not None and len(self._received) <= MOST_CHUNK:
            self.transport.resume_reading()
        return message

    async def _take_messages(self, go_on: asyncio.Event) -> None:
        while not self.leaving:
            message = None if self.stalled_since is not None else self._next()
            if message is None:
                go_on.clear()
                await go_on.wait()
                continue
            try:
                await self._take(message)
            except Exception as error:  # noqa: BLE001  # the library raises whatever its decoder stumbles over
                self._refuse_message(message, error)
            # One client's backlog must not hold the others up.
            await asyncio.sleep(0)

    def _refuse_message(self, message: bytes, error: Exception) -> None:
        """Of what is encrypted, nothing is said about where it failed: that would help to decrypt it."""
        if message[:3] == b"OPN" or (self.processor is not None and self.processor.is_secured):
            _log.debug("%s: %r", self.peer_name, error)
            self.refuse(StatusCodes.BadSecurityChecksFailed, "security checks")
        else:
            self.refuse(StatusCodes.BadDecodingError, f"{type(error).__name__} in a message")

    async def _take(self, message: bytes) -> None:
        if message[:3] == b"OPN":
            self.progress = 2  # before it is obeyed: if it fails, the connection ends
        buffer = StrictBuffer(message)
        if not await self._process_one_msg(header_from_binary(buffer), buffer):
            self.leaving = True
