"""`testbed export` and `testbed verify --against`: what they say, how they end, and what they leave alone."""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Type


def bench(simulated: Path) -> tuple[str, str]:
    return "--bench", str(simulated / "bench.toml")


def test_what_is_exported_is_genuine_and_what_is_edited_is_not(typed: Type, simulated: Path) -> None:
    said = typed("export", *bench(simulated), "--out", "states.csv", "--tag", "tank2.level", "--tag", "pump.flow")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("40 states of water-cell/gateway: records ")
    assert "wrote states.csv, and states.csv-metadata.json, which says what it is" in said.out
    genuine = typed("verify", *bench(simulated), "--against", "states.csv")
    assert (genuine.code, genuine.err) == (0, "")
    assert "rows        40 genuine: lines 2 to 41\n" in genuine.out
    assert "compared    index, time, boot, scan, status and 2 tags\n" in genuine.out
    file = Path("states.csv")
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join([*lines[:10], lines[10].replace(",", ",9", 1), *lines[12:], "7" + lines[1]]), "utf-8")
    changed = typed("verify", *bench(simulated), "--against", "states.csv", "--json")
    found = json.loads(changed.out)
    assert (changed.code, found["verdict"], found["bench"]) == (1, "FALSIFIED", "GENUINE")
    kinds = {kind: said["count"] for kind, said in found["kinds"].items() if said["count"]}
    assert kinds == {"genuine": 38, "changed": 1, "made up": 1, "missing": 1}
    assert [one["what"] for one in found["findings"]] == ["altered", "invented", "deleted"]
    shown = typed("verify", *bench(simulated), "--against", "states.csv").out
    assert "FALSIFIED\n  altered, layer file: line 11 of states.csv, record " in shown
    assert "            1 missing: record " in shown


def test_the_file_s_name_or_an_option_says_the_format(typed: Type, simulated: Path) -> None:
    assert typed("export", *bench(simulated), "--out", "states.parquet").code == 0
    assert typed("export", *bench(simulated), "--out", "states.dat", "--format", "parquet").code == 0
    assert Path("states.parquet").read_bytes()[:4] == Path("states.dat").read_bytes()[:4] == b"PAR1"
    said = typed("export", *bench(simulated), "--out", "states")
    assert (said.code, "--format" in said.err) == (2, True)


def test_json_says_what_was_written(typed: Type, simulated: Path) -> None:
    more = ("--from", "scan:11", "--to", "scan:20", "--log", "reader", "--json")
    said = typed("export", *bench(simulated), "--out", "states.csv", *more)
    found = json.loads(said.out)
    assert (found["rows"], found["log"], found["first"]["scan"], found["last"]["scan"]) == (
        10,
        "water-cell/reader",
        11,
        20,
    )
    with Path("states.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["scan"]) for row in rows] == list(range(11, 21))
    assert [int(rows[0]["index"]), int(rows[-1]["index"])] == [found["first"]["index"], found["last"]["index"]]
    # The file says of itself whose log it is.
    against = typed("verify", *bench(simulated), "--against", "states.csv")
    assert (against.code, "10 rows, held against water-cell/reader" in against.out) == (0, True)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--log", "twin"), "--log twin: it holds no states"),
        (("--log", "nobody"), "--log nobody: it is no log of this bench"),
        (("--tag", "tank9.level"), "--tag tank9.level: water-cell/gateway has no such tag"),
        (("--from", "noon"), "--from noon: "),
        (("--to", "2026-01-01T00:00:00"), "write Z behind it where it is UTC"),
        (("--out", "absent/states.csv"), "absent/states.csv: not written: No such file or directory"),
        (("--out", "there.csv"), "there.csv: a file stands here already"),
        (("--out", "beside.csv"), "beside.csv-metadata.json: a file stands here already"),
    ],
)
def test_what_cannot_be_exported_is_said_and_nothing_is_left(
    typed: Type, simulated: Path, options: tuple[str, str], says: str
) -> None:
    for name in ("there.csv", "beside.csv-metadata.json"):
        Path(name).write_text("mine", encoding="utf-8")
    said = typed("export", *bench(simulated), "--out", "states.csv", *options)
    assert (said.code, said.out) == (2, "")
    assert says in said.err
    assert "mend: " in said.err
    assert sorted(path.name for path in Path().iterdir()) == ["beside.csv-metadata.json", "there.csv"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--against", "nothing.csv"), "nothing.csv: cannot be read: No such file"),
        (("--against", "other.csv"), "other.csv: no column of it is called index"),
        (("--against", "index.csv", "--log", "twin"), "--log twin: no log of that name holds states"),
        (("--against", "index.csv", "--record", "cell", "1"), "--against goes with neither"),
        (("--from", "1"), "--from and --to go with --against"),
        (("--log", "reader"), "--log goes with --record or --against"),
    ],
)
def test_what_cannot_be_held_against_a_log_is_said(
    typed: Type, simulated: Path, options: tuple[str, ...], says: str
) -> None:
    Path("other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    Path("index.csv").write_text("index\n1\n", encoding="utf-8")
    said = typed("verify", *bench(simulated), *options)
    assert (said.code, said.out) == (2, "")
    assert says in said.err


def test_a_file_of_another_bench_is_not_held_against_this_one(typed: Type, simulated: Path) -> None:
    assert typed("export", *bench(simulated), "--out", "states.csv").code == 0
    metadata = Path("states.csv-metadata.json")
    text = metadata.read_text(encoding="utf-8").replace('"water-cell/gateway"', '"other-cell/gateway"')
    metadata.write_text(text, encoding="utf-8")
    said = typed("verify", *bench(simulated), "--against", "states.csv")
    assert (said.code, "says that it is of other-cell/gateway" in said.err) == (2, True)


def test_a_state_whose_body_was_erased_is_left_out_and_counted(typed: Type, simulated: Path) -> None:
    shutil.copytree(simulated, "lab")
    with contextlib.closing(sqlite3.connect("lab/.testbed/gateway/log.sqlite")) as connection, connection:
        connection.execute("UPDATE records SET body = NULL WHERE idx = 20")
    said = typed("export", "--bench", "lab/bench.toml", "--out", "states.csv")
    assert (said.code, "  not in it: 1 state whose body was erased\n" in said.out) == (0, True)
    with Path("states.csv").open(encoding="utf-8", newline="") as file:
        indices = [int(row["index"]) for row in csv.DictReader(file)]
    assert 20 not in indices
    assert len(indices) == 39


def test_a_log_that_cannot_be_read_gives_no_file(typed: Type, simulated: Path) -> None:
    shutil.copytree(simulated, "lab")
    with contextlib.closing(sqlite3.connect("lab/.testbed/gateway/log.sqlite")) as connection, connection:
        connection.execute("UPDATE records SET body = x'00' WHERE idx = 20")
    said = typed("export", "--bench", "lab/bench.toml", "--out", "states.csv")
    assert (said.code, said.out) == (3, "")
    assert "mend: run `testbed verify` to see what was changed" in said.err
    assert [path.name for path in Path().iterdir()] == ["lab"]
