"""`testbed verify REPORT`, typed: what it says of a report, how it ends, and that the README shows what it says."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testbed.core.clock import VirtualClock
from testbed.rig.bench import load_bench
from testbed.rig.default import default_text
from testbed.rig.lockstep import START_NS, simulate
from tests.rig.runs import HEAT, write_run

if TYPE_CHECKING:
    from tests.cli.conftest import Type

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a bench on which a run was logged and anchored. Not to be changed."""
    folder = tmp_path_factory.mktemp("reported")
    (folder / "bench.toml").write_text(default_text().replace("every = 256", "every = 32"), encoding="utf-8")
    bench = load_bench(folder / "bench.toml")

    def test(scan: int) -> None:
        if scan == 30:
            write_run(bench, folder / "evidence", scan, VirtualClock(START_NS + scan * 10**8))

    asyncio.run(simulate(bench, 50, 5, progress=test))
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """The run's own folder, seen from where the test types: a copy, to be changed."""
    shutil.copytree(finished / "evidence", tmp_path / "evidence")
    (found,) = (tmp_path / "evidence").iterdir()
    return found.relative_to(tmp_path)


def test_an_untouched_report_is_genuine_and_its_device_anchor_and_blocks_are_named(
    typed: Type, finished: Path, run: Path
) -> None:
    trust, bench = str(finished / "trust.toml"), str(finished / "bench.toml")
    said = typed("verify", str(run), "--trust", trust, "--bench", bench)
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[:2] == ["GENUINE", ""]
    assert re.fullmatch(r"report      run-\S+: 6 of 6 files, \d+ lines, as the run left them", lines[2])
    assert lines[3] == "tests       3 tests: 2 PASS, 1 FAIL; 4 measurements, 1 of them not PASS"
    assert lines[4].startswith("device      Attestbed emulated-plc, firmware 1.0, by modbus; as record ")
    assert any(line.startswith("record      ") and line.endswith(" of water-cell/operator") for line in lines)
    assert re.search(r"^block       \d+, 0x[0-9a-f]{64}, 2026-01-01T00:00:\d\dZ$", said.out, re.MULTILINE)
    assert re.search(r"^logged      between block \d+ \(.*\) and block \d+ \(.*\)$", said.out, re.MULTILINE)
    assert "not proved  " in said.out
    # The manifest stands for its folder.
    again = typed("verify", str(run / "manifest.json"), "--trust", trust, "--bench", bench)
    assert again.out.splitlines()[3:] == lines[3:]


@pytest.mark.parametrize("name", ["measurements.jsonl", "junit.xml", "report.html", "run.jsonl"])
def test_a_report_that_was_edited_in_one_character_is_falsified_and_the_measurement_named(
    typed: Type, finished: Path, run: Path, name: str
) -> None:
    text = (run / name).read_text(encoding="utf-8")
    place = text.rindex("61.25")
    (run / name).write_text(f"{text[:place]}51.25{text[place + 5 :]}", encoding="utf-8")
    said = typed("verify", str(run), "--bench", str(finished / "bench.toml"))
    assert said.code == 1
    verdict, found, *_ = said.out.splitlines()
    assert verdict == "FALSIFIED"
    about = rf": {re.escape(HEAT)}(?: tank2\.temperature)?" if name in ("junit.xml", "run.jsonl") else ""
    assert re.match(rf"  altered, layer report: line \d+ of {re.escape(name)}{about}", found)
    assert HEAT in found
    assert "5 of 6 files as the run left them" in said.out


def test_a_machine_gets_one_object(typed: Type, finished: Path, run: Path) -> None:
    said = typed("verify", str(run), "--bench", str(finished / "bench.toml"), "--json")
    found = json.loads(said.out)
    assert (said.code, found["verdict"], found["findings"], found["run"]) == (0, "GENUINE", [], run.name)
    assert found["device"]["firmware"] == "1.0"
    assert found["seen"][0] == "water-cell/gateway"
    assert found["record"]["kind"] == "test"
    (run / "junit.xml").unlink()
    (run / "extra").write_text("")
    said = typed("verify", str(run), "--bench", str(finished / "bench.toml"), "--json")
    found = json.loads(said.out)
    assert (said.code, found["verdict"]) == (1, "FALSIFIED")
    assert [(one["what"], one["layer"], one["where"]) for one in found["findings"]] == [
        ("deleted", "report", "junit.xml"),
        ("inserted", "report", "extra"),
    ]


def test_what_is_no_report_is_wrong_usage(typed: Type, finished: Path, run: Path) -> None:
    bench = ("--bench", str(finished / "bench.toml"))
    for wrong in (str(run.parent), "nowhere", str(run / "junit.xml")):
        said = typed("verify", wrong, *bench)
        assert (said.code, said.out) == (2, "")
        assert "mend: " in said.err
    said = typed("verify", str(run), *bench, "--record", "cell", "1")
    assert (said.code, said.out) == (2, "")


def test_without_a_trust_file_no_report_is_genuine(typed: Type, finished: Path, run: Path) -> None:
    shutil.copy(finished / "bench.toml", "bench.toml")
    assert typed("verify", str(run)).code == 3


def test_the_readme_shows_what_is_said(typed: Type, finished: Path, run: Path) -> None:
    """Names, numbers and hashes are those of another run; the words are those of the code."""
    (block,) = re.findall(r"```text\n\$ testbed verify evidence/.*?```", README.read_text(encoding="utf-8"), re.DOTALL)
    text = (run / "report.html").read_text(encoding="utf-8")
    (run / "report.html").write_text(text.replace(">61.25", ">51.25"), encoding="utf-8")
    said = typed("verify", str(run), "--bench", str(finished / "bench.toml"))

    def masked(text: str) -> list[str]:
        return [re.sub(r"run-\S+(?=:)|tests/\S+ \S+|[0-9a-f]{40,}|\d+", "#", line) for line in text.splitlines()]

    shown = [line for line in masked(block)[2:-1] if line != "..."]
    assert len(shown) >= 6
    assert [line for line in shown if line not in masked(said.out)] == []
