"""A doctor on the wire: each fault is found at its step, with the mend that cures it, and nothing is written."""

import asyncio
import os
import pty
import socket
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from testbed.rig.bench import load_bench
from testbed.rig.device_diagnosis import diagnose_device
from testbed.rig.diagnosed import Diagnosis
from tests.judges.foreign import Foreign, foreign, needs_modbus_serial

LOCAL = "127.0.0.1"
STEPS = ["host", "port", "connection", "identity", "addresses", "values", "counter", "writing"]


def words(value: float, order: str = "ABCD") -> list[int]:
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return [high, low] if order == "ABCD" else [low, high]


PLANT = {
    "1": {
        "holding": {0: 1, 1: 20, 2: 0, 3: 0},
        "input": {0: 0, 1: 0, 2: words(1.5)[0], 3: words(1.5)[1], 4: words(61.0)[0], 5: words(61.0)[1]},
        "coil": {0: 1},
        "identity": {0: "Maker", 1: "P-1", 2: "1.2"},
        "counter": 0,
    }
}
TAGS = [
    ("scan", "uint32", "0, 4294967295", "input_register", 0, ""),
    ("level", "float32", "0, 4", "input_register", 2, ""),
    ("temperature", "float32", "0, 100", "input_register", 4, ""),
    ("mode", "uint16", "0, 2", "holding_register", 0, "writable = true"),
    ("setpoint", "int16", "-50, 50", "holding_register", 1, ""),
    ("run", "bool", "", "coil", 0, ""),
]


class Bench:
    """A bench file that can be written with one thing wrong, and the device that it points at."""

    def __init__(self, folder: Path, device: Foreign) -> None:
        self._folder = folder
        self.device = device

    def doctor(self, *replaced: tuple[str, str], connect: str = "") -> dict[str, Diagnosis]:
        connect = connect or f'protocol = "modbus-tcp"\nhost = "{LOCAL}"\nport = {self.device.port}\ntimeout_ms = 300'
        text = '[bench]\nname = "lab"\n[[plc]]\nname = "box"\nkind = "physical"\nscan_tag = "scan"\n'
        text += f"[plc.connect]\n{connect}\n"
        for name, kind, reach, table, address, more in TAGS:
            text += f'[[plc.tag]]\nname = "{name}"\ntype = "{kind}"\n{more}\n'
            text += f"range = [{reach}]\n" if reach else ""
            text += f'modbus = {{ table = "{table}", address = {address} }}\n'
        text += '[[reader]]\nname = "gateway"\nplc = "box"\nprotocol = "device"\n'
        text += '[twin]\nmodel = "mirror_v1"\nfollows = "gateway"\n'
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new)
        file = self._folder / "bench.toml"
        file.write_text(text, encoding="utf-8")
        found = asyncio.run(diagnose_device(load_bench(file)))
        return {one.name: one for one in found}


@pytest.fixture
def plant() -> Mapping[str, Mapping[str, Any]]:
    return PLANT


@pytest.fixture
def bench(plant: Mapping[str, Mapping[str, Any]], tmp_path: Path) -> Iterator[Bench]:
    with foreign(plant, tmp_path) as device:
        yield Bench(tmp_path, device)
    assert device.said == {"writes": 0}


pytestmark = needs_modbus_serial


def at(name: str, table: str, address: int) -> str:
    """How a tag's place stands in the bench file."""
    assert any(tag[0] == name for tag in TAGS)
    return f'modbus = {{ table = "{table}", address = {address} }}'


def test_all_is_well(bench: Bench) -> None:
    found = bench.doctor()
    assert [one.name for one in found.values() if not one.healthy] == []
    assert list(found) == STEPS
    assert found["identity"].seen == "Maker, P-1, 1.2"
    assert found["addresses"].seen == "all 6 tags can be read"
    assert found["counter"].seen.startswith("scan moves, now at ")
    assert found["writing"].seen == "not tried; 1 tags are writable by this file"


def test_a_name_that_does_not_resolve(bench: Bench) -> None:
    found = bench.doctor((f'"{LOCAL}"', '"no-such-plc.invalid"'))
    assert list(found) == ["host"]
    assert "no-such-plc.invalid: no such name" in found["host"].seen
    assert "plc.connect.host" in found["host"].mend


def test_a_port_at_which_nobody_listens(bench: Bench) -> None:
    with socket.socket() as free:
        free.bind((LOCAL, 0))  # bound, and not listening
        found = bench.doctor((f"port = {bench.device.port}", f"port = {free.getsockname()[1]}"))
    assert list(found) == ["host", "port"]
    assert "nobody listens at this port" in found["port"].seen
    assert "plc.connect.port" in found["port"].mend


def test_a_unit_that_is_not_there(bench: Bench) -> None:
    found = bench.doctor(("timeout_ms = 300", "timeout_ms = 300\nunit = 7"))
    assert list(found)[-1] == "connection"
    assert "unit 7: the gateway says that nobody answers there (exception 0B)" in found["connection"].seen
    assert "`testbed scan` finds which units answer" in found["connection"].mend


def test_a_unit_that_is_silent(bench: Bench) -> None:
    with socket.create_server((LOCAL, 0)) as silent:  # it accepts, and says nothing
        found = bench.doctor((f"port = {bench.device.port}", f"port = {silent.getsockname()[1]}"))
    assert list(found)[-1] == "connection"
    assert "unit 1: no answer within 300 ms" in found["connection"].seen
    assert found["connection"].mend


def test_the_address_that_is_refused_is_named(bench: Bench) -> None:
    found = bench.doctor((at("setpoint", "holding_register", 1), at("setpoint", "holding_register", 90)))
    assert not found["addresses"].healthy
    assert "exception 02, there is no such address: setpoint at 90" in found["addresses"].seen
    assert "manual" in found["addresses"].mend
    assert found["values"].seen.startswith("5 values, each finite"), "the others are looked at all the same"


def test_a_manual_that_counts_from_one(bench: Bench) -> None:
    found = bench.doctor((at("temperature", "input_register", 4), at("temperature", "input_register", 5)))
    assert "temperature at 5" in found["addresses"].seen
    assert found["addresses"].mend.startswith("take 1 off their addresses")


def test_the_other_table(bench: Bench) -> None:
    found = bench.doctor((at("run", "coil", 0), at("run", "discrete_input", 0)))
    assert found["addresses"].mend == 'they can be read as coil: write table = "coil"'


@pytest.mark.parametrize(
    "plant",
    [{"1": {**PLANT["1"], "input": {0: 0, 1: 0, **dict(enumerate(words(1.5, "CDAB") + words(61.0, "CDAB"), 2))}}}],
)
def test_floats_whose_registers_are_swapped(bench: Bench) -> None:
    found = bench.doctor()
    assert not found["values"].healthy
    assert 'write byte_order = "CDAB" for level, temperature: level = 1.5' in found["values"].mend
    assert found["counter"].healthy
    placed = at("level", "input_register", 2), at("temperature", "input_register", 4)
    cured = bench.doctor(*((place, place.replace(" }", ', byte_order = "CDAB" }')) for place in placed))
    assert [one for one in cured.values() if not one.healthy] == []


@pytest.mark.parametrize("plant", [{"1": {**PLANT["1"], "holding": {0: 7, 1: 20, 2: 0, 3: 0}}}])
def test_a_value_out_of_its_range_that_no_order_cures(bench: Bench) -> None:
    found = bench.doctor()
    assert found["values"].seen == "mode = 7 (range 0..2)"
    assert "compare type, scale, byte_order, range and address" in found["values"].mend


@pytest.mark.parametrize("plant", [{"1": {key: value for key, value in PLANT["1"].items() if key != "counter"}}])
def test_a_counter_that_stands_still(bench: Bench) -> None:
    found = bench.doctor()
    assert found["counter"].seen == "scan stood at 0 for 3 s"
    assert "RUN" in found["counter"].mend
    assert "it has no counter of scans" in bench.doctor(('scan_tag = "scan"', 'scan_tag = ""'))["counter"].seen


@pytest.mark.parametrize("plant", [{"1": {**PLANT["1"], "most": 2}}])
def test_a_device_that_takes_few_registers_at_once(bench: Bench) -> None:
    found = bench.doctor()
    assert found["addresses"].healthy
    assert "most_registers = 2 under [plc.connect] spares errors" in found["addresses"].seen
    cured = bench.doctor(("timeout_ms = 300", "timeout_ms = 300\nmost_registers = 2"))
    assert cured["addresses"].seen == "all 6 tags can be read"


@pytest.mark.parametrize("plant", [{"1": {**PLANT["1"], "holding": {0: 1, 9: 20}, "identity": None}}])
def test_a_hole_between_tags(bench: Bench) -> None:
    placed = (at("setpoint", "holding_register", 1), at("setpoint", "holding_register", 9))
    found = bench.doctor(placed)
    assert "gap = 0 under [plc.connect] spares errors" in found["addresses"].seen
    assert found["identity"].seen == "it says nothing of itself"
    cured = bench.doctor(placed, ("timeout_ms = 300", "timeout_ms = 300\ngap = 0"))
    assert cured["addresses"].seen == "all 6 tags can be read"


def test_a_serial_device_that_is_not_there_or_no_serial_device(bench: Bench, tmp_path: Path) -> None:
    found = bench.doctor(connect='protocol = "modbus-rtu"\ndevice = "/dev/ttyUSB99"')
    assert list(found) == ["line"]
    assert "there is no such device" in found["line"].seen
    assert "plug the adapter in" in found["line"].mend
    found = bench.doctor(connect=f'protocol = "modbus-rtu"\ndevice = "{tmp_path}"')
    assert "not a serial device" in found["line"].seen


def test_a_serial_line_on_which_nobody_answers(bench: Bench) -> None:
    ours, theirs = pty.openpty()
    try:
        name = os.ttyname(theirs)
        found = bench.doctor(connect=f'protocol = "modbus-rtu"\ndevice = "{name}"\ntimeout_ms = 200\nparity = "N"')
    finally:
        os.close(ours)
        os.close(theirs)
    assert found["line"].healthy
    assert "unit 1: no answer within 200 ms" in found["connection"].seen
    assert found["connection"].mend.startswith("look at baud, parity, stop_bits and the two wires")
