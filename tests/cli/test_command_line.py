"""What the command line says and how it ends: help, exit codes, one JSON object, and never a traceback."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testbed.attacks.kinds import KINDS
from testbed.rig import falsifying
from testbed.rig.default import default_text
from tests.cli.write_help import COMMANDS

if TYPE_CHECKING:
    from tests.cli.conftest import Type

HELP = Path(__file__).with_name("help.txt")


def test_help_is_the_committed_text(typed: Type) -> None:
    """After a wanted change: `python tests/cli/write_help.py`."""
    sections = re.split(r"^\$ (testbed .*--help)\n", HELP.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    golden = dict(zip(sections[::2], sections[1::2], strict=True))
    asked = ["testbed --help", *(f"testbed {command} --help" for command in COMMANDS)]
    assert list(golden) == asked
    for line in asked:
        said = typed(*line.split()[1:])
        assert (said.code, said.out + "\n") == (0, golden[line]), line


def test_every_command_is_listed(typed: Type) -> None:
    listed = re.findall(r"^    ([\w-]+)(?: |$)", typed("--help").out, re.MULTILINE)
    # A command of a command is listed there.
    assert listed == [command for command in COMMANDS if " " not in command]


@pytest.mark.parametrize("arguments", [(), ("nosuch",), ("up", "now"), ("falsify",), ("falsify", "nosuch"), ("run",)])
def test_what_cannot_be_typed_ends_with_2(typed: Type, arguments: tuple[str, ...]) -> None:
    said = typed(*arguments)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("usage: testbed")


def test_a_wrong_key_is_answered_with_its_neighbour(typed: Type) -> None:
    Path("bench.toml").write_text(default_text().replace("within_s", "wthin_s"), encoding="utf-8")
    said = typed("status")
    assert said.code == 2
    line = next(n for n, text in enumerate(default_text().splitlines(), 1) if text.startswith("within_s"))
    assert f"bench.toml:{line}: anchor.wthin_s" in said.err
    assert "within_s" in said.err.partition("mend:")[2]


def test_without_a_trust_file_nothing_is_called_genuine(typed: Type) -> None:
    said = typed("verify")
    assert (said.code, said.err) == (3, "")
    assert said.out.startswith("INCONCLUSIVE  there is no trust file trust.toml")
    assert "mend: " in said.out
    as_json = typed("verify", "--json")
    assert (as_json.code, json.loads(as_json.out)["verdict"]) == (3, "INCONCLUSIVE")
    named = typed("verify", "--trust", "mine.toml")
    assert (named.code, named.out) == (2, "")
    assert "mine.toml" in named.err


def test_a_trust_file_with_other_keys_finds_a_wrong_key(typed: Type, simulated: Path) -> None:
    assert typed("simulate", "other", "--scans", "1", "--seed", "9").code == 0
    bench = str(simulated / "bench.toml")
    assert typed("verify", "--bench", bench).code == 0
    said = typed("verify", "--bench", bench, "--trust", "other/trust.toml")
    assert said.code == 1
    assert said.out.startswith("FALSIFIED\n")
    assert "wrong key, layer identity: " in said.out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("value", "--index", "-1"), "--index -1"),
        (("value", "--index", "4000"), "4000"),
        (("value", "--index", "9" * 30), "9999"),
        (("value", "--tag", "nosuch"), "nosuch"),
        (("value", "--to", "many"), "'many'"),
        (("value", "--log", "nosuch"), "nosuch"),
        (("upper-tile",), ""),
        (("chain", "--index", "4000"), "4000"),
        (("value", "--tag", "control.mode", "--to", "99999"), "control.mode is uint16"),
        (("value", "--tag", "control.mode", "--to", "1.5"), "control.mode is uint16"),
        (("value", "--tag", "estop.active", "--to", "1"), "estop.active is bool"),
        (("value", "--to", "1e300"), "tank2.level is float32"),
        (("value", "--to", "9" * 400), "tank2.level is float32"),
        (("source-record", "--to", "true"), "tank2.level is float32"),
        (("slot", "--tag", "tank2.level"), "slot on the log of gateway has no --tag and no --to"),
        (("slot", "--at", "first"), "slot has no --at and no --index"),
        (("delete", "--to", "1"), "delete on the log of gateway has no --tag and no --to"),
        (("value", "--log", "twin", "--to", "1"), "value on the log of twin has no --tag and no --to"),
        (("twin-record", "--log", "gateway"), "twin-record is about the log of twin"),
        (("source-record", "--log", "twin"), "source-record is about the log of gateway"),
    ],
)
def test_a_falsification_that_makes_no_sense_changes_nothing(
    typed: Type, simulated: Path, arguments: tuple[str, ...], problem: str
) -> None:
    shutil.copytree(simulated, "lab")
    said = typed("falsify", *arguments, "--bench", "lab/bench.toml")
    assert (said.code, said.out) == (2, "")
    assert problem in said.err
    assert "mend: " in said.err
    assert typed("verify", "--bench", "lab/bench.toml").code == 0


def test_a_whole_number_will_do_for_a_float(typed: Type, simulated: Path) -> None:
    shutil.copytree(simulated, "lab")
    done = typed("falsify", "value", "--to", "99999", "--bench", "lab/bench.toml")
    assert (done.code, done.err) == (0, "")
    assert " to 99999 m, in the store" in done.out
    assert typed("verify", "--bench", "lab/bench.toml").code == 1


def test_every_kind_that_is_listed_is_done_by_something() -> None:
    assert list(falsifying._ATTACKS) == list(KINDS)  # the one place that says who does what


def everything(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest.mark.parametrize("command", ["verify", "status", "export --out=states.csv"])
def test_to_look_at_a_bench_leaves_it_as_it_is(typed: Type, simulated: Path, command: str) -> None:
    shutil.copytree(simulated, "lab")
    for path in Path("lab").rglob("log.sqlite-*"):  # a reader that left last could not remove them; they are empty
        path.unlink()
    before = everything(Path("lab"))
    assert typed(*command.split(), "--bench", "lab/bench.toml").code == 0
    assert everything(Path("lab")) == before


def test_a_log_that_cannot_be_read_has_no_size(typed: Type, simulated: Path) -> None:
    shutil.copytree(simulated, "lab")
    Path("lab/.testbed/twin/log.sqlite").write_bytes(b"no database" * 100)
    Path("lab/.testbed/chain/genesis.json").write_text("{}", encoding="utf-8")
    said = typed("status", "--bench", "lab/bench.toml")
    assert said.code == 3
    assert "cannot be read: lab/.testbed/twin/log.sqlite: SQLite cannot read the log" in said.out
    assert re.search(r"gateway \d+ \(\d+ anchored\)   reader .*   twin 0 \(", said.out)
    as_json = typed("status", "--json", "--bench", "lab/bench.toml")
    assert (as_json.code, len(json.loads(as_json.out)["problems"])) == (3, 1)
    found = typed("doctor", "--bench", "lab/bench.toml").out
    assert "FAIL  logs        lab/.testbed/twin/log.sqlite: SQLite cannot read the log" in found
    assert "FAIL  genesis     lab/.testbed/chain/genesis.json: not a genesis file" in found
    assert found.count("FAIL") == found.count("mend: ")


@pytest.mark.parametrize(
    "arguments", [("init", "--in", "file"), ("init", "--in", "/proc/x"), ("simulate", "file"), ("simulate", "file/x")]
)
def test_a_folder_that_cannot_be_made_is_named(typed: Type, arguments: tuple[str, ...]) -> None:
    Path("file").touch()
    said = typed(*arguments)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"error: {arguments[-1]}: no folder can be made here: ")
    assert "mend: name a folder" in said.err


def test_a_role_cannot_live_with_a_parent_that_says_nothing(simulated: Path) -> None:
    command = [sys.executable, "-m", "testbed.cli.main", "run", "twin", "--with-parent"]
    said = subprocess.run(
        [*command, "--bench", str(simulated / "bench.toml")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert said.returncode == 2
    line = json.loads(said.stderr.splitlines()[-1])
    assert (line["level"], line["role"], line["exit_code"]) == ("critical", "twin", 2)
    assert line["event"].startswith("--with-parent: standard input cannot be waited on")
    assert line["mend"].startswith("start it with a pipe")


def test_a_falsification_says_what_is_to_be_found(typed: Type, simulated: Path) -> None:
    shutil.copytree(simulated, "lab")
    done = typed("falsify", "delete", "--json", "--bench", "lab/bench.toml")
    (expected,) = json.loads(done.out)["expected"]
    assert (done.code, expected["what"], expected["layer"]) == (0, "deleted", "store")
    found = typed("verify", "--json", "--bench", "lab/bench.toml")
    (finding,) = json.loads(found.out)["findings"]
    assert found.code == 1
    assert (finding["what"], finding["where"]) == ("deleted", expected["where"])


def test_an_empty_folder_has_a_status(typed: Type) -> None:
    said = typed("status")
    assert (said.code, said.out.count("not running")) == (0, 7)
    assert "data in .testbed\n" in said.out
    assert json.loads(typed("status", "--json").out)["logs"]["gateway"] == {"size": 0, "anchored": 0}
    assert list(Path().iterdir()) == [], "to look makes nothing"


def test_a_doctor_names_a_mend_for_each_problem(typed: Type) -> None:
    said = typed("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(said.out)["checks"]}
    assert said.code == 1
    for name in ("keys", "trust file", "journal"):
        assert "testbed init" in checks[name]["mend"], name
    assert [name for name in ("python", "bench file", "disk", "chain") if checks[name]["mend"]] == []
    assert list(Path().iterdir()) == [], "to look makes nothing"


def test_a_doctor_finds_what_is_wrong_with_a_bench(typed: Type, simulated: Path) -> None:
    shutil.copytree(simulated, "lab")
    bench = Path("lab/bench.toml")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        bench.write_text(bench.read_text("utf-8").replace("port = 5020", f"port = {port}"), encoding="utf-8")
        said = typed("doctor", "--bench", str(bench))
    assert said.code == 1
    assert f"FAIL  ports       plc.modbus 127.0.0.1:{port}: Address already in use" in said.out
    assert "--port-shift" in said.out

    Path("lab/.testbed/gateway/key").chmod(0o644)
    said = typed("doctor", "--bench", str(bench))
    assert "FAIL  keys        lab/.testbed/gateway/key: mode 0644 lets others at the key" in said.out
    assert "mend: chmod 600 lab/.testbed/gateway/key" in said.out
    Path("lab/.testbed/gateway/key").chmod(0o600)

    assert typed("simulate", "other", "--scans", "1", "--seed", "9").code == 0
    Path("lab/trust.toml").write_bytes(Path("other/trust.toml").read_bytes())
    said = typed("doctor", "--bench", str(bench))
    assert "FAIL  trust file  lab/bench.toml: reader.name has a key in lab/.testbed/gateway/key that is not" in said.out
    assert said.out.count("FAIL") == said.out.count("mend: ")


def test_tags_are_listed_as_they_stand_on_each_protocol(typed: Type) -> None:
    said = typed("tags")
    assert said.code == 0
    row = next(line for line in said.out.splitlines() if line.startswith("control.level_setpoint "))
    assert row.split()[1:7] == ["float32", "0..2", "m", "writable", "holding_register", "2"]
    assert row.split()[7:] == ["cell.control.level_setpoint"]
    facts = {tag["name"]: tag for tag in json.loads(typed("tags", "--json").out)["tags"]}
    assert (facts["control.reset"]["writable"], facts["control.reset"]["momentary"]) == (True, True)
    assert facts["tank1.level"]["modbus"] == {"table": "input_register", "address": 4, "byte_order": "ABCD"}


def test_what_does_not_run_can_neither_be_read_nor_commanded(typed: Type, simulated: Path) -> None:
    assert "there is no tag 'tank9'" in typed("read", "tank9").err
    said = typed("read")
    assert (said.code, said.out) == (3, "")
    assert "mend: start the role plc" in said.err
    assert "run `testbed init` once" in typed("write", "control.mode", "1").err
    assert "'one' is no value" in typed("write", "control.mode", "one").err
    assert "give the name of a person" in typed("write", "control.mode", "1", "--who", " ").err
    said = typed("write", "control.mode", "1", "--bench", str(simulated / "bench.toml"))
    assert (said.code, said.out) == (2, "")
    assert "this bench was simulated" in said.err


def test_a_command_that_reaches_no_plc_is_not_logged(typed: Type) -> None:
    typed("init", "--in", "mine")
    assert typed("init", "--bench", "mine/bench.toml").code == 0
    before = typed("status", "--json", "--bench", "mine/bench.toml").out
    said = typed("write", "control.mode", "1", "--bench", "mine/bench.toml")
    assert said.code == 3
    assert "mend: start the role plc" in said.err
    assert typed("status", "--json", "--bench", "mine/bench.toml").out == before


def test_a_bench_is_made_once(typed: Type) -> None:
    assert typed("init", "--in", "mine").out.splitlines()[-1] == "next        testbed init --bench mine/bench.toml"
    assert Path("mine/bench.toml").read_text("utf-8") == default_text()
    assert typed("init", "--in", "mine").code == 2
    made = typed("init", "--bench", "mine/bench.toml")
    assert made.code == 0
    assert made.out.splitlines()[1].startswith("trust file  mine/trust.toml ")
    assert made.out.splitlines()[-1] == "next        testbed up --bench mine/bench.toml"
    again = typed("init", "--bench", "mine/bench.toml")
    assert again.code == 2
    assert "nothing was written" in again.err
    assert "go on with `testbed up`" in again.err
    Path("mine/trust.toml").unlink()
    assert "put mine/trust.toml back" in typed("init", "--bench", "mine/bench.toml").err


def test_an_unready_bench_does_not_start(typed: Type) -> None:
    said = typed("up")
    assert (said.code, said.out) == (2, "")
    assert "mend: run `testbed init` once" in said.err


def test_one_role_alone(typed: Type) -> None:
    said = typed("run", "nosuch")
    assert said.code == 2
    assert "choose one of plc, chain, gateway, reader, twin, anchor" in said.err


_TEXT = st.one_of(
    st.sampled_from(["", "-1", "nan", "inf", "1e999", "9" * 25, "0x10", ".", "/", "..", "\N{SUPERSCRIPT TWO}"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    command=st.sampled_from(
        ["status", "tags", "read", "write", "verify", "export", "falsify", "up", "init", "simulate", "demo"]
    ),
    option=st.sampled_from(
        [
            "--bench",
            "--trust",
            "--record",
            "--port-shift",
            "--duration",
            "--index",
            "--to",
            "--tag",
            "--log",
            "--scans",
            "--from",
            "--against",
        ]
    ),
    value=_TEXT,
)
def test_no_argument_gives_a_traceback(typed: Type, command: str, option: str, value: str) -> None:
    # What comes last counts: nothing is started or made, also where the argument is a good one.
    more = {"falsify": ["value"], "write": ["control.mode", "1"], "simulate": ["."], "demo": ["--seconds=1"]}.get(
        command, []
    )
    last = {command: ["--bench=no.toml"] for command in ("simulate", "up", "init")}
    last |= {"demo": ["--in=."], "export": ["--out=."]}
    said = typed(command, *more, f"{option}={value}", *last.get(command, []))
    assert said.code in (0, 2, 3)
    assert "Traceback" not in said.err


def test_a_reader_who_leaves_gets_no_traceback(simulated: Path) -> None:
    """As `testbed ... | head -1` does: the pipe is closed while there is more to say."""
    command = [sys.executable, "-m", "testbed.cli.main", "verify", "--bench", str(simulated / "bench.toml")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=60), said) == (0, b"")
