"""An OPC UA server within narrow bounds, shared by the tests of a module."""

from collections.abc import AsyncIterator

import pytest_asyncio

from testbed.fieldbus.opcua_server import OpcUaServer
from testbed.plc.emulator import Emulator
from testbed.rig.bench import load_bench
from tests.fieldbus.opcua_wire import BOUNDS


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[OpcUaServer]:
    """The water cell, standing still."""
    tags = load_bench(None).tags
    server = OpcUaServer(tags, Emulator(tags).image, period=60.0, bounds=BOUNDS)
    await server.start()
    yield server
    await server.stop()
