"""OPC UA servers for the suite of all controllers, in a thread of their own: each is built once for many tests."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from testbed.core.tags import DataType, Tag, Value
from testbed.fieldbus.controller import Controller
from testbed.fieldbus.opcua_access import Role
from testbed.fieldbus.opcua_client import OpcUaReader
from testbed.fieldbus.opcua_security import Security
from testbed.fieldbus.opcua_server import OpcUaServer
from testbed.plc.image import ProcessImage
from tests.fieldbus.opcua_parties import OPERATOR, Parties

NAMESPACE = "urn:attestbed:cell"


class House:
    """A thread with an event loop, and the servers in it. Close it at the end."""

    def __init__(self, folder: Path) -> None:
        self.parties = Parties.make(folder)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._devices: dict[tuple[Tag, ...], OpcUaDevice] = {}

    async def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it in there."""
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def device(self, served: Sequence[Tag]) -> "OpcUaDevice":
        """A server of these tags, blank."""
        device = self._devices.get(tuple(served))
        if device is None:
            device = self._devices[tuple(served)] = OpcUaDevice(self, served)
        await device.start()
        device.show({tag.name: _blank(tag) for tag in served})
        device.written()
        return device

    def close(self) -> None:
        """End servers, loop and thread."""
        for device in self._devices.values():
            asyncio.run_coroutine_threadsafe(device.server.stop(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()


class OpcUaDevice:
    """A server in front of a process image."""

    controller: Controller

    def __init__(self, house: House, served: Sequence[Tag]) -> None:
        self._house = house
        self._served = tuple(served)
        self._runs = False
        self.image = ProcessImage(served, {tag.name: _blank(tag) for tag in served})
        self.server = self._make(0)

    def _make(self, port: int) -> OpcUaServer:
        own = self._house.parties.server
        access = self._house.parties.access(plain=True, anonymous=Role.OPERATOR)
        return OpcUaServer(self._served, self.image, port=port, certificate=own.certificate, key=own.key, access=access)

    def show(self, values: Mapping[str, Value]) -> None:
        """From now on."""
        self.image.publish(values)

    def written(self) -> Mapping[str, Value]:
        """Since the last call."""
        return self.image.take_writes()

    async def start(self) -> None:
        """Be there, where it was before."""
        if not self._runs:
            self.server = self._make(self.server.port)
            await self._house.do(self.server.start())
            self._runs = True

    async def stop(self) -> None:
        """Be gone."""
        await self._house.do(self.server.stop())
        self._runs = False


class OpcUaWays:
    """The ways into one house; `house` is there while a module's tests run."""

    house: House | None = None

    @asynccontextmanager
    async def _device(
        self, tags: Sequence[Tag], served: Sequence[Tag], counted: bool, security: Security
    ) -> AsyncIterator[OpcUaDevice]:
        assert self.house is not None
        device = await self.house.device(served)
        counters = ("plc.scan", "plc.boot") if counted else (None, None)
        device.controller = OpcUaReader(
            tags, device.server.url, *counters, namespace=NAMESPACE, security=security, timeout=5.0
        )
        try:
            yield device
        finally:
            await device.controller.close()

    @asynccontextmanager
    async def plain(self, tags: Sequence[Tag], served: Sequence[Tag], counted: bool) -> AsyncIterator[OpcUaDevice]:
        """Without security, which is said."""
        async with self._device(tags, served, counted, Security.none()) as device:
            yield device

    @asynccontextmanager
    async def by_name(self, tags: Sequence[Tag], served: Sequence[Tag], counted: bool) -> AsyncIterator[OpcUaDevice]:
        """SignAndEncrypt, as a user with a password."""
        assert self.house is not None
        async with self._device(tags, served, counted, self.house.parties.security(OPERATOR)) as device:
            yield device

    @asynccontextmanager
    async def by_certificate(
        self, tags: Sequence[Tag], served: Sequence[Tag], counted: bool
    ) -> AsyncIterator[OpcUaDevice]:
        """SignAndEncrypt by another policy, as a user with a certificate."""
        assert self.house is not None
        parties = self.house.parties
        user = parties.person.credentials(person=True)
        security = parties.security(user, policy="Aes256Sha256RsaPss")
        async with self._device(tags, served, counted, security) as device:
            yield device


def _blank(tag: Tag) -> Value:
    if tag.type is DataType.BOOL:
        return False
    return 0.0 if tag.scaled or tag.type in (DataType.FLOAT32, DataType.FLOAT64) else 0
