"""`testbed import`: a file that loads, and a list of what could not be taken over; never half a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testbed.rig.bench import load_bench

if TYPE_CHECKING:
    from tests.cli.conftest import Type

LIST = 'Tag Name,Address,Data Type,Description\n"Füllstand 1",400001,Float,"Höhe"\ntext,400100.20H,String,\n'
TELEGRAF = """\
[[inputs.modbus]]
  controller = "tcp://10.0.0.7:502"
  slave_id = 1
  coils = [ { name = "run", address = [0] } ]
[[inputs.s7comm]]
  server = "10.0.0.9"
  [[inputs.s7comm.metric]]
    fields = [ { name = "rpm", address = "DB1.R4" } ]
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_a_list_of_kepware_becomes_a_bench(typed: Type, encoding: str) -> None:
    Path("Tank Farm.csv").write_bytes(LIST.encode(encoding))
    said = typed("import", "Tank Farm.csv", "--from", "kepware", "--out", "bench.toml", "--host", "10.0.0.5")
    assert (said.code, said.err) == (0, "")
    assert "bench.toml: 1 tags, by modbus-tcp" in said.out
    assert "Tank Farm.csv:2: Füllstand 1 is called F_llstand_1" in said.out
    assert (
        "left out    what a bench has no tags for: 1\n  Tank Farm.csv:3: text: String is no type of a tag" in said.out
    )
    assert "    mend: leave it to the other tool" in said.out
    bench = load_bench(Path("bench.toml"))
    assert bench.name == "tank-farm"
    assert bench.tags[0].name == "F_llstand_1"
    assert "# Höhe\n" in bench.text
    # What the file says is right, and `testbed tags` shows it.
    assert "F_llstand_1" in typed("tags", "--bench", "bench.toml").out


def test_an_input_of_telegraf_is_chosen(typed: Type) -> None:
    Path("telegraf.conf").write_text(TELEGRAF, encoding="utf-8")
    for which, protocol in (("1", "modbus-tcp"), ("2", "s7")):
        out = f"bench-{which}.toml"
        said = typed("import", "telegraf.conf", "--from", "telegraf", "--out", out, "--which", which, "--name", "Lab 2")
        assert (said.code, said.err) == (0, "")
        assert f"by {protocol}" in said.out
        assert "a bench has one PLC" in said.out
        assert load_bench(Path(out)).name == "lab-2"


def test_no_file_is_written_over_another(typed: Type) -> None:
    Path("a.csv").write_text(LIST, encoding="utf-8")
    Path("bench.toml").write_text("mine", encoding="utf-8")
    said = typed("import", "a.csv", "--from", "kepware", "--out", "bench.toml")
    assert said.code == 2
    assert "stands here already" in said.err
    assert Path("bench.toml").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("missing.csv", "kepware", "no such file"),
        ("missing.conf", "telegraf", "no such file of Telegraf"),
        ("a.csv", "telegraf", "not TOML"),
        ("telegraf.conf", "kepware", "no heading"),
    ],
)
def test_a_wrong_file_is_told_and_nothing_is_written(typed: Type, name: str, source: str, said: str) -> None:
    Path("a.csv").write_text(LIST, encoding="utf-8")
    Path("telegraf.conf").write_text(TELEGRAF, encoding="utf-8")
    answer = typed("import", name, "--from", source, "--out", "bench.toml")
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert "mend:" in answer.err
    assert not Path("bench.toml").exists()


def test_a_bench_that_would_not_load_is_not_left_behind(typed: Type) -> None:
    Path("a.csv").write_text(LIST, encoding="utf-8")
    answer = typed("import", "a.csv", "--from", "kepware", "--out", "bench.toml", "--host", "a host")
    assert answer.code == 2
    assert "plc.connect.host" in answer.err
    assert not Path("bench.toml").exists()
