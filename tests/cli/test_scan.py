"""`testbed scan` and `testbed doctor PROFILE`, as people type them."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.core.errors import UsageError
from testbed.core.tags import ModbusTable
from testbed.rig.bench import load_bench
from testbed.rig.scanning import addresses_of, place_of, server_of, units_of
from tests.cli.conftest import Type
from tests.judges.foreign import Foreign, foreign, needs_modbus_serial

LOCAL = "127.0.0.1"
BOX = {"1": {"holding": {0: 17, 1: 4}, "coil": {0: 1}, "identity": {0: "Acme", 1: "P-1", 2: "1.2"}}}


@pytest.fixture
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    with foreign(BOX, tmp_path_factory.mktemp("box")) as device:
        yield device
    assert device.said == {"writes": 0}


class TestABox:
    """A device by another author."""

    pytestmark = needs_modbus_serial

    def test_a_scan_tells_what_it_saw_and_writes_a_profile(self, typed: Type, box: Foreign) -> None:
        said = typed("scan", f"{LOCAL}:{box.port}", "--pause-ms", "0", "--units", "1,9", "--out", "mine.toml")
        assert (said.code, said.err) == (0, "")
        lines = said.out.splitlines()
        assert lines[:3] == [
            "unit 1      Acme, P-1, 1.2",
            "            holding registers 0..1",
            "            coils 0",
        ]
        assert "no answer   units 9" in lines
        assert lines[-2:] == ["profile     mine.toml", "next        name its tags, then `testbed doctor mine.toml`"]
        assert [tag.name for tag in load_bench(Path("mine.toml")).tags] == ["hr_0", "hr_1", "coil_0"]
        checked = typed("doctor", "mine.toml")
        assert (checked.code, "FAIL" in checked.out) == (0, False)
        assert "ok    ledger      not begun; `testbed init --bench mine.toml`" in checked.out
        assert typed("doctor", "mine.toml", "--bench", "mine.toml").code == 2

    def test_a_profile_is_not_overwritten(self, typed: Type, box: Foreign) -> None:
        Path("mine.toml").write_text("edited", encoding="utf-8")
        said = typed("scan", f"{LOCAL}:{box.port}", "--out", "mine.toml")
        assert (said.code, said.out) == (2, "")
        assert "mine.toml: there is such a file already" in said.err
        assert Path("mine.toml").read_text("utf-8") == "edited"

    def test_without_out_nothing_is_written(self, typed: Type, box: Foreign) -> None:
        said = typed("scan", f"{LOCAL}:{box.port}", "--units", "1", "--addresses", "holding_register:0-5", "--json")
        facts = json.loads(said.out)
        assert facts["units"][0]["tables"] == [
            {"table": "holding_register", "ranges": [[0, 1]], "most": None, "pairs": False, "notes": []}
        ]
        assert (facts["profile"], facts["silent"]) == (None, [])
        assert list(Path().iterdir()) == []

    def test_on_a_terminal_it_shows_what_it_is_asking(self, box: Foreign, tmp_path: Path) -> None:
        ours, theirs = os.openpty()
        command = [sys.executable, "-m", "testbed.cli.main", "scan", f"{LOCAL}:{box.port}", "--units", "1"]
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
        shown = b""
        with subprocess.Popen(command, cwd=tmp_path, stdout=theirs, stderr=theirs, env=environment) as process:
            os.close(theirs)
            try:
                while part := os.read(ours, 4096):
                    shown += part
            except OSError:  # Linux says so that nobody holds the other end any more
                pass
            finally:
                process.kill()
                os.close(ours)
        text = shown.decode()
        assert "unit 1, holding registers" in text
        assert "unit 1      Acme, P-1, 1.2" in text
        assert "Traceback" not in text

    def test_a_doctor_of_a_broken_profile_fails_with_its_mend(self, typed: Type, box: Foreign) -> None:
        typed("scan", f"{LOCAL}:{box.port}", "--pause-ms", "0", "--units", "1", "--out", "mine.toml")
        text = Path("mine.toml").read_text("utf-8")
        Path("mine.toml").write_text(text.replace("address = 1 ", "address = 70 "), encoding="utf-8")
        said = typed("doctor", "mine.toml")
        assert said.code == 1
        assert "FAIL  addresses   unit 1, holding_register 70..70: exception 02, there is no such address" in said.out
        assert said.out.count("FAIL") == said.out.count("mend: ")


def test_nobody_there_and_nobody_who_answers(typed: Type) -> None:
    with socket.socket() as free:
        free.bind((LOCAL, 0))
        said = typed("scan", f"{LOCAL}:{free.getsockname()[1]}")
    assert (said.code, said.out) == (3, "")
    assert "no connection" in said.err
    assert "mend: " in said.err
    with socket.create_server((LOCAL, 0)) as silent:
        said = typed("scan", f"{LOCAL}:{silent.getsockname()[1]}", "--units", "3,4", "--timeout-ms", "50")
    assert said.code == 3
    assert "connected, and none of the units 3, 4 answers" in said.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("",),
        ("a b",),
        ("plc:0",),
        ("plc:99999",),
        ("plc:five",),
        ("plc", "--units", "1-"),
        ("plc", "--units", "9-1"),
        ("plc", "--units", "256"),
        ("plc", "--units", ""),
        ("plc", "--addresses", "nosuch:0-9"),
        ("plc", "--addresses", "coil:0-65536"),
        ("plc", "--addresses", "coil"),
        ("plc", "--requests", "0"),
        ("plc", "--timeout-ms", "0"),
        ("plc", "--pause-ms", "-1"),
        ("plc", "--certificate", "a.pem"),
        ("plc", "--protocol", "opcua", "--requests", "0"),
        ("/dev/ttyUSB0", "--protocol", "modbus-rtu", "--units", "0"),
        ("/dev/ttyUSB0", "--protocol", "modbus-rtu", "--baud", "0"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_asked(typed: Type, arguments: tuple[str, ...]) -> None:
    said = typed("scan", *arguments)
    assert (said.code, said.out) == (2, "")
    assert "mend: " in said.err
    assert "Traceback" not in said.err


def test_ways_to_name_a_place() -> None:
    assert place_of("plc", 502) == ("plc", 502)
    assert place_of("10.0.0.5:1502", 502) == ("10.0.0.5", 1502)
    assert place_of("[::1]:1502", 502) == ("::1", 1502)
    assert place_of("::1", 502) == ("::1", 502)
    assert server_of("opc.tcp://plc:4841/a/b")[0] == "opc.tcp://plc:4841/a/b"
    assert server_of("plc") == ("opc.tcp://plc:4840", {"protocol": "opcua", "host": "plc", "port": 4840})
    assert units_of("3,1-2,2") == (3, 1, 2)
    assert addresses_of(["coil:0-9,20", "coil:30", "input_register:5"]) == {
        ModbusTable.COIL: ((0, 9), (20, 20), (30, 30)),
        ModbusTable.INPUT_REGISTER: ((5, 5),),
    }
    with pytest.raises(UsageError, match="no port"):
        place_of("plc:x", 502)
