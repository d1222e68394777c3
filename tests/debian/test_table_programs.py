"""Exported states in pandas, a spreadsheet and DuckDB: read as numbers, saved again, and still what was logged.

`make judges` runs this.
"""

import json
import math
import shutil
from pathlib import Path

import pytest

from testbed.core.finding import Verdict
from testbed.rig.against import audit_file
from testbed.rig.bench import Bench
from testbed.verify.against import Row
from tests.debian import environment
from tests.debian.conftest import SCANS

pytestmark = pytest.mark.judges


@pytest.mark.parametrize(
    ("program", "form", "saved"),
    [("pandas", "csv", "csv"), ("excel", "csv", "csv"), ("duckdb", "csv", "csv"), ("duckdb", "parquet", "parquet")],
)
def test_what_a_program_reads_and_saves_is_what_was_logged(
    bench: Bench, tmp_path: Path, program: str, form: str, saved: str
) -> None:
    file, out = bench.folder / f"states.{form}", tmp_path / f"saved.{saved}"
    said = json.loads(environment.run("table_programs.py", program, file, out))
    assert said["rows"] == SCANS
    assert said["sums"][0] == SCANS * (SCANS + 1) / 2
    assert math.isfinite(said["sums"][1])
    types = dict(zip(said["columns"], said["types"], strict=True))
    assert "bool" in types["alarm.high_level"].lower()
    assert any(name in types["scan"].lower() for name in ("int", "uint"))
    assert any(name in types[level_of(types)].lower() for name in ("float", "double"))
    found, _ = audit_file(bench, bench.trust_file, out, None, None)
    assert (found.verdict, found.findings) == (Verdict.GENUINE, [])
    assert {kind: spans.count for kind, spans in found.kinds.items() if spans.count} == {Row.GENUINE: SCANS}


def level_of(columns: dict[str, str]) -> str:
    return next(name for name in columns if name.startswith("tank2.level"))


def test_csv_on_the_web_reads_types_and_titles_from_the_file_beside(bench: Bench, tmp_path: Path) -> None:
    said = json.loads(environment.run("csv_on_the_web.py", bench.folder / "states.csv"))
    assert (said["valid"], said["complaints"], said["rows"]) == (True, [], SCANS)
    assert (said["first"]["scan"], said["first"]["status"], said["first"]["alarm.high_level"]) == ("1", "good", "False")
    assert said["first"]["time"].startswith("2026-01-01 00:00:00.1")
    # A cell that is not of its type is refused there.
    copy = Path(shutil.copytree(bench.folder, tmp_path / "copy", ignore=shutil.ignore_patterns(".*"))) / "states.csv"
    copy.write_text(copy.read_text(encoding="utf-8").replace('"good",', '"good",x', 1), encoding="utf-8")
    assert not json.loads(environment.run("csv_on_the_web.py", copy))["valid"]


def test_a_cell_that_was_edited_there_is_found(bench: Bench, tmp_path: Path) -> None:
    out = tmp_path / "saved.csv"
    environment.run("table_programs.py", "excel", bench.folder / "states.csv", out)
    lines = out.read_text(encoding="utf-8-sig").splitlines()
    cells = lines[50].split(";")
    place = [title.partition(" ")[0] for title in lines[0].split(";")].index("tank2.level")
    cells[place] = "1.5"
    out.write_text("\n".join([*lines[:50], ";".join(cells), *lines[51:]]) + "\n", encoding="utf-8-sig")
    found, _ = audit_file(bench, bench.trust_file, out, None, None)
    assert found.verdict is Verdict.FALSIFIED
    assert found.kinds[Row.CHANGED].spans == [[51, 51]]
    assert found.findings[0].detail.startswith("tank2.level is '1.5', the log says ")
