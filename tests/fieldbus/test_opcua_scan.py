"""An OPC UA server is browsed: every variable is found, typed and named, and the draft reads the same values."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from testbed.core.errors import DeviceError
from testbed.fieldbus.opcua_scan import browse
from testbed.fieldbus.opcua_security import Security
from testbed.fieldbus.opcua_server import OpcUaServer
from testbed.fieldbus.registers import decode
from testbed.plc.emulator import Emulator
from testbed.rig.bench import load_bench
from testbed.rig.devices import device_of
from testbed.rig.draft_opcua import draft_opcua

TAGS = load_bench(None).tags
LOCAL = "127.0.0.1"

# Building the standard address space takes more than a second: one server for the module.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[OpcUaServer]:
    plc = Emulator(TAGS, seed=1, boot=3)
    plc.scan()
    server = OpcUaServer(TAGS, plc.image, period=60.0)
    await server.start()
    yield server
    await server.stop()


def url_of(server: OpcUaServer) -> str:
    return f"opc.tcp://{LOCAL}:{server.port}/attestbed"


async def test_each_variable_is_found_with_its_type(server: OpcUaServer) -> None:
    told: list[int] = []
    seen = await browse(url_of(server), Security.none(), 5.0, 100, told.append)
    found = {one.identifier: one.type for one in seen.variables}
    assert {f"cell.{tag.name}": tag.type for tag in TAGS}.items() <= found.items()
    assert {one.uri for one in seen.variables} == {"urn:attestbed:cell"}
    assert seen.identity.vendor == "Attestbed"
    assert "None" in {one.mode for one in seen.offered}
    assert (seen.more, told) == (False, list(range(seen.requests)))


async def test_the_draft_reads_what_the_server_shows(server: OpcUaServer, tmp_path: Path) -> None:
    seen = await browse(url_of(server), Security.none(), 5.0, 100, lambda _: None)
    keys = {"protocol": "opcua", "host": LOCAL, "port": server.port, "path": "attestbed", "security": "None"}
    file = tmp_path / "bench.toml"
    file.write_text(draft_opcua(seen, keys, "testbed scan"), encoding="utf-8")
    driver = device_of(load_bench(file))
    await driver.connect()
    poll = await driver.poll()
    await driver.close()
    values = {tag.name: decode(tag, raw) for tag, raw in zip(driver.tags, poll.values, strict=True)}
    held = {tag.name: tag.type for tag in TAGS}
    assert held.keys() <= values.keys()
    assert {tag.name: tag.type for tag in driver.tags if tag.name in held} == held
    assert values["plc.boot"] == 3


async def test_a_browse_stops_at_its_number_of_requests(server: OpcUaServer) -> None:
    seen = await browse(url_of(server), Security.none(), 5.0, 3, lambda _: None)
    assert (seen.requests, seen.more) == (3, True)


async def test_what_is_no_opcua_server_is_an_error_with_a_mend() -> None:
    with socket.socket() as free:
        free.bind((LOCAL, 0))
        with pytest.raises(DeviceError) as caught:
            await browse(f"opc.tcp://{LOCAL}:{free.getsockname()[1]}", Security.none(), 0.5, 10, lambda _: None)
    assert caught.value.mend
    with socket.create_server((LOCAL, 0)) as silent:
        address = f"opc.tcp://{LOCAL}:{silent.getsockname()[1]}"
        with pytest.raises(DeviceError, match="no answer within"):
            await browse(address, Security.none(), 0.5, 10, lambda _: None)
