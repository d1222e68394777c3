"""A newcomer, from a box on a wire to a first green test: nothing is edited but the names of tags.

The box is a server by another author that holds a small plant. What is typed here is what hardware/README.md says.
"""

import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.judges.foreign import Foreign, foreign, needs_modbus_serial

pytestmark = needs_modbus_serial

NAMES = {
    "ir_2": "tank.level",
    "ir_4": "tank.temperature",
    "ir_6": "tank.inflow",
    "hr_0": "control.mode",
    "hr_1": "control.setpoint",
    "coil_0": "pump.runs",
    "coil_1": "valve.open",
    "di_0": "door.closed",
}
FIRST_TEST = """
def test_the_tank_is_filled_by_its_pump(plc, measure):
    assert plc.read("pump.runs") is True
    assert plc.read("control.mode") == 2
    measure("tank.level").within(1.2, 1.3)
    measure("tank.inflow").above(0.1)
"""
TESTBED = str(Path(sys.executable).with_name("testbed"))
# The newcomer has pytest and this package; what else this environment has is not theirs.
PYTEST = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:asyncio", "--allow-physical")


def plant() -> dict[str, dict[str, object]]:
    registers = [word for value in (1.25, 61.5, 0.75) for word in struct.unpack(">HH", struct.pack(">f", value))]
    return {
        "1": {
            "input": {0: 0, 1: 0, **dict(enumerate(registers, 2))},
            "counter": 0,
            "holding": {0: 2, 1: 125},
            "coil": {0: 1, 1: 0},
            "discrete": {0: 1},
            "identity": {0: "Acme", 1: "TANK-1", 2: "1.2"},
        }
    }


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Foreign]:
    folder = tmp_path / "box"
    folder.mkdir()
    with foreign(plant(), folder) as device:
        yield device
    assert device.said == {"writes": 0}


class Newcomer:
    """Somebody at a terminal, in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.profile = folder / "bench.toml"
        folder.mkdir()

    def types(self, *command: str, fails: bool = False) -> str:
        """What is printed. `testbed` and `pytest` are those of this environment."""
        program = {"testbed": (TESTBED,), "pytest": PYTEST}[command[0]]
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("TESTBED_", "PYTEST_"))}
        done = subprocess.run(
            (*program, *command[1:]),
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode, done.stderr) == (int(fails), ""), done.stdout
        return done.stdout

    def renames(self, names: dict[str, str]) -> None:
        """Edits the drafted profile: names of tags, and nothing else."""
        drafted = edited = self.profile.read_text("utf-8")
        for drafted_name, name in names.items():
            assert f'name = "{drafted_name}"' in drafted
            edited = edited.replace(f'name = "{drafted_name}"', f'name = "{name}"')
        assert nameless(edited) == nameless(drafted)
        self.profile.write_text(edited, encoding="utf-8")


def nameless(text: str) -> str:
    return re.sub(r'^name = ".*"$', "", text, flags=re.MULTILINE)


@pytest.fixture
def newcomer(tmp_path: Path) -> Newcomer:
    return Newcomer(tmp_path / "mine")


def test_from_a_box_on_a_wire_to_a_first_green_test(box: Foreign, newcomer: Newcomer) -> None:
    said = newcomer.types("testbed", "scan", f"127.0.0.1:{box.port}", "--out", "bench.toml")
    assert "Acme, TANK-1, 1.2" in said
    assert "nothing was written" in said

    newcomer.renames(NAMES)
    said = newcomer.types("testbed", "doctor", "bench.toml")
    assert "FAIL" not in said
    assert re.search(r"ok +values +\d+ values, each finite and within its range", said)
    assert "tank.level = 1.25" in newcomer.types("testbed", "read", "tank.level", "--by", "device")

    (newcomer.folder / "test_first.py").write_text(FIRST_TEST, encoding="utf-8")
    assert "1 passed" in newcomer.types("pytest", "test_first.py")


def test_a_newcomer_whose_tank_is_not_full_gets_a_red_test(box: Foreign, newcomer: Newcomer) -> None:
    """The twin: the same way, and another number stands where the test looks."""
    newcomer.types("testbed", "scan", f"127.0.0.1:{box.port}", "--out", "bench.toml")
    newcomer.renames({**NAMES, "ir_2": "tank.inflow", "ir_6": "tank.level"})
    (newcomer.folder / "test_first.py").write_text(FIRST_TEST, encoding="utf-8")
    assert "1 failed" in newcomer.types("pytest", "test_first.py", fails=True)
