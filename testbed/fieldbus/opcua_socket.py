"""The socket of an OPC UA client, over which requests go as bytes, and which takes a bounded answer to each.

asyncua 2.1.0 keeps whatever a server sends.
"""

import asyncio
import struct
from typing import Any

from asyncua import ua
from asyncua.client.ua_client import UaClient, UASocketProtocol
from asyncua.common.utils import Buffer
from asyncua.crypto.security_policies import SecurityPolicy
from asyncua.ua.ua_binary import nodeid_to_binary

from testbed.core.clock import SystemClock

MOST_ANSWER = 1024 * 1024
"""Bytes that are taken of a server between two requests."""

_UNIX_EPOCH = 116_444_736_000_000_000
"""1970 in the 100 ns since 1601 of a DateTime (OPC 10000-6, section 5.2.2.5)."""
_HEADER = struct.Struct("<qIIiI3x")
"""Of a request, behind its token: time, handle, no diagnostics, no audit entry, time-out in ms, nothing more."""


class BoundedSocket(UASocketProtocol):
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

    def _send_request(
        self,
        request: Any,  # noqa: ANN401  # of the library: it has a class for each
        timeout: float = 1,
        message_type: ua.MessageType = ua.MessageType.SecureMessage,  # type: ignore[assignment]  # bytes, there as well
    ) -> asyncio.Future[Any]:
        self._left = MOST_ANSWER
        return super()._send_request(request, timeout, message_type)

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


class Wire(UaClient):
    """The library's connection, with a socket of ours."""

    def __init__(self, timeout: float) -> None:
        super().__init__(timeout)
        self.socket: BoundedSocket | None = None

    def _make_protocol(self) -> UASocketProtocol:
        self.protocol = self.socket = BoundedSocket(self._timeout, self.security_policy)
        return self.protocol
