"""Tags a second through the OPC UA driver, the log off: against a bare client of the library that decodes the same.

Our server is in a process of its own, and both clients ask it for the same nodes in one request, with their source
timestamps; ours for the scan counter twice, and the restart counter. What comes is numbers at the end, for both. Most
of the time goes into the server, so the second ratio is that of the clients' own processor time for each tag.
"""

import asyncio
import logging
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.ua.attribute_ids import AttributeIds

from testbed.fieldbus.opcua_client import OpcUaReader
from testbed.fieldbus.opcua_security import Security
from testbed.fieldbus.opcua_server import APPLICATION_URI
from testbed.fieldbus.registers import decoder_of
from testbed.keys.application import load_application
from testbed.keys.certificates import keep_certificate
from testbed.keys.trust import TrustList
from tests.bench.measure import SERVE, numbers, of, serving, table

COUNTS = (100, 1000)
ROUNDS = 7
SECONDS = 0.5
TARGET = 0.85
CLIENT_URI = "urn:attestbed:reader"
NAMESPACE = "urn:attestbed:cell"

Read = Callable[[], Awaitable[list[object]]]


def main() -> None:
    """Print the table."""
    logging.disable(logging.ERROR)  # the library reports its own hanging up
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for who, uri in (("server", APPLICATION_URI), ("client", CLIENT_URI)):
            files = folder / f"{who}.der", folder / f"{who}.pem"
            keep_certificate(*files, name=who, uri=uri, hosts=("127.0.0.1",), now_ns=time.time_ns())
        rows: list[tuple[str, ...]] = []
        for count in COUNTS:
            with serving(SERVE, "still", str(count), name) as server:
                for secured in (False, True):
                    rows += asyncio.run(measured(count, server.port, folder, secured))
        table(("tags of one poll, read and decoded", "bare asyncua", "ours", f"ours / bare, at least {TARGET}"), *rows)


async def measured(count: int, port: int, folder: Path, secured: bool) -> list[tuple[str, ...]]:
    """Tags a second, and a second of the client's processor time."""
    async with AsyncExitStack() as stack:
        theirs = await stack.enter_async_context(Bare(port, folder, secured))
        index = await theirs.get_namespace_index(NAMESPACE)
        tags = numbers(count)
        parameters = ua.ReadParameters()
        parameters.TimestampsToReturn = ua.TimestampsToReturn.Source
        for tag in tags:
            node = ua.NodeId(ua.String(tag.opcua), ua.Int16(index))
            parameters.NodesToRead.append(ua.ReadValueId(node, AttributeIds.Value))
        own = load_application(folder / "client.der", folder / "client.pem")
        security = Security.secured(own, TrustList.load(folder / "server.der")) if secured else Security.none()
        reader = OpcUaReader(tags, url(port), namespace=NAMESPACE, security=security, timeout=10.0)
        await reader.connect()
        stack.push_async_callback(reader.close)
        decode = decoder_of(reader.tags)

        async def by_the_library() -> list[object]:
            values = await theirs.uaclient.read(parameters)
            return [value.Value.Value if value.Value is not None else None for value in values]

        async def by_ours() -> list[object]:
            return list(decode((await reader.poll()).values))

        assert await by_the_library() == await by_ours() == [1, 1, *[0.5] * count]
        taken = [(await rate(by_the_library, len(tags)), await rate(by_ours, len(tags))) for _ in range(ROUNDS + 1)][1:]
    first, second = zip(*taken, strict=True)
    way = "SignAndEncrypt" if secured else "None"
    return [
        (f"{count:,}, {way}, {name}", *of([one[at] for one in first], [one[at] for one in second]).cells())
        for at, name in enumerate(("a second", "a second of processor"))
    ]


class Bare:
    """A client of the library for as long as it is needed, without its watchdog's questions."""

    def __init__(self, port: int, folder: Path, secured: bool) -> None:
        self._client = Client(url(port), timeout=10, watchdog_intervall=3600)
        self._client.application_uri = CLIENT_URI
        self._folder, self._secured = folder, secured

    async def __aenter__(self) -> Client:
        if self._secured:
            await self._client.set_security(
                SecurityPolicyBasic256Sha256,
                self._folder / "client.der",
                self._folder / "client.pem",
                server_certificate=str(self._folder / "server.der"),
            )
        await self._client.connect()
        return self._client

    async def __aexit__(self, *_: object) -> None:
        await self._client.disconnect()


def url(port: int) -> str:
    """Of the server."""
    return f"opc.tcp://127.0.0.1:{port}/attestbed"


async def rate(read: Read, count: int) -> tuple[float, float]:
    """Tags a second, and a second of processor time."""
    polls, started, used = 0, time.perf_counter(), time.process_time()
    while (seconds := time.perf_counter() - started) < SECONDS:
        await read()
        polls += 1
    return polls * count / seconds, polls * count / (time.process_time() - used)


if __name__ == "__main__":
    main()
