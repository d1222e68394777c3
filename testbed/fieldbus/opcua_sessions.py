"""Sessions of the OPC UA server: their number, their names, and what may be asked before and within one.

What asyncua 2.1.0 leaves open and is closed here: session tokens that count up, so that a stranger can take a session
over; any number of sessions on one connection; services that fill a list of servers for strangers; publishing
intervals of 0 or NaN; byte strings of negative length, which make its decoder go back and read for ever; and client
keys of any length.

A session with subscriptions outlives its connection, so that its client can take it up again (OPC 10000-4, section
6.7). It gives way where a newcomer would be refused for it: else whoever cuts 64 connections locks everybody out.
"""

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress

from asyncua import ua
from asyncua.common.connection import TransportLimits
from asyncua.common.utils import Buffer, NotEnoughData, ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.crypto.uacrypto import x509_from_der
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession, SessionState
from asyncua.server.uaprocessor import UaProcessor
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.ua_binary import struct_from_binary

from testbed.core.entropy import Entropy, SystemEntropy
from testbed.fieldbus.opcua_discovery import first_certificate
from testbed.fieldbus.opcua_doorkeeper import Caller, Doorkeeper

SHORTEST_INTERVAL = 10.0
LONGEST_INTERVAL = 3_600_000.0
"""Bounds of a subscription's publishing interval, ms."""

_NOBODY = User(role=UserRole.Anonymous)
_KEY_BITS = range(2048, 4097)
"""Lengths of a client's RSA key (OPC 10000-7, policy Basic256Sha256)."""
_TOKEN_SIZE = 32
"""Bytes of a session's authentication token (OPC 10000-4, section 7.35: at least 32)."""


def _id(identifier: int) -> ua.NodeId:
    return ua.NodeId(ua.Int32(identifier))


_CREATE = _id(ObjectIds.CreateSessionRequest_Encoding_DefaultBinary)
_ACTIVATE = _id(ObjectIds.ActivateSessionRequest_Encoding_DefaultBinary)
_NOT_OFFERED = frozenset(
    {
        _id(ObjectIds.RegisterServerRequest_Encoding_DefaultBinary),
        _id(ObjectIds.RegisterServer2Request_Encoding_DefaultBinary),
    }
)
_WITHOUT_SECURITY = frozenset(
    {
        _id(ObjectIds.FindServersRequest_Encoding_DefaultBinary),
        _id(ObjectIds.GetEndpointsRequest_Encoding_DefaultBinary),
        _id(ObjectIds.CloseSecureChannelRequest_Encoding_DefaultBinary),
    }
)
"""What a client without security may ask for in any case: how else would it come to know of the secured endpoints?"""
_WITHOUT_SESSION = _NOT_OFFERED | _WITHOUT_SECURITY | {_CREATE}


class StrictBuffer(Buffer):
    """Bytes to decode, which are read forwards only."""

    def read(self, size: int) -> bytes:
        if size < 0:
            raise NotEnoughData(f"a length of {size} bytes")
        return super().read(size)

    def skip(self, size: int) -> None:
        if size < 0:
            raise NotEnoughData(f"a length of {size} bytes")
        super().skip(size)

    def copy(self, size: int = -1) -> "StrictBuffer":
        if size < -1:
            raise NotEnoughData(f"a length of {size} bytes")
        return StrictBuffer(self._data, self._cur_pos, self._size if size == -1 else min(size, self._size))


class BoundedSession(InternalSession):
    """A client's session; `iserver` says whether there is room for one more.

    holder: the connection that it is on; client: certificate of the application that created it.
    """

    holder: "BoundedProcessor | None" = None
    client: bytes | None = None

    @property
    def silent_since(self) -> float:
        """When the client last asked for anything; s of the monotonic clock."""
        return self._last_activity

    async def create_subscription(
        self,
        params: ua.CreateSubscriptionParameters,
        callback: Callable[..., object],
        request_callback: Callable[..., object] | None = None,
    ) -> ua.CreateSubscriptionResult:
        asked = params.RequestedPublishingInterval
        shortest = SHORTEST_INTERVAL if math.isnan(asked) else max(asked, SHORTEST_INTERVAL)
        params.RequestedPublishingInterval = min(shortest, LONGEST_INTERVAL)
        return await super().create_subscription(params, callback, request_callback)

    def activate_session(
        self, params: ua.ActivateSessionParameters, peer_certificate: bytes | None
    ) -> ua.ActivateSessionResult:
        if self.state is SessionState.Created and isinstance(self.iserver, BoundedInternalServer):
            self.iserver.must_have_room()
        return super().activate_session(params, peer_certificate)

    async def call(self, params: list[ua.CallMethodRequest]) -> list[ua.CallMethodResult]:
        """As the library's, for whom it is allowed."""
        if self.external and not (isinstance(self.user, Caller) and self.user.may_write):
            refused = ua.StatusCode(ua.UInt32(StatusCodes.BadUserAccessDenied))
            return [ua.CallMethodResult(refused) for _ in params]
        return await super().call(params)


class BoundedInternalServer(InternalServer):
    """At most `most_sessions` activated sessions, each under an unpredictable token, for whom `doorkeeper` lets in."""

    def __init__(
        self, most_sessions: int, doorkeeper: Doorkeeper | None = None, entropy: Entropy | None = None
    ) -> None:
        super().__init__()
        self.doorkeeper = doorkeeper or Doorkeeper()
        self.user_manager = None  # the library asks nobody then: the doorkeeper was there first
        self._most_sessions = most_sessions
        self._entropy = entropy or SystemEntropy()

    async def stop(self) -> None:
        """As the library's, which waits for its clock to sleep out its second."""
        if self.time_task is not None:
            self.time_task.cancel()
            with suppress(asyncio.CancelledError):
                await self.time_task
            self.time_task = None
        await super().stop()

    async def make_room(self) -> None:
        """Where there is none, close a session without a connection: the one that has been silent for longest."""
        if self._has_room():
            return
        activated = (session for session in self._external_sessions.values() if session.is_activated())
        left = [session for session in activated if isinstance(session, BoundedSession) and session.holder is None]
        if left:
            await min(left, key=lambda session: session.silent_since).close_session(True)

    def must_have_room(self) -> None:
        """Raises ServiceError, BadTooManySessions, where as many sessions are activated as there may be."""
        if not self._has_room():
            raise ServiceError(StatusCodes.BadTooManySessions)

    def _has_room(self) -> bool:
        return sum(session.is_activated() for session in self._external_sessions.values()) < self._most_sessions

    def create_session(
        self,
        name: str,
        user: User = _NOBODY,
        external: bool = False,
    ) -> InternalSession:
        self.must_have_room()
        session = BoundedSession(self, self.aspace, self.subscription_service, name, user=user, external=external)
        if external:
            self.unregister_external_session(session)
            session.auth_token = ua.NodeId(ua.ByteString(self._entropy.take(_TOKEN_SIZE)), ua.Int16(0))
            self.register_external_session(session)
        return session


class BoundedProcessor(UaProcessor):
    """The services of one connection, which has at most one session."""

    def __init__(self, server: InternalServer, transport: asyncio.Transport, limits: TransportLimits) -> None:
        super().__init__(server, transport, limits)

    @property
    def is_activated(self) -> bool:
        """Whether a session is activated on this connection."""
        return self.session is not None and self.session.is_activated()

    @property
    def is_secured(self) -> bool:
        """Whether messages on this connection are signed and encrypted."""
        return bool(self._connection.security_policy.Mode != ua.MessageSecurityMode.None_)

    @property
    def _doorkeeper(self) -> Doorkeeper:
        return self.iserver.doorkeeper if isinstance(self.iserver, BoundedInternalServer) else Doorkeeper()

    def open_secure_channel(
        self, algohdr: ua.AsymmetricAlgorithmHeader, seqhdr: ua.SequenceHeader, body: Buffer
    ) -> None:
        """As the library's. Raises ServiceError where the client is not trusted, or its key too short or too long."""
        if self.is_secured:
            peer = x509_from_der(self._connection.security_policy.peer_certificate)  # type: ignore[no-untyped-call]  # of the library
            if peer.public_key().key_size not in _KEY_BITS:
                raise ServiceError(StatusCodes.BadCertificatePolicyCheckFailed)
            self._doorkeeper.judge(self._connection.security_policy.peer_certificate, None)
        strict = StrictBuffer(bytes(body))
        super().open_secure_channel(algohdr, seqhdr, strict)  # type: ignore[no-untyped-call]  # of the library

    async def close(self) -> None:
        """As the library's; a session that stays has no connection from now on."""
        await super().close()  # type: ignore[no-untyped-call]  # of the library
        if isinstance(self.session, BoundedSession) and self.session.holder is self:
            self.session.holder = None

    async def process_message(self, seqhdr: ua.SequenceHeader, body: Buffer) -> object:
        strict = StrictBuffer(bytes(body))
        return await super().process_message(seqhdr, strict)  # type: ignore[no-untyped-call]  # of the library

    async def _process_message(
        self, typeid: ua.NodeId, requesthdr: ua.RequestHeader, seqhdr: ua.SequenceHeader, body: Buffer
    ) -> object:
        if typeid in _NOT_OFFERED:
            raise ServiceError(StatusCodes.BadServiceUnsupported)
        if not (self.is_secured or self._doorkeeper.access.plain or typeid in _WITHOUT_SECURITY):
            raise ServiceError(StatusCodes.BadSecurityModeInsufficient)
        session = self.session
        if typeid == _CREATE:
            if session is not None and session.state is not SessionState.Closed:
                raise ServiceError(StatusCodes.BadTooManySessions)
            if self._session_watchdog_task is not None:
                # The library starts another one for each session and forgets the one before.
                self._session_watchdog_task.cancel()
        elif (
            session is not None
            and typeid not in _WITHOUT_SESSION
            and requesthdr.AuthenticationToken != session.auth_token
        ):
            raise ServiceError(StatusCodes.BadSessionIdInvalid)
        # Whoever takes a session up again needs no room.
        is_new = typeid == _ACTIVATE and session is not None and session.state is SessionState.Created
        if (typeid == _CREATE or is_new) and isinstance(self.iserver, BoundedInternalServer):
            await self.iserver.make_room()
        caller = None
        if typeid == _CREATE:
            self._judge_creation(struct_from_binary(ua.CreateSessionParameters, body.copy()))
        elif typeid == _ACTIVATE:
            caller = await self._admit(requesthdr, struct_from_binary(ua.ActivateSessionParameters, body.copy()))
        done: object = await super()._process_message(  # type: ignore[no-untyped-call]  # of the library
            typeid, requesthdr, seqhdr, body
        )
        if isinstance(self.session, BoundedSession):
            if typeid == _CREATE:
                self.session.client = self._connection.security_policy.peer_certificate
            elif caller is not None:
                self.session.holder = self
                self.session.user = caller
        return done

    def _judge_creation(self, asked: ua.CreateSessionParameters) -> None:
        """The client that opened the channel has to be the one that it says it is now."""
        shown = self._connection.security_policy.peer_certificate
        if not self.is_secured or self._doorkeeper.access.clients is None:
            return
        if first_certificate(asked.ClientCertificate or b"") != shown:
            raise ServiceError(StatusCodes.BadCertificateInvalid)
        self._doorkeeper.judge(shown, asked.ClientDescription.ApplicationUri or "")

    async def _admit(self, header: ua.RequestHeader, asked: ua.ActivateSessionParameters) -> Caller | None:
        """Who it is; None where there is no such session, which the library refuses."""
        session = self.session or self.iserver.lookup_external_session(header.AuthenticationToken)
        if not isinstance(session, BoundedSession) or session.nonce is None:
            return None
        policy = self._connection.security_policy
        if session.client != policy.peer_certificate:
            raise ServiceError(StatusCodes.BadSecurityChecksFailed)
        return await self._doorkeeper.admit(policy, session.nonce, asked)
