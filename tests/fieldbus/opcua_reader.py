"""OPC UA clients that read the water cell and must always be answered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from asyncua import ua
from asyncua.client.client import Client

LEVEL = ua.NodeId(ua.String("cell.tank1.level"), ua.Int16(2))
PATIENCE_S = 4.0
"""For one answer; whoever has to wait this long was locked out."""


class Reader:
    """A client with a session, and newcomers beside it. slowest: the longest wait for an answer of the former, s;
    slowest_newcomer: the longest that one took to come, read and go, which is ten answers or so.
    """

    def __init__(self, url: str, client: Client) -> None:
        self._url = url
        self._node = client.get_node(LEVEL)
        self.reads = 0
        self.slowest = 0.0
        self.newcomers = 0
        self.slowest_newcomer = 0.0

    def __str__(self) -> str:
        return (
            f"slowest of {self.reads} answers {self.slowest:.3f} s, "
            f"of {self.newcomers} newcomers {self.slowest_newcomer:.3f} s"
        )

    @classmethod
    @asynccontextmanager
    async def at(cls, port: int) -> AsyncIterator["Reader"]:
        """Connect."""
        url = f"opc.tcp://127.0.0.1:{port}"
        async with Client(url, timeout=PATIENCE_S) as client:
            yield cls(url, client)

    async def read(self) -> None:
        """Read a value."""
        loop = asyncio.get_running_loop()
        asked = loop.time()
        assert isinstance(await self._node.read_value(), float)
        self.slowest = max(self.slowest, loop.time() - asked)
        self.reads += 1

    async def newcomer(self) -> None:
        """Another one comes, reads and goes."""
        loop = asyncio.get_running_loop()
        came = loop.time()
        async with Client(self._url, timeout=PATIENCE_S) as client:
            assert isinstance(await client.get_node(LEVEL).read_value(), float)
        self.slowest_newcomer = max(self.slowest_newcomer, loop.time() - came)
        self.newcomers += 1

    async def read_until(self, done: "asyncio.Task[Any]") -> None:
        """Read a hundred times a second or so until something is done, with a newcomer now and then."""
        while not done.done():
            await self.read()
            if self.reads % 20 == 0:
                await self.newcomer()
            await asyncio.sleep(0.01)
