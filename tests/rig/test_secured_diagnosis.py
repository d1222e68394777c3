"""A doctor on a secured wire: TLS and OPC UA with certificates, trusted and not; a node that is not there."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from testbed.fieldbus.modbus_access import Access
from testbed.fieldbus.modbus_server import ModbusServer
from testbed.fieldbus.opcua_access import Role
from testbed.fieldbus.opcua_server import OpcUaServer
from testbed.keys.certificates import role_of
from testbed.plc.emulator import Emulator
from testbed.rig.bench import load_bench
from testbed.rig.device_diagnosis import diagnose_device
from testbed.rig.diagnosed import Diagnosis
from tests.fieldbus.certificates import certified
from tests.fieldbus.opcua_parties import Parties, Party

TAGS = load_bench(None).tags
LOCAL = "127.0.0.1"
LEVEL = next(tag for tag in TAGS if tag.name == "tank2.level")


def profile(folder: Path, connect: str, place: str) -> Path:
    text = f"""\
[bench]
name = "lab"
[[plc]]
name = "box"
kind = "physical"
[plc.connect]
{connect}
[[plc.tag]]
name = "level"
type = "float32"
unit = "m"
range = [0.0, 2.0]
{place}
[[reader]]
name = "gateway"
plc = "box"
protocol = "device"
[twin]
model = "mirror_v1"
follows = "gateway"
"""
    file = folder / "bench.toml"
    file.write_text(text, encoding="utf-8")
    return file


async def found(file: Path) -> dict[str, Diagnosis]:
    return {one.name: one for one in await diagnose_device(load_bench(file))}


def plc() -> Emulator:
    plc = Emulator(TAGS, seed=1, boot=3)
    plc.scan()
    return plc


PLACE = f'modbus = {{ table = "{LEVEL.modbus.table.value}", address = {LEVEL.modbus.address} }}'


async def test_modbus_tls_whose_certificates_are_trusted_and_not(tmp_path: Path) -> None:
    server, client, other = (certified(tmp_path, name) for name in ("server", "client", "other"))
    device = ModbusServer(TAGS, plc().image, LOCAL, access=Access(*server, client[0], role_of))
    await device.start()

    def connect(own: str, trust: str) -> str:
        return (
            f'protocol = "modbus-tls"\nhost = "{LOCAL}"\nport = {device.port}\ntimeout_ms = 5000\n'
            f'certificate = "{own}.pem"\nkey = "{own}.key"\ntrust = "{trust}.pem"'
        )

    try:
        well = await found(profile(tmp_path, connect("client", "server"), PLACE))
        untrusted = await found(profile(tmp_path, connect("client", "other"), PLACE))
        refused = await found(profile(tmp_path, connect("other", "server"), PLACE))
    finally:
        await device.stop()
    assert other[0].is_file()
    assert [one for one in well.values() if not one.healthy] == []
    assert list(untrusted)[-1] == list(refused)[-1] == "connection"
    assert "its certificate is not trusted here" in untrusted["connection"].seen
    assert not refused["connection"].healthy
    assert "certificate" in untrusted["connection"].mend


@pytest.fixture
async def opcua(tmp_path: Path) -> AsyncIterator[OpcUaServer]:
    parties = Parties.make(tmp_path)
    server = OpcUaServer(
        TAGS,
        plc().image,
        certificate=parties.server.certificate,
        key=parties.server.key,
        access=parties.access(anonymous=Role.OBSERVER),
    )
    await server.start()
    yield server
    await server.stop()


async def test_opcua_with_certificates(opcua: OpcUaServer, tmp_path: Path) -> None:
    server = opcua
    Party.make(tmp_path, "stranger", "urn:attestbed:stranger")

    def connect(trust: str) -> str:
        return (
            f'protocol = "opcua"\nhost = "{LOCAL}"\nport = {server.port}\npath = "attestbed"\ntimeout_ms = 5000\n'
            'namespace = "urn:attestbed:cell"\ncertificate = "client.der"\nkey = "client.pem"\n'
            f'trust = "{trust}.der"'
        )

    well = await found(profile(tmp_path, connect("server"), 'opcua = "cell.tank2.level"'))
    assert [one for one in well.values() if not one.healthy] == []
    assert well["connection"].seen == "connected, as [plc.connect] says"
    assert well["identity"].seen.startswith("Attestbed")
    untrusted = await found(profile(tmp_path, connect("stranger"), 'opcua = "cell.tank2.level"'))
    assert list(untrusted)[-1] == "connection"
    assert "not trusted" in untrusted["connection"].seen
    assert "thumbprint" in untrusted["connection"].mend
    missing = await found(profile(tmp_path, connect("server"), 'opcua = "cell.tank9.level"'))
    assert not missing["addresses"].healthy
    assert missing["addresses"].mend
