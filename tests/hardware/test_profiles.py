"""The profiles in hardware/: each loads, says what it was tried against, and fits the map of its device."""

import asyncio
import re
import struct
from pathlib import Path

import pytest
from snap7.server import Server
from snap7.type import SrvArea

from testbed.core.tags import DataType, Value
from testbed.fieldbus.modbus_scan import Wire, carry_out
from testbed.fieldbus.modbus_serial_server import ModbusSerialServer
from testbed.fieldbus.modbus_survey import Plan, Survey, survey
from testbed.fieldbus.modbus_transports import Serial
from testbed.fieldbus.registers import decode
from testbed.fieldbus.source import held
from testbed.plc.image import ProcessImage
from testbed.rig.bench import Bench, load_bench
from testbed.rig.device_diagnosis import diagnose_device
from testbed.rig.devices import device_of, transport_of
from testbed.rig.diagnosed import Diagnosis
from tests.fieldbus.ptys import Cable, cable
from tests.hardware.maps import DEVICES, SHOWN
from tests.judges.foreign import foreign, needs_modbus_serial

HARDWARE = Path(__file__).parents[2] / "hardware"
PROFILES = sorted(HARDWARE.glob("*.toml"))
PAGES = sorted(page for page in HARDWARE.glob("*.md") if page.name != "README.md")
CHAPTERS = ["Wiring", "Safety", "Network", "First read", "First write", "E-stop check", "Sources"]
NOT_MODBUS = {"s7-1200"}


def page_of(profile: Path) -> str:
    """The commissioning page that a profile names on its first line."""
    (page,) = re.findall(r"How to commission it: ([\w-]+\.md)$", profile.read_text("utf-8").splitlines()[0])
    return str(page)


def test_every_device_of_the_list_has_a_profile() -> None:
    assert {profile.stem for profile in PROFILES} == DEVICES.keys() | NOT_MODBUS


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_a_profile_loads_and_says_on_its_first_lines_what_it_was_tried_against(profile: Path) -> None:
    bench = load_bench(profile)
    assert (bench.plc.kind, bench.name) == ("physical", profile.stem)
    head = " ".join(line.lstrip("# ") for line in profile.read_text("utf-8").splitlines()[:4])
    assert "Tried against: " in head
    assert "No physical device has been connected." in head
    assert (HARDWARE / page_of(profile)).is_file()
    assert any(tag.type is not DataType.BOOL or tag.name.endswith("estop_ok") for tag in bench.tags)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_page_has_every_chapter_and_says_what_is_not_verified(page: Path) -> None:
    text = page.read_text("utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == CHAPTERS
    assert "Tried against: " in "\n".join(text.splitlines()[:8])
    assert "No physical device has been connected." in text
    assert "Not verified: " in text
    assert page.name in {page_of(profile) for profile in PROFILES}


def test_the_index_leads_to_every_page_and_profile() -> None:
    text = (HARDWARE / "README.md").read_text("utf-8")
    linked = set(re.findall(r"\]\(([\w.-]+)\)", text))
    assert {path.name for path in (*PAGES, *PROFILES)} <= linked


@pytest.mark.parametrize("name", sorted(DEVICES))
class TestAgainstItsMap:
    """A server by another author holds what the manual says, and refuses all else."""

    pytestmark = needs_modbus_serial

    def test_the_doctor_finds_nothing_wrong(self, name: str, tmp_path: Path) -> None:
        with foreign(DEVICES[name].as_json(), tmp_path) as device:
            file = tmp_path / "bench.toml"
            file.write_text(pointed(HARDWARE / f"{name}.toml", device.port), encoding="utf-8")
            bench = load_bench(file)
            found = {one.name: one for one in asyncio.run(diagnose_device(bench))}
        assert {step: one.seen for step, one in found.items() if not one.healthy} == {}
        # Nothing is to be spared either: gap and limits are the device's own.
        assert found["addresses"].seen == f"all {len(bench.tags)} tags can be read"
        assert list(found)[-1] == "writing"
        assert device.said == {"writes": 0}

    def test_its_tags_show_what_the_device_holds(self, name: str, tmp_path: Path) -> None:
        with foreign(DEVICES[name].as_json(), tmp_path) as device:
            shown = polled(pointed(HARDWARE / f"{name}.toml", device.port), tmp_path)
        assert {tag: shown[tag] for tag in SHOWN[name]} == pytest.approx(SHOWN[name])

    def test_one_address_further_they_do_not(self, name: str, tmp_path: Path) -> None:
        with foreign(DEVICES[name].as_json(), tmp_path) as device:
            text = pointed(HARDWARE / f"{name}.toml", device.port)
            moved = re.sub(r"address = (\d+)", lambda found: f"address = {int(found[1]) + 1}", text)
            shown = polled(re.sub(r'scan_tag = ".*"', 'scan_tag = ""', moved), tmp_path)
        same = [tag for tag, value in SHOWN[name].items() if shown[tag] == pytest.approx(value)]
        assert len(same) <= len(SHOWN[name]) // 2, f"{same}: as if nothing had been moved"


@pytest.mark.parametrize("name", ["drive-acs550", "meter-sdm630"])
def test_a_serial_profile_is_found_and_read_over_a_serial_line(name: str, tmp_path: Path) -> None:
    """Our own device on the other end of a pair of pseudo-terminals: scanned, examined and read as on RS-485."""
    profile = load_bench(HARDWARE / f"{name}.toml")
    values: dict[str, Value] = {tag.name: held(tag, SHOWN[name].get(tag.name, 0)) for tag in profile.tags}
    image = ProcessImage(profile.tags, values)

    async def visit(line: Cable) -> tuple[Survey, dict[str, Diagnosis], dict[str, float | bool | None]]:
        text = (HARDWARE / f"{name}.toml").read_text("utf-8").replace("/dev/ttyUSB0", line.near)
        file = tmp_path / "bench.toml"
        file.write_text(text, encoding="utf-8")
        bench = load_bench(file)
        assert bench.plc.connect is not None
        way = transport_of(bench, bench.plc.connect)
        assert isinstance(way, Serial)
        server = ModbusSerialServer(profile.tags, image, Serial(line.far, way.baud, way.parity, way.stop_bits))
        await server.start()
        wire = Wire(way, 0.5, 0.0)
        try:
            seen = await carry_out(survey(Plan((1, 2))), wire)
            wire.close()
            found = {one.name: one for one in await diagnose_device(bench)}
            return seen, found, await reading(bench)
        finally:
            wire.close()
            await server.stop()

    with cable() as line:
        seen, found, shown = asyncio.run(visit(line))
    (unit,) = seen.units
    assert (unit.number, seen.silent) == (1, (2,))
    addresses = {tag.modbus.address for tag in profile.tags}
    assert addresses <= {address for table in unit.tables for address in table.values}
    assert {step: one.seen for step, one in found.items() if not one.healthy} == {}
    assert found["line"].seen.endswith("may be opened")
    assert {tag: shown[tag] for tag in SHOWN[name]} == pytest.approx(SHOWN[name])


def test_the_s7_profile_reads_what_an_s7_server_holds(tmp_path: Path) -> None:
    """python-snap7's server: the process image, and data block 10 as the page lays it out."""
    server = Server(log=False)
    block, inputs, outputs = bytearray(40), bytearray(128), bytearray(128)
    struct.pack_into(">Iffff", block, 0, 7, 1.25, 61.5, 2.0, 0.0)
    struct.pack_into(">h", block, 16, 1)
    inputs[0] = 0b10000
    struct.pack_into(">h", inputs, 64, 13824)
    server.register_area(SrvArea.DB, 10, block)
    server.register_area(SrvArea.PE, 0, inputs)
    server.register_area(SrvArea.PA, 0, outputs)
    server.start_to("127.0.0.1", 0)
    try:
        assert server.server_socket is not None
        port = server.server_socket.getsockname()[1]
        text = pointed(HARDWARE / "s7-1200.toml", port)
        shown = polled(text, tmp_path)
        stuck = {one.name: one for one in asyncio.run(diagnose_device(load_bench(tmp_path / "bench.toml")))}
    finally:
        server.stop()
    assert {name: shown[name] for name in SHOWN["s7-1200-modbus"]} == SHOWN["s7-1200-modbus"]
    assert [name for name, one in stuck.items() if not one.healthy] == ["counter"], "this block stands still"
    assert "plc.scan stood at 7" in stuck["counter"].seen


def polled(text: str, folder: Path) -> dict[str, float | bool | None]:
    """What the bench's own driver reads."""
    file = folder / "bench.toml"
    file.write_text(text, encoding="utf-8")
    return asyncio.run(reading(load_bench(file)))


async def reading(bench: Bench) -> dict[str, float | bool | None]:
    driver = device_of(bench)
    await driver.connect()
    try:
        poll = await driver.poll()
    finally:
        await driver.close()
    return {
        tag.name: None if raw is None else decode(tag, raw) for tag, raw in zip(driver.tags, poll.values, strict=True)
    }


def pointed(profile: Path, port: int) -> str:
    """The profile's text, with the device on this machine: by TCP, where a serial line stands."""
    text = profile.read_text("utf-8")
    text = text.replace('protocol = "modbus-rtu"', f'protocol = "modbus-tcp"\nhost = "127.0.0.1"\nport = {port}')
    text = re.sub(r"^(device|baud|parity|stop_bits) = .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r'^host = ".*"$', 'host = "127.0.0.1"', text, flags=re.MULTILINE)
    return re.sub(r"^port = \d+$", f"port = {port}", text, flags=re.MULTILINE)
