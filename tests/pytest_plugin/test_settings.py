"""What a run is told: option before environment before bench file before default."""

from pathlib import Path

import pytest

from testbed.core.errors import UsageError
from testbed.pytest_plugin.settings import asked, settled
from testbed.rig.bench import Bench, load_bench
from testbed.rig.default import default_text


class Line:
    """A command line with these options."""

    def __init__(self, **options: str) -> None:
        self._options = options

    def getoption(self, name: str) -> object:
        return self._options.get(name)


NOWHERE = Path("there-is-no-such-bench.toml")


def bench(folder: Path, table: str) -> Bench:
    path = folder / "bench.toml"
    path.write_text(f"{default_text()}\n[test]\n{table}\n", encoding="utf-8")
    return load_bench(path)


def test_each_goes_before_the_next(tmp_path: Path) -> None:
    file = bench(tmp_path, "time_scale = 3.0\nseed = 3")
    none = load_bench(None)
    option, variable = Line(time_scale="1.5", seed="1"), {"TESTBED_TIME_SCALE": "2", "TESTBED_SEED": "2"}
    for line, environment, of, expected in (
        (option, variable, file, (1.5, 1)),
        (Line(), variable, file, (2.0, 2)),
        (Line(), {}, file, (3.0, 3)),
        (Line(), {}, none, (1.0, none.seed)),
    ):
        settings = settled(asked(line, environment, NOWHERE), of)
        assert (settings.time_scale, settings.seed) == expected


def test_a_bench_file_cannot_allow_what_only_a_person_can(tmp_path: Path) -> None:
    settings = settled(asked(Line(), {}, NOWHERE), bench(tmp_path, "require_hardware = true"))
    assert settings.require_hardware
    assert not settings.allow_physical
    assert not settings.allow_writes
    with pytest.raises(UsageError, match="allow_writes"):
        bench(tmp_path, "allow_writes = true")


def test_a_switch_can_be_turned_off_again(tmp_path: Path) -> None:
    file = bench(tmp_path, "require_hardware = true")
    said = asked(Line(), {"TESTBED_REQUIRE_HARDWARE": "0"}, NOWHERE)
    assert not settled(said, file).require_hardware


def test_the_bench_file_of_the_folder_is_taken_where_none_is_named(tmp_path: Path) -> None:
    here = tmp_path / "bench.toml"
    assert asked(Line(), {}, here).bench is None
    here.touch()
    assert asked(Line(), {}, here).bench == here
    assert asked(Line(bench="other.toml"), {"TESTBED_BENCH": "third.toml"}, here).bench == Path("other.toml")
    assert asked(Line(), {"TESTBED_BENCH": "third.toml"}, here).bench == Path("third.toml")


def test_a_profile_is_taken_for_a_bench_file_and_only_one_of_them() -> None:
    assert asked(Line(profile="box.toml"), {}, NOWHERE).bench == Path("box.toml")
    with pytest.raises(UsageError, match="a profile"):
        asked(Line(profile="box.toml", bench="bench.toml"), {}, NOWHERE)


@pytest.mark.parametrize(
    ("options", "environment", "named"),
    [
        ({"seed": "-1"}, {}, "--seed"),
        ({"time_scale": "fast"}, {}, "--time-scale"),
        ({"time_scale": "1000"}, {}, "--time-scale"),
        ({"lease_timeout": "nan"}, {}, "--lease-timeout"),
        ({}, {"TESTBED_ALLOW_WRITES": "perhaps"}, "TESTBED_ALLOW_WRITES"),
        ({}, {"TESTBED_SEED": "one"}, "TESTBED_SEED"),
    ],
)
def test_what_is_no_value_is_named_with_its_mend(
    options: dict[str, str], environment: dict[str, str], named: str
) -> None:
    with pytest.raises(UsageError, match=named) as caught:
        asked(Line(**options), environment, NOWHERE)
    assert "write " in caught.value.mend
