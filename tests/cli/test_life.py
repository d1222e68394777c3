"""What is done to a bench over its life, as it is typed: another key for a log, bodies that are erased, a successor."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Type

BENCH = ("--bench", "lab/bench.toml")


@pytest.fixture
def lab(typed: Type, simulated: Path) -> Path:
    """A copy of the finished bench in the test's own folder."""
    assert typed is not None
    shutil.copytree(simulated, "lab")
    return Path("lab")


def test_a_key_is_changed_in_one_step(typed: Type, lab: Path) -> None:
    said = typed("rotate-key", "gateway", "--root", "lab/root.key", *BENCH)
    assert said.code == 0, said.err
    assert "changed     water-cell/gateway is signed by its new key from record 49 on" in said.out
    said = typed("verify", *BENCH)
    assert said.code == 0, said.out
    assert "keys        water-cell/gateway: 2 keys, changed at record 49" in said.out
    assert not (lab / ".testbed" / "gateway" / "key.next").exists()


def test_a_key_is_changed_while_the_root_key_is_elsewhere(typed: Type, lab: Path) -> None:
    Path("safe").mkdir()
    (lab / "root.key").rename("safe/root.key")
    asked = typed("rotate-key", "twin", "--request", "twin.request", *BENCH)
    assert asked.code == 0, asked.err
    # Not signed yet, it does not count.
    early = typed("rotate-key", "twin", "--apply", "twin.request", *BENCH)
    assert early.code == 2
    assert "does not count" in early.err
    assert "mend: sign the request with `testbed root sign`" in early.err
    signed = typed("root", "sign", "twin.request", "--key", "safe/root.key")
    assert signed.code == 0, signed.err
    assert "water-cell/twin goes on under another key from record 83 on" in signed.out
    done = typed("rotate-key", "twin", "--apply", "twin.request", "--json", *BENCH)
    assert json.loads(done.out)["first"] == 83
    verified = typed("verify", "--json", *BENCH)
    assert verified.code == 0
    by_origin = {log["origin"]: log["key_changes"] for log in json.loads(verified.out)["logs"]}
    assert by_origin["water-cell/twin"] == [83]
    assert by_origin["water-cell/gateway"] == []


def test_a_wrong_request_is_answered_with_its_mend(typed: Type, lab: Path) -> None:
    (lab / "note").write_text("no request\n", encoding="utf-8")
    cases = {
        ("rotate-key", "nobody", "--root", "lab/root.key", *BENCH): "name one of gateway",
        ("rotate-key", "gateway", "--apply", "nowhere", *BENCH): "rotate-key --request",
        ("rotate-key", "gateway", "--apply", "lab/note", *BENCH): "root sign",
        ("rotate-key", "gateway", "--request", "lab/note", *BENCH): "name another one",
        ("rotate-key", "gateway", "--root", "lab/nokey", *BENCH): "no key file",
    }
    for arguments, mend in cases.items():
        said = typed(*arguments)
        assert said.code == 2, arguments
        assert mend in said.err, arguments
    assert typed("verify", *BENCH).code == 0


def test_a_bench_without_a_root_key_is_told_how_to_get_one(typed: Type, lab: Path) -> None:
    trust = lab / "trust.toml"
    text = trust.read_text(encoding="utf-8")
    begin = text.index("# The root key")
    trust.write_text(text[:begin] + text[text.index("# The chain that", begin) :], encoding="utf-8")
    said = typed("rotate-key", "gateway", "--root", "lab/root.key", *BENCH)
    assert said.code == 2
    assert "testbed root make" in said.err
    made = typed("root", "make", "--key", "new.key", *BENCH)
    assert made.code == 0
    lines = made.out.partition("\n\n")[2]
    assert lines.startswith("[root]\nkey = ")
    trust.write_text(trust.read_text(encoding="utf-8") + "\n" + lines, encoding="utf-8")
    assert typed("rotate-key", "gateway", "--root", "new.key", *BENCH).code == 0
    assert typed("verify", *BENCH).code == 0


def test_a_body_is_erased_under_a_tombstone(typed: Type, lab: Path) -> None:
    assert lab.is_dir()
    said = typed("erase", "water-cell/gateway", "20", "--reason", "asked for", *BENCH)
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[0] == "erased      record 20 of water-cell/gateway: tombstone 3 of water-cell/operator"
    assert lines[1].endswith("of water-cell/twin, which shows record 20: tombstone 4 of water-cell/operator")
    assert "exports" in lines[-1]
    checked = typed("verify", *BENCH)
    assert checked.code == 3
    assert "no anchor covers that yet" in checked.out
    wrong = typed("erase", "water-cell/gateway", "0", "--reason", "asked for", *BENCH)
    assert wrong.code == 2
    assert "mend: erase records of these kinds only: state" in wrong.err


def test_a_bench_goes_on_for_another_one(typed: Type, lab: Path) -> None:
    new = Path("new")
    new.mkdir()
    (new / "bench.toml").write_text((lab / "bench.toml").read_text(encoding="utf-8"), encoding="utf-8")
    same = typed("init", "--bench", "new/bench.toml", "--succeeds", "lab/bench.toml")
    assert same.code == 2
    assert "mend: name it otherwise under [bench]" in same.err
    text = (new / "bench.toml").read_text(encoding="utf-8")
    (new / "bench.toml").write_text(text.replace('name = "water-cell"', 'name = "water-cell-2"', 1), encoding="utf-8")
    said = typed("init", "--bench", "new/bench.toml", "--succeeds", "lab/bench.toml")
    assert said.code == 0, said.err
    assert "before      lab/bench.toml is GENUINE" in said.out
    assert "goes on for water-cell/gateway, trusted up to size 48" in said.out
    assert "root key    new/root.key   move it off this machine" in said.out
    trust = (new / "trust.toml").read_text(encoding="utf-8")
    assert trust.count("[[predecessor]]") == 5
    # Nothing has run there yet, so it is not genuine; the operator's log goes on as it should.
    checked = typed("verify", "--bench", "new/bench.toml")
    assert checked.code == 3
    assert "goes on     water-cell-2/operator for water-cell/operator, which it trusts up to size 3" in checked.out
