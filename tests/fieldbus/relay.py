"""A relay between a client and a server, for the tests: it holds back, changes or ends what goes through."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

LOCAL = "127.0.0.1"


class Relay:
    """In front of the server at a port of this machine.

    holds: whether nothing of what the server says goes on; change: what becomes of what it says, sent: and of what the
    client says; heard: all that it said.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self.port = 0
        self.holds = False
        self.held = asyncio.Event()
        self.change: Callable[[bytes], bytes] | None = None
        self.sent: Callable[[bytes], bytes] | None = None
        self.heard = bytearray()
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        from_server, to_server = await asyncio.open_connection(LOCAL, self._to)
        self._writers += (writer, to_server)
        await asyncio.gather(self._pass(reader, to_server, back=False), self._pass(from_server, writer, back=True))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool) -> None:
        try:
            while data := await reader.read(65536):
                if not back:
                    self.heard += data
                if back and self.holds:
                    self.held.set()
                else:
                    change = self.change if back else self.sent
                    writer.write(data if change is None else change(data))
        except ConnectionError:
            pass
        finally:
            writer.close()

    def end(self) -> None:
        """Cut all connections."""
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def relayed(port: int) -> AsyncIterator[Relay]:
    """A relay that listens at a port of its own."""
    relay = Relay(port)
    server = await asyncio.start_server(relay.serve, LOCAL, 0)
    relay.port = server.sockets[0].getsockname()[1]
    yield relay
    server.close()
    relay.end()
    await server.wait_closed()
