"""Tags a second through the OPC UA driver, and through the gateway's log: against a bare client that decodes the same.

Our server is in a process of its own, and both clients ask it for the same nodes in one request, with their source
timestamps; ours for the scan counter twice, and the restart counter. What comes is numbers at the end, for both. Most
of the time goes into the server; what the clients cost by themselves is in the last columns.
"""

import asyncio
import logging
import tempfile
import time
from pathlib import Path

from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.ua.attribute_ids import AttributeIds

from testbed.fieldbus.opcua_client import OpcUaReader
from testbed.fieldbus.opcua_security import Security
from testbed.fieldbus.opcua_server import APPLICATION_URI
from testbed.keys.application import load_application
from testbed.keys.certificates import keep_certificate
from testbed.keys.trust import TrustList
from tests.bench.measure import SERVE, numbers, serving, table
from tests.bench.polling import HEADING, against, cells

COUNTS = (100, 1000)
CLIENT_URI = "urn:attestbed:reader"
NAMESPACE = "urn:attestbed:cell"


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
                    name_of = f"{count:,}, {'SignAndEncrypt' if secured else 'None'}"
                    rows.append((name_of, *asyncio.run(measured(count, server.port, folder, secured))))
    table(("tags a second, by tags in a poll", *HEADING), *rows)


async def measured(count: int, port: int, folder: Path, secured: bool) -> tuple[str, ...]:
    """The cells of one row."""
    async with Bare(port, folder, secured) as theirs:
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

        async def by_the_library() -> list[object]:
            values = await theirs.uaclient.read(parameters)
            return [value.Value.Value if value.Value is not None else None for value in values]

        return cells(await against(by_the_library, reader), len(tags))


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


if __name__ == "__main__":
    main()
