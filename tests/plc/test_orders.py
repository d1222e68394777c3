"""Disturbances of the emulated plant: by name, and as lines of JSON from whoever started it."""

import json
import math
from collections.abc import Sequence

import pytest

from testbed.core.errors import UsageError
from testbed.plant.cell import CellParameters
from testbed.plc.emulator import Emulator
from testbed.plc.orders import obey
from testbed.rig.bench import load_bench


@pytest.fixture
def cell() -> Emulator:
    """The water cell without noise."""
    return Emulator(load_bench(None).tags, CellParameters(noise=0.0))


def scans(emulator: Emulator, count: int) -> None:
    for _ in range(count):
        emulator.scan()


def shown(emulator: Emulator, names: Sequence[str]) -> list[float]:
    image = emulator.image.snapshot()
    return [float(image[name]) for name in names]


def test_a_failed_sensor_shows_its_value_and_the_plant_goes_on(cell: Emulator) -> None:
    scans(cell, 100)
    cell.fail_sensor("tank2.level", 0.5)
    scans(cell, 100)
    assert shown(cell, ["tank2.level"]) == [0.5]
    assert cell.plant.volume2 / cell.parameters.area2 > 0.6


def test_a_broken_wire_is_not_a_number_and_trips_the_pump(cell: Emulator) -> None:
    cell.fail_sensor("tank2.level", math.nan)
    scans(cell, 1)
    image = cell.image.snapshot()
    assert math.isnan(image["tank2.level"])
    assert image["interlock.pump"] is True


def test_a_mended_sensor_shows_what_is(cell: Emulator) -> None:
    cell.fail_sensor("tank2.level", 0.1)
    cell.fail_sensor("tank1.level", 0.2)
    cell.fail_sensor("tank2.level", None)
    scans(cell, 1)
    assert shown(cell, ["tank1.level", "tank2.level"]) == pytest.approx([0.2, 0.5])


def test_a_renewed_cell_is_as_at_the_start_but_counts_on_and_keeps_its_commands(cell: Emulator) -> None:
    first = shown(cell, ["tank1.level", "tank2.level", "tank2.temperature"])
    cell.image.write("control.level_setpoint", 0.7)
    cell.disturb(leak=2.0)
    cell.fail_sensor("pump.flow", 9.0)
    scans(cell, 200)
    cell.renew()
    scans(cell, 1)
    image = cell.image.snapshot()
    assert shown(cell, ["tank1.level", "tank2.level", "tank2.temperature"]) == first
    assert image["plc.scan"] == 201
    assert image["control.level_setpoint"] == pytest.approx(0.7)
    assert image["pump.flow"] == 0.0
    assert cell.parameters == CellParameters(noise=0.0)


def test_a_renewed_cell_has_no_latch_of_the_one_before(cell: Emulator) -> None:
    cell.fail_sensor("tank2.level", math.nan)
    scans(cell, 2)
    cell.renew(temperature=30.0)
    scans(cell, 1)
    image = cell.image.snapshot()
    assert image["interlock.pump"] is False
    assert image["tank2.temperature"] == 30.0


def test_what_is_no_sensor_is_refused_with_those_that_are(cell: Emulator) -> None:
    with pytest.raises(UsageError, match="the sensors are tank1"):
        cell.fail_sensor("pump.speed", 1.0)


def test_a_line_is_an_order_and_its_answer_names_the_scan(cell: Emulator) -> None:
    scans(cell, 3)
    assert json.loads(obey(cell, b'{"disturb": {"leak": 0.5, "stuck_valve": 10}}\n')) == {"scan": 3}
    assert (cell.parameters.leak, cell.parameters.stuck_valve) == (0.5, 10)
    assert json.loads(obey(cell, b'{"disturb": {"stuck_valve": null}}\n')) == {"scan": 3}
    assert cell.parameters.stuck_valve is None
    assert json.loads(obey(cell, b'{"sensor": {"tank2.level": NaN}}\n')) == {"scan": 3}
    scans(cell, 1)
    assert cell.image.snapshot()["interlock.pump"] is True
    assert json.loads(obey(cell, b'{"mend": {}}\n')) == {"scan": 4}
    assert cell.parameters == CellParameters(noise=0.0)
    scans(cell, 1)
    assert not math.isnan(cell.image.snapshot()["tank2.level"])
    assert json.loads(obey(cell, b'{"renew": {"volume1": 0.02}}\n')) == {"scan": 5}
    scans(cell, 1)
    assert shown(cell, ["tank1.level"]) == pytest.approx([0.2])


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"leak 5\n",
        b"[]\n",
        b"{}\n",
        b'{"disturb": {"leak": 1}, "renew": {}}\n',
        b'{"disturb": {"leek": 1}}\n',
        b'{"disturb": {"leak": -1}}\n',
        b'{"disturb": {"leak": null}}\n',
        b'{"disturb": {"leak": true}}\n',
        b'{"disturb": {"leak": "much"}}\n',
        b'{"disturb": {"noise": NaN}}\n',
        b'{"sensor": {"pump.speed": 1}}\n',
        b'{"explode": {}}\n',
        b'{"mend": {"leak": 1}}\n',
        b'{"renew": {"seed": 0.5}}\n',
        b"\xff\xfe\n",
    ],
)
def test_what_is_no_order_changes_nothing_and_says_what_would_be_one(cell: Emulator, line: bytes) -> None:
    answer = json.loads(obey(cell, line))
    assert answer["error"]
    assert answer["mend"]
    assert cell.parameters == CellParameters(noise=0.0)
