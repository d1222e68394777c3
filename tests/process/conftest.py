"""The water cell as its tests find it: at rest, every command at a known value."""

import pytest

from testbed.pytest_plugin.plc import Plc

OFF, MANUAL, AUTOMATIC = 0, 1, 2


@pytest.fixture
def cell(plc: Plc) -> Plc:
    """The cell at rest and free of latches: set-points 1 m and 20 degC, manual outputs 0, mode off."""
    for tag, value in (
        ("control.mode", OFF),
        ("estop.pressed", False),
        ("control.level_setpoint", 1.0),
        ("control.temperature_setpoint", 20.0),
        ("manual.pump_speed", 0.0),
        ("manual.valve_position", 0.0),
        ("manual.heater_power", 0.0),
        ("control.reset", True),
    ):
        plc.write(tag, value)
    return plc


@pytest.fixture
def automatic(cell: Plc) -> Plc:
    """The cell in automatic, pumping towards 1 m."""
    cell["control.mode"] = AUTOMATIC
    cell.wait_until("pump.speed").above(50.0, "%", limit=8)
    return cell


@pytest.fixture
def manual(cell: Plc) -> Plc:
    """The cell in manual, all outputs 0."""
    cell["control.mode"] = MANUAL
    return cell
