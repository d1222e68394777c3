"""[safety] of a bench file: what it says, and each way to get it wrong."""

from pathlib import Path

import pytest

from testbed.core.errors import UsageError
from testbed.guard.safe_state import Expectation, Setting
from testbed.rig.bench import Bench, load_bench
from testbed.rig.default import default_text
from testbed.rig.safety import lease_folder, safe_state_of, stop_rules_of, watchdog_of
from tests.guard.machines import TAGS, Machine


def load(folder: Path, *changes: tuple[str, str]) -> Bench:
    text = default_text()
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / "bench.toml").write_text(text, encoding="utf-8")
    return load_bench(folder / "bench.toml")


def without_safety(folder: Path) -> Bench:
    before, _, rest = default_text().partition("[safety]\n")
    (folder / "bench.toml").write_text(before + rest[rest.index("[[reader]]") :], encoding="utf-8")
    return load_bench(folder / "bench.toml")


def test_the_water_cell_has_one(tmp_path: Path) -> None:
    bench = load(tmp_path)
    safe = safe_state_of(bench)
    assert safe.settings == (Setting("control.mode", 0),)
    assert safe.verify[0] == Expectation("pump.speed", 0.0, 1.0, 10.0)
    assert safe.momentary == {"control.reset"}
    assert stop_rules_of(bench) == ()
    assert bench.heartbeats == ("watchdog.beat", "watchdog.limit_ms")
    assert lease_folder(bench) == bench.data


async def test_a_bench_may_do_without(tmp_path: Path) -> None:
    async def pause(_: float) -> None: ...

    bench = without_safety(tmp_path)
    assert safe_state_of(bench).settings == ()
    assert watchdog_of(bench, Machine(), TAGS, pause) is None


def test_it_says_what_stops_and_where_leases_are(tmp_path: Path) -> None:
    bench = load(
        tmp_path, ("stop_on = []", 'stop_on = ["estop.active", "tank2.temperature above 92"]\nlease = "shared"')
    )
    assert [str(rule) for rule in stop_rules_of(bench)] == ["estop.active", "tank2.temperature above 92"]
    assert lease_folder(bench) == (tmp_path / "shared" / "water-cell").resolve()


@pytest.mark.parametrize(
    ("old", "new", "said", "mend"),
    [
        (
            '{ tag = "control.mode", value = 0 }',
            '{ tag = "control.mod", value = 0 }',
            'safety.safe_state.tag: there is no tag "control.mod"',
            'did you mean "control.mode"?',
        ),
        (
            '{ tag = "control.mode", value = 0 }',
            '{ tag = "pump.speed", value = 0 }',
            'safety.safe_state.tag: "pump.speed" cannot be written',
            "these can: control.mode",
        ),
        (
            '{ tag = "control.mode", value = 0 }',
            '{ tag = "control.mode", value = 3 }',
            'safety.safe_state.value: 3 does not fit "control.mode"',
            "write a value from 0 to 2",
        ),
        (
            '{ tag = "control.mode", value = 0 }',
            '{ tag = "control.mode", value = false }',
            'safety.safe_state.value: false does not fit "control.mode"',
            "write a whole number",
        ),
        (
            '{ tag = "control.mode", value = 0 }',
            '{ tag = "estop.pressed", value = 1 }',
            'safety.safe_state.value: 1 does not fit "estop.pressed"',
            "write true or false",
        ),
        (
            '{ tag = "control.mode", value = 0 }',
            '{ tag = "control.mode", value = "off" }',
            'safety.safe_state.value: "off" does not fit here',
            "give a number, true or false",
        ),
        (
            '{ tag = "control.mode", value = 0 }',
            '{ tag = "control.mode", vlaue = 0 }',
            "safety.safe_state.vlaue: unknown key",
            'did you mean "value"?',
        ),
        (
            '{ tag = "pump.speed", low = 0.0, high = 1.0',
            '{ tag = "pump.sped", low = 0.0, high = 1.0',
            'safety.verify[1].tag: there is no tag "pump.sped"',
            'did you mean "pump.speed"?',
        ),
        (
            '{ tag = "pump.speed", low = 0.0, high = 1.0',
            '{ tag = "pump.speed", low = 2.0, high = 1.0',
            "safety.verify[1].low: low 2 is above high 1",
            "low = and high =",
        ),
        (
            '{ tag = "pump.speed", low = 0.0, high = 1.0, within_s = 10.0 }',
            '{ tag = "pump.speed", low = 0.0, high = 1.0, within_s = 0 }',
            "safety.verify[1].within_s",
            "more than 0 and up to 3600 s",
        ),
        ("stop_on = []", 'stop_on = ["estop.activ"]', 'no tag "estop.activ"', 'did you mean "estop.active"?'),
        ("stop_on = []", 'stop_on = ["tank1.level"]', '"tank1.level" is float32', 'write "tank1.level above ..."'),
        ("stop_on = []", 'stop_on = ["estop.active above 1"]', '"estop.active" is bool', 'write "estop.active" alone'),
        ("stop_on = []", 'stop_on = ["tank1.level over 1"]', "is no rule", 'write "TAG" for a bool'),
        ("stop_on = []", 'stop_on = []\nforced = ["tank1.level"]', '"tank1.level" cannot be written', "these can"),
        ("stop_on = []", 'stop_on = []\nforced = ["nothing"]', 'no tag "nothing"', "valid here"),
        ('watchdog = "watchdog.beat"', 'watchdog = ""', "safety.watchdog: is missing", "or neither"),
        (
            'watchdog = "watchdog.beat"',
            'watchdog = "watchdog.tripped"',
            '"watchdog.tripped" is not a writable uint16',
            "name a writable uint16",
        ),
        ('watchdog_limit = "watchdog.limit_ms"', 'watchdog_limit = "watchdog.limit"', "no tag", '"watchdog.limit_ms"'),
        (
            'watchdog_tripped = "watchdog.tripped"',
            'watchdog_tripped = "watchdog.beat"',
            '"watchdog.beat" is not a bool',
            "name a bool",
        ),
        ("watchdog_ms = 2000 ", "watchdog_ms = 50 ", "safety.watchdog_ms", "100..3600000 ms"),
        (
            "range = [0, 3600000]  #",
            "range = [0, 1000]  #",
            'safety.watchdog_ms: 2000 ms does not fit "watchdog.limit_ms"',
            "take 0 to 1000",
        ),
        (
            'name = "watchdog.tripped"\n',
            'name = "watchdog.tripped"\nheartbeat = true\n',
            "heartbeat: nothing can be written to this tag",
            "leave heartbeat out",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_mend(tmp_path: Path, old: str, new: str, said: str, mend: str) -> None:
    with pytest.raises(UsageError) as raised:
        load(tmp_path, (old, new))
    assert said in raised.value.problem
    assert mend in raised.value.mend
    assert "bench.toml:" in raised.value.problem
