"""The PLC without its line, after a restart, and without the one who watches over it."""

import pytest

from testbed.core.errors import DeviceError
from testbed.pytest_plugin.measuring import Measure
from testbed.pytest_plugin.plant import Plant
from testbed.pytest_plugin.plc import Plc


def test_the_cell_goes_on_while_nobody_is_connected(automatic: Plc, measure: Measure) -> None:
    before = automatic["plc.scan"]
    automatic.disconnect()
    automatic.let_pass(10)
    automatic.reconnect()
    measure.computed("scans meanwhile", float(automatic["plc.scan"]) - before).above(50.0)
    measure("tank2.level").within(0.5, 0.9, "m")
    measure("control.mode").equals(2)


def test_without_a_line_nothing_is_read_and_nothing_is_written(cell: Plc) -> None:
    cell.disconnect()
    with pytest.raises(DeviceError):
        cell.read("tank2.level")
    with pytest.raises(DeviceError):
        cell["control.mode"] = 2
    cell.reconnect()
    assert cell["control.mode"] == 0


@pytest.mark.requires("plant")
def test_a_restart_is_counted_and_the_cell_begins_anew(cell: Plc, plant: Plant, measure: Measure) -> None:
    before = int(cell["plc.boot"])
    plant.restart_plc()
    measure("plc.boot").equals(before + 1)
    measure("estop.active").is_false()


@pytest.mark.destructive
@pytest.mark.requires("watchdog")
def test_while_tests_watch_over_it_the_watchdog_is_quiet(plc: Plc, measure: Measure) -> None:
    plc.wait_until("watchdog.limit_ms").above(100.0, "ms", limit=2)
    measure("watchdog.tripped").stays(False, for_s=10)


@pytest.mark.requires("watchdog")
def test_without_beats_the_watchdog_stops_the_cell(automatic: Plc) -> None:
    automatic["watchdog.limit_ms"] = 1000
    automatic.wait_until("watchdog.tripped").is_true(limit=5)
    automatic.wait_until("pump.speed").below(0.5, "%", limit=8)
    automatic["watchdog.limit_ms"] = 0
    automatic["control.reset"] = True
    automatic.wait_until("watchdog.tripped").is_false(limit=2)


def test_the_device_says_who_it_is(plc: Plc) -> None:
    assert plc.identity.product
