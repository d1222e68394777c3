"""Waiting by condition, with a limit in seconds of plant time: never a sleep.

plc.wait_until("tank2.level").above(0.9, limit=60)
plc.wait_until("tank2.level").within(0.95, 1.05, for_s=20, limit=300)
"""

from dataclasses import dataclass, replace

from testbed.core.errors import TestbedError
from testbed.core.measurement import Limits, Outcome
from testbed.core.tags import Value
from testbed.pytest_plugin.measuring import equal_to, limits_of
from testbed.pytest_plugin.picture import picture
from testbed.pytest_plugin.sample import Sample
from testbed.pytest_plugin.turn import Turn, check_unit


class NotInTime(AssertionError):
    """A condition did not come true within its limit: TIMEOUT. The message shows the signal."""


@dataclass(frozen=True, slots=True)
class Came:
    """A condition came true: after how many seconds of plant time, and with which value."""

    after_s: float
    value: Value | None


class WaitUntil:
    """A condition that is about to be waited for. limit: s; for_s: how long it must hold without a break, s."""

    def __init__(self, turn: Turn, tag: str) -> None:
        __tracebackhide__ = True
        self._turn = turn
        self._tag = turn.line.tag(tag)

    def above(self, low: float, unit: str | None = None, *, limit: float, for_s: float = 0.0) -> Came:
        """low <= value."""
        __tracebackhide__ = True
        return self._wait(limits_of(low, None, for_s), unit, limit)

    def below(self, high: float, unit: str | None = None, *, limit: float, for_s: float = 0.0) -> Came:
        """value <= high."""
        __tracebackhide__ = True
        return self._wait(limits_of(None, high, for_s), unit, limit)

    def within(self, low: float, high: float, unit: str | None = None, *, limit: float, for_s: float = 0.0) -> Came:
        """low <= value <= high."""
        __tracebackhide__ = True
        return self._wait(limits_of(low, high, for_s), unit, limit)

    def equals(
        self, value: Value, unit: str | None = None, *, limit: float, for_s: float = 0.0, tolerance: float = 0.0
    ) -> Came:
        """The value, give or take the tolerance."""
        __tracebackhide__ = True
        return self._wait(replace(equal_to(value, tolerance), for_s=for_s), unit, limit)

    def is_true(self, *, limit: float, for_s: float = 0.0) -> Came:
        """A bool is on."""
        __tracebackhide__ = True
        return self._wait(Limits(equal=True, for_s=for_s), None, limit)

    def is_false(self, *, limit: float, for_s: float = 0.0) -> Came:
        """A bool is off."""
        __tracebackhide__ = True
        return self._wait(Limits(equal=False, for_s=for_s), None, limit)

    def _wait(self, limits: Limits, unit: str | None, limit_s: float) -> Came:
        __tracebackhide__ = True
        line, tag = self._turn.line, self._tag
        check_unit(tag, unit, needed=False)
        place = line.places[tag.name]
        began = self._turn.run(line.fresh())
        blank = self._turn.blank(f"{tag.name} in time", tag.name, tag.unit, limits)

        def holds(sample: Sample) -> bool:
            value = sample.values[place]
            return value is not None and limits.holds(value)

        try:
            found = self._turn.run(line.until(holds, limit_s, limits.for_s))
        except TestbedError as error:
            self._turn.measured(replace(blank, detail=error.problem))
            raise
        if found is not None:
            return Came(found.time_s - began.time_s, found.values[place])
        last = line.last or began
        unit = f" {tag.unit}" if tag.unit else ""
        problem = f"{tag.name} was not {replace(limits, for_s=0.0)}{unit}{_lasting(limits)} within {limit_s:g} s"
        value = last.values[place]
        self._turn.measured(replace(blank, value=value, outcome=Outcome.TIMEOUT, detail=problem))
        points = self._turn.points(tag.name, began.time_s)
        raise NotInTime(f"{problem}\n\n{picture(points, limits, tag.unit)}\n")


def _lasting(limits: Limits) -> str:
    return f" for {limits.for_s:g} s" if limits.for_s else ""
