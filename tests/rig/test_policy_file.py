"""A policy file is strict, tells a person what is wrong and where, and never stands among the tests that it binds."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from testbed.core.errors import UsageError
from testbed.guard.policy import Allowed, Purpose
from testbed.rig.bench import load_bench
from testbed.rig.default import default_text
from testbed.rig.policy_file import read_policy
from testbed.rig.safety import policy_of

TAGS = load_bench(None).tags
GOOD = """\
[[allow]]
tag = "control.level_setpoint"
range = [0.25, 1.5]
rate = { change_per_s = 0.5, writes_per_s = 4 }

[[allow]]
tag = "estop.pressed"
attacks = true
until = 2026-12-31

[[allow]]
tag = "manual.pump_speed"
range = [0, 50]
forced = true
until = 2026-12-31T18:00:00+01:00
"""
DAY = int(datetime(2027, 1, 1, tzinfo=UTC).timestamp()) * 10**9
NOON = int(datetime(2026, 12, 1, 12, tzinfo=UTC).timestamp()) * 10**9


def written(folder: Path, text: str) -> Path:
    path = folder / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    with pytest.raises(UsageError) as raised:
        read_policy(written(folder, GOOD.replace(old, new)), TAGS, None)
    return str(raised.value).replace(f"{folder}/", "")


def test_what_it_says_holds(tmp_path: Path) -> None:
    policy = read_policy(written(tmp_path, GOOD), TAGS, None)
    level, estop, pump = policy.rules.values()
    assert (level.low, level.high, level.change_per_s, level.writes_per_s) == (0.25, 1.5, 0.5, 4)
    assert (level.forced, level.attacks, level.until_ns) == (False, False, None)
    assert (estop.low, estop.high, estop.attacks, estop.until_ns) == (0.0, 1.0, True, DAY)
    assert pump.until_ns == int(datetime(2026, 12, 31, 17, tzinfo=UTC).timestamp()) * 10**9
    assert isinstance(policy.check("estop.pressed", True, DAY - 1, purpose=Purpose.ATTACK), Allowed)
    assert not isinstance(policy.check("estop.pressed", True, DAY), Allowed)
    assert policy.label.endswith("policy.toml")


def test_an_empty_one_allows_nothing(tmp_path: Path) -> None:
    policy = read_policy(written(tmp_path, ""), TAGS, None)
    assert not isinstance(policy.check("control.mode", 1, NOON), Allowed)


@pytest.mark.parametrize(
    ("old", "new", "said", "mend"),
    [
        ("range = [0.25", "rnage = [0.25", "policy.toml:3: allow[1].rnage: unknown key", 'did you mean "range"?'),
        (
            '"control.level_setpoint"',
            '"control.level_setpint"',
            'policy.toml:2: allow[1].tag: there is no tag "control.level_setpint"',
            'did you mean "control.level_setpoint"?',
        ),
        (
            '"control.level_setpoint"',
            '"tank1.level"',
            'policy.toml:2: allow[1].tag: "tank1.level" cannot be written',
            "these can: control.mode",
        ),
        ("[0.25, 1.5]", "[1.5, 0.25]", "policy.toml:3: allow[1].range: low 1.5 is above high 0.25", "[low, high]"),
        (
            "[0.25, 1.5]",
            "[0.25, 2.5]",
            "policy.toml:3: allow[1].range: [0.25, 2.5] is wider than the tag's own range",
            "keep within 0 and 2 m",
        ),
        ("range = [0.25, 1.5]\n", "", "allow[1].range: is missing", "add range = [low, high] within 0 and 2 m"),
        ("[0.25, 1.5]", "[0.25]", "policy.toml:3: allow[1].range", "give two finite numbers, [low, high]"),
        ("[0.25, 1.5]", "[0.25, inf]", "policy.toml:3: allow[1].range", "finite number"),
        (
            "until = 2026-12-31\n",
            "",
            "policy.toml:6: allow[2].until: is missing: attacks = true needs an end",
            "add until",
        ),
        (
            "until = 2026-12-31T18:00:00+01:00\n",
            "",
            "policy.toml:11: allow[3].until: is missing: forced = true needs an end",
            "add until",
        ),
        ("2026-12-31T18:00:00+01:00", "2026-12-31T18:00:00", "policy.toml:15: allow[3].until", "2026-12-31T18:00:00Z"),
        ("2026-12-31T18:00:00+01:00", '"2026-12-31"', "policy.toml:15: allow[3].until", "without quotes"),
        ("2026-12-31T18:00:00+01:00", "18:00:00", "policy.toml:15: allow[3].until", "a day as 2026-12-31"),
        ('"estop.pressed"', '"control.level_setpoint"', "is allowed twice", "keep one [[allow]]"),
        ("change_per_s = 0.5", "change_per_s = 0", "policy.toml:4: allow[1].rate.change_per_s", "more than 0"),
        ("writes_per_s = 4", "writes_per_s = 0.5", "policy.toml:4: allow[1].rate.writes_per_s", "1 or more"),
        ("change_per_s = 0.5", "chnge_per_s = 0.5", "allow[1].rate.chnge_per_s: unknown key", '"change_per_s"'),
        (
            "attacks = true",
            "attacks = true\nrate = { change_per_s = 1.0 }",
            "policy.toml:9: allow[2].rate: a bool does not move by degrees",
            "writes_per_s",
        ),
        ("attacks = true", 'attacks = "yes"', "policy.toml:8: allow[2].attacks", "true or false"),
        ("attacks = true", "attacks = ", "policy.toml:8:11: not TOML", "correct this line"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_its_mend(
    tmp_path: Path, old: str, new: str, said: str, mend: str
) -> None:
    refused = refusal(tmp_path, old, new)
    assert said in refused
    assert mend in refused.partition("mend:")[2]


def test_it_stands_outside_the_folder_of_the_tests(tmp_path: Path) -> None:
    tests, elsewhere = tmp_path / "tests", tmp_path / "etc"
    for folder in (tests / "deep", elsewhere):
        folder.mkdir(parents=True)
    outside = written(elsewhere, GOOD)
    read_policy(outside, TAGS, tests)
    read_policy(elsewhere / ".." / "etc" / "policy.toml", TAGS, tests)
    inside = written(tests / "deep", GOOD)
    link_to_outside, link_to_inside = tests / "link.toml", elsewhere / "link.toml"
    link_to_outside.symlink_to(outside)
    link_to_inside.symlink_to(inside)
    (elsewhere / "tests").symlink_to(tests)
    (tmp_path / "alias").symlink_to(tests)
    for path, root in (
        (inside, tests),
        (elsewhere / ".." / "tests" / "deep" / "policy.toml", tests),
        (link_to_outside, tests),
        (link_to_inside, tests),
        (elsewhere / "tests" / "deep" / "policy.toml", tests),
        (inside, tmp_path / "alias"),
        (tests / "deep" / "missing.toml", tests),
    ):
        with pytest.raises(UsageError, match="inside the folder of the tests") as raised:
            read_policy(path, TAGS, root)
        assert "move it" in raised.value.mend


def test_a_missing_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such write policy"):
        read_policy(tmp_path / "policy.toml", TAGS, None)


def test_a_bench_names_its_own(tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    written(tmp_path, GOOD)
    text = default_text().replace("stop_on = []", 'stop_on = []\npolicy = "../policy.toml"')
    (tmp_path / "lab" / "bench.toml").write_text(text, encoding="utf-8")
    bench = load_bench(tmp_path / "lab" / "bench.toml")
    policy = policy_of(bench, tmp_path / "lab" / "tests")
    assert list(policy.rules) == ["control.level_setpoint", "estop.pressed", "manual.pump_speed"]
    with pytest.raises(UsageError, match="inside the folder of the tests"):
        policy_of(bench, tmp_path)
    other = tmp_path / "other.toml"
    other.write_text("", encoding="utf-8")
    assert policy_of(bench, None, other).rules == {}


def test_an_emulated_plc_without_one_takes_what_its_tags_take() -> None:
    policy = policy_of(load_bench(None), None)
    assert set(policy.rules) == {tag.name for tag in TAGS if tag.writable}
