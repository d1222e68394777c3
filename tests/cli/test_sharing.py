"""`testbed reserve`, `who`, `release` and `recover`: what they say, how they end, and what they keep others from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testbed.guard.quarantine import quarantine
from testbed.rig.default import default_text

if TYPE_CHECKING:
    from tests.cli.conftest import Type

QUARANTINE = Path(".testbed/quarantine.json")


@pytest.fixture
def as_user(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Who types: eve, until the test says otherwise."""
    monkeypatch.setenv("LOGNAME", "eve")
    return monkeypatch


def test_a_bench_is_reserved_shown_and_given_back(typed: Type, as_user: pytest.MonkeyPatch) -> None:
    assert typed("who").out == "water-cell is free\n"
    said = typed("reserve", "--for", "30m", "--note", "ramp tests")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("water-cell is reserved by eve@")
    assert said.out.endswith(": ramp tests\n")
    assert typed("who").out == said.out
    as_user.setenv("LOGNAME", "bob")
    refused = typed("reserve")
    assert (refused.code, refused.out) == (1, "")
    assert "error: the bench is reserved by eve@" in refused.err
    assert "mend: ask them" in refused.err
    refused = typed("release")
    assert (refused.code, refused.out) == (1, "")
    assert "--force" in refused.err
    forced = typed("release", "--force")
    assert forced.code == 0
    assert forced.out.startswith("water-cell is free; it was reserved by eve@")
    assert typed("reserve").code == 0
    assert typed("release").code == 0
    assert typed("release").out == "water-cell was free\n"


def test_machines_are_told_as_well(typed: Type, as_user: pytest.MonkeyPatch) -> None:
    assert json.loads(typed("who", "--json").out) == {"bench": "water-cell", "reserved": False, "quarantine": None}
    made = json.loads(typed("reserve", "--for", "90s", "--json").out)
    assert (made["reserved"], made["user"], made["until_ns"] - made["since_ns"]) == (True, "eve", 90 * 10**9)
    assert "token" not in made
    shown = json.loads(typed("who", "--json").out)
    assert {key: shown[key] for key in made} == made
    as_user.setenv("LOGNAME", "bob")
    again = typed("reserve", "--json")
    assert (again.code, json.loads(again.out)["reserved"]) == (1, False)
    kept = typed("release", "--json")
    assert (kept.code, json.loads(kept.out)["released"]) == (1, False)
    as_user.setenv("LOGNAME", "eve")
    freed = json.loads(typed("release", "--json").out)
    assert (freed["released"], freed["was_reserved"], freed["user"]) == (True, True, "eve")
    assert json.loads(typed("release", "--json").out)["was_reserved"] is False


@pytest.mark.parametrize(
    "arguments",
    [("--for", "2"), ("--for", "0s"), ("--for", "31d"), ("--for", "h"), ("--for=-1h", "--json"), ("--note", "a\nb")],
)
def test_a_time_that_is_none_is_wrong_usage(typed: Type, arguments: tuple[str, str]) -> None:
    said = typed("reserve", *arguments)
    assert (said.code, said.out) == (2, "")
    assert "mend: give" in said.err
    assert typed("who").out == "water-cell is free\n"


def test_users_share_a_folder(typed: Type, tmp_path: Path, as_user: pytest.MonkeyPatch) -> None:
    for name in ("mine", "yours"):
        folder = tmp_path / name
        folder.mkdir()
        text = default_text().replace("stop_on = []", 'stop_on = []\nlease = "../shared"')
        (folder / "bench.toml").write_text(text, encoding="utf-8")
    assert typed("reserve", "--bench", "mine/bench.toml").code == 0
    as_user.setenv("LOGNAME", "bob")
    assert typed("reserve", "--bench", "yours/bench.toml").code == 1
    assert (tmp_path / "shared" / "water-cell" / "lease.json").is_file()


def test_whoever_has_not_reserved_cannot_command(typed: Type, as_user: pytest.MonkeyPatch) -> None:
    """Said before the PLC is asked."""
    assert typed("init").code == 0
    assert typed("reserve").code == 0
    as_user.setenv("LOGNAME", "bob")
    refused = typed("write", "control.mode", "1")
    assert refused.code == 3
    assert "error: the bench is reserved by eve@" in refused.err
    as_user.setenv("LOGNAME", "eve")
    assert "does not serve" in typed("write", "control.mode", "1").err
    quarantine(QUARANTINE, "the pump does not stop", 1_796_000_000 * 10**9)
    refused = typed("write", "control.mode", "1")
    assert refused.code == 3
    assert "in quarantine since 2026-11-30T" in refused.err
    as_user.setenv("LOGNAME", "bob")
    assert typed("recover").code == 3, "eve has the bench"
    assert QUARANTINE.is_file()


def test_a_bench_that_is_in_no_quarantine_needs_no_recovery(typed: Type) -> None:
    assert typed("recover").out == "water-cell is in no quarantine\n"
    said = typed("recover", "--json")
    assert (said.code, json.loads(said.out)["quarantine"]) == (0, False)


def test_a_recovery_that_fails_says_what_is_wrong(typed: Type) -> None:
    quarantine(QUARANTINE, "the pump does not stop", 1_796_000_000 * 10**9)
    shown = typed("who")
    assert (shown.code, shown.out.splitlines()[1]) == (
        0,
        "water-cell is in quarantine since 2026-11-30T00:53:20Z: the pump does not stop",
    )
    Path("bench.toml").write_text(default_text().replace("within_s = 10.0", "within_s = 0.2"), encoding="utf-8")
    said = typed("recover", "--json")
    found = json.loads(said.out)
    assert (said.code, found["recovered"], found["quarantine"], found["outcome"]) == (1, False, True, "unknown")
    assert [one["holds"] for one in found["seen"]] == [False] * 4
    assert QUARANTINE.is_file()
