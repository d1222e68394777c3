"""A TCP relay on loopback: whoever connects to it talks to its target, and what they say may change on the way."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Protocol

HOST = "127.0.0.1"
_ROOM = 65536


class Way(Protocol):
    """What happens to the bytes of one connection. Both keep what is no whole message yet, and give the rest."""

    def there(self, data: bytes) -> bytes: ...
    def back(self, data: bytes) -> bytes: ...


class Relay:
    """Listens on a port of its own and leads each connection on to the target.

    way: makes what happens to the bytes of a connection, once for each; `port` is known after `start`.
    """

    def __init__(self, host: str, port: int, way: Callable[[], Way]) -> None:
        self._target = host, port
        self._way = way
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self) -> None:
        """Listen, on a port that the system chooses."""
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and cut every connection. Closing twice is fine."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in (left := tuple(self._connections)):
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        # A transport is gone one turn of the loop after it was told to go.
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        writers = [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            writers.append(far_writer)
            way = self._way()
            await _until_one_ends(_pump(reader, far_writer, way.there), _pump(far_reader, writer, way.back))
            for one in writers:
                one.close()
                await one.wait_closed()
        except OSError:
            pass  # the target does not listen, or a side is gone: so is the connection
        finally:
            for one in writers:
                one.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, change: Callable[[bytes], bytes]) -> None:
    while data := await reader.read(_ROOM):
        writer.write(change(data))
        await writer.drain()


async def _until_one_ends(*pumps: Coroutine[None, None, None]) -> None:
    """Raises what the first one to end raised."""
    tasks = [asyncio.create_task(pump) for pump in pumps]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Splitter:
    """A stream of bytes as whole messages.

    head: bytes after which the length is known; length: of the whole message that begins so, None where no message
    begins so: from there on everything comes as it is.
    """

    def __init__(self, head: int, length: Callable[[bytes], int | None]) -> None:
        self._head = head
        self._length = length
        self._rest = b""
        self._lost = False

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are whole now."""
        data = self._rest + data
        found: list[bytes] = []
        while len(data) >= self._head and not self._lost:
            length = self._length(data[: self._head])
            if length is None or length < self._head:
                self._lost = True
            elif length > len(data):
                break
            else:
                found.append(data[:length])
                data = data[length:]
        if self._lost and data:
            found.append(data)
            data = b""
        self._rest = data
        return found
