"""The fixture `plant`: what only an emulated plant lets be done to it.

It is there where the tests own the emulated PLC: in this process, or as a child that they started. A PLC that
`testbed up` runs, or a physical one, is not disturbed: tests that ask for `plant` are skipped there.
"""

import math
from collections.abc import Callable, Mapping

from testbed.pytest_plugin.turn import Turn
from testbed.rig.emulation import Emulation

_START_S = 30.0


class Plant:
    """Disturbances of the water cell, each from the next scan on. The next test begins with a plant as new.

    touched: is told that the machine may not be in its safe state.
    """

    def __init__(self, turn: Turn, owned: Emulation, touched: Callable[[], None]) -> None:
        self._turn = turn
        self._owned = owned
        self._touched = touched

    def leak(self, flow: float) -> None:
        """Tank 2 loses so much, m3/h at a level of 1 m; 0 stops it."""
        self._order("disturb", {"leak": flow})

    def wear(self, part: float) -> None:
        """The pump has lost this part of its pressure, 0..1."""
        self._order("disturb", {"wear": part})

    def stick(self, actuator: str, at: float) -> None:
        """An actuator stays where it is put, whatever it is told: "pump" and "valve" in %, "heater" in kW."""
        self._order("disturb", {f"stuck_{actuator}": at})

    def free(self, actuator: str) -> None:
        """It moves again."""
        self._order("disturb", {f"stuck_{actuator}": None})

    def fail_sensor(self, tag: str, shows: float = math.nan) -> None:
        """A sensor shows one value whatever happens; not a number, unless given, as with a broken wire."""
        self._order("sensor", {tag: shows})

    def mend_sensor(self, tag: str) -> None:
        """It shows what is."""
        self._order("sensor", {tag: None})

    def renew(self, **parameters: float) -> None:
        """A plant and program as new, but for parameters of the cell, such as temperature=80 or volume1=0.02."""
        self._order("renew", parameters)

    def restart_plc(self) -> None:
        """Switch the PLC off and on, and connect again. Plant and program begin anew."""
        self._touched()
        self._turn.run(self._turn.line.disconnect())
        self._owned.restart()
        self._turn.run(self._turn.line.connect(_START_S))

    def _order(self, what: str, values: Mapping[str, float | None]) -> None:
        self._owned.order(what, values)
        self._turn.run(self._turn.line.pass_scans(2))
