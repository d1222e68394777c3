"""Every way to the bench's own PLC that a bench file may ask for, each the same values and the same writes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from testbed.core.errors import DeviceError, UsageError
from testbed.fieldbus.controller import Controller
from testbed.fieldbus.registers import decode
from testbed.rig.bench import Bench, load_bench
from testbed.rig.controllers import controller_of
from testbed.rig.default import default_text
from testbed.rig.paths import Paths
from testbed.rig.roles.plc import PlcRole
from tests.fieldbus.ptys import cable
from tests.flow.live.conftest import free_ports

WAYS = ("modbus", "modbus-tls", "modbus-rtu", "opcua")
LIMIT_S = 20.0


def bench_of(folder: Path, device: str, other_end: str) -> Bench:
    modbus, opcua, tls = free_ports(3)
    text = default_text().replace("port = 5020", f"port = {modbus}").replace("port = 4840", f"port = {opcua}")
    text = text.replace("[plc.opcua]\n", '[plc.opcua]\nsecurity = "SignAndEncrypt"\n')
    text = text.replace("scan_ms = 100 ", "scan_ms = 500 ")  # a whole poll by a serial line fits into a scan
    more = f"""
[plc.tls]
enabled = true
port = {tls}

[plc.serial]
device = "{device}"
other_end = "{other_end}"
baud = 115200
parity = "N"

"""
    path = folder / "bench.toml"
    path.write_text(text.replace("[plc.opcua]\n", more.lstrip() + "[plc.opcua]\n"), encoding="utf-8")
    return load_bench(path)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    with cable() as line:
        found = bench_of(tmp_path, line.far, line.near)
        role = PlcRole(found)
        await role.start()
        try:
            yield found
        finally:
            await role.stop()


async def test_each_way_shows_the_same_and_takes_a_write(bench: Bench) -> None:
    setpoint = next(tag for tag in bench.tags if tag.name == "control.level_setpoint")
    for number, way in enumerate(WAYS):
        wanted = 0.75 + number / 4
        controller = controller_of(bench, way)
        place = [tag.name for tag in controller.tags].index(setpoint.name)
        async with asyncio.timeout(LIMIT_S):
            await _connected(controller)
            await controller.write(controller.tags[place], wanted)
            await _shows(controller, place, wanted)
            assert (await controller.identify()).vendor == "Attestbed"
        await controller.close()


async def test_a_client_whose_certificate_was_taken_away_is_not_let_in(bench: Bench) -> None:
    """The twin of the above: everything is as before, and the server trusts somebody else."""
    stranger = load_bench(bench.folder / "bench.toml")
    controller = controller_of(bench, "opcua")
    async with asyncio.timeout(LIMIT_S):
        await _connected(controller)
    await controller.close()
    paths = Paths(bench.data)
    paths.client_certificate.unlink()
    paths.client_key.unlink()  # a new key: another certificate than those that the running server knows
    for way in ("modbus-tls", "opcua"):
        with pytest.raises(DeviceError):  # with TLS 1.3 a client learns it behind the handshake
            await _polled(controller_of(stranger, way))


def test_ways_that_the_bench_does_not_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bench = load_bench(None)
    for way, mend in (("modbus-tls", "plc.tls"), ("modbus-rtu", "plc.serial"), ("device", "emulated"), ("s7", "take")):
        with pytest.raises(UsageError, match=mend):
            controller_of(bench, way)


async def _shows(controller: Controller, place: int, wanted: float) -> None:
    """With the next scan."""
    while decode(controller.tags[place], (await controller.poll()).values[place]) != wanted:  # noqa: ASYNC110 - a wire
        await asyncio.sleep(0.01)


async def _polled(controller: Controller) -> None:
    await controller.connect()
    await controller.poll()


async def _connected(controller: Controller) -> None:
    """OPC UA is served a second or two after the others."""
    while True:
        try:
            await controller.connect()
            return
        except DeviceError:
            await asyncio.sleep(0.1)
