"""The fixture `measure`: limits that read as a sentence.

measure("tank2.level").within(0.9, 1.1, "m")
measure("heater.power").below(0.1, "kW")
measure("estop.active").is_true()
measure("tank2.level").stays_within(0.9, 1.1, "m", for_s=30)
measure.computed("overshoot", highest - 1.0, "m").below(0.1, "m")
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from testbed.core.errors import TestbedError, UsageError
from testbed.core.measurement import Limits, Measurement, Outcome
from testbed.core.tags import Value
from testbed.pytest_plugin.picture import picture
from testbed.pytest_plugin.sample import Sample
from testbed.pytest_plugin.turn import Turn, check_unit


class LimitsBroken(AssertionError):
    """A measurement FAILs; the message shows the signal."""


class CannotMeasure(TestbedError):
    """A measurement is an ERROR: it says nothing of the plant."""


class Measure:
    """What the fixture gives to a test."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn

    def __call__(self, tag: str, name: str | None = None) -> "OfTag":
        """A measurement of a tag; `name` is what it is called in the report, the tag unless given."""
        return OfTag(self._turn, tag, name or tag)

    def computed(self, name: str, value: float, unit: str = "") -> "OfNumber":
        """A measurement of what the test worked out from samples, in `unit`."""
        return OfNumber(self._turn, name, value, unit)


class _Sentence:
    """The three comparisons that everything measured has. Limits count as kept."""

    def within(self, low: float, high: float, unit: str | None = None) -> Measurement:
        """low <= value <= high."""
        __tracebackhide__ = True
        return self._judge(limits_of(low, high), unit)

    def above(self, low: float, unit: str | None = None) -> Measurement:
        """low <= value."""
        __tracebackhide__ = True
        return self._judge(limits_of(low, None), unit)

    def below(self, high: float, unit: str | None = None) -> Measurement:
        """value <= high."""
        __tracebackhide__ = True
        return self._judge(limits_of(None, high), unit)

    def _judge(self, limits: Limits, unit: str | None) -> Measurement:
        raise NotImplementedError


class OfTag(_Sentence):
    """A tag that is about to be measured; limits are in its unit. `stays...` looks at every scan of a stretch."""

    def __init__(self, turn: Turn, tag: str, name: str) -> None:
        self._turn = turn
        self._tag = tag
        self._name = name

    def equals(self, value: Value, unit: str | None = None, *, tolerance: float = 0.0) -> Measurement:
        """The value, give or take the tolerance."""
        __tracebackhide__ = True
        return self._judge(equal_to(value, tolerance), unit)

    def is_true(self) -> Measurement:
        """A bool is on."""
        __tracebackhide__ = True
        return self._judge(Limits(equal=True), None)

    def is_false(self) -> Measurement:
        """A bool is off."""
        __tracebackhide__ = True
        return self._judge(Limits(equal=False), None)

    def stays_within(self, low: float, high: float, unit: str | None = None, *, for_s: float) -> Measurement:
        """For the next `for_s` seconds of plant time."""
        __tracebackhide__ = True
        return self._judge(limits_of(low, high, for_s), unit)

    def stays_above(self, low: float, unit: str | None = None, *, for_s: float) -> Measurement:
        """For the next `for_s` seconds of plant time."""
        __tracebackhide__ = True
        return self._judge(limits_of(low, None, for_s), unit)

    def stays_below(self, high: float, unit: str | None = None, *, for_s: float) -> Measurement:
        """For the next `for_s` seconds of plant time."""
        __tracebackhide__ = True
        return self._judge(limits_of(None, high, for_s), unit)

    def stays(self, value: Value, unit: str | None = None, *, for_s: float, tolerance: float = 0.0) -> Measurement:
        """For the next `for_s` seconds of plant time."""
        __tracebackhide__ = True
        return self._judge(replace(equal_to(value, tolerance), for_s=for_s), unit)

    def _judge(self, limits: Limits, unit: str | None) -> Measurement:
        __tracebackhide__ = True
        line = self._turn.line
        tag = line.tag(self._tag)
        blank = self._turn.blank(self._name, tag.name, tag.unit, limits)
        try:
            check_unit(tag, unit, needed=limits.equal is None)
            samples = self._turn.run(line.during(limits.for_s))
        except TestbedError as error:
            self._turn.measured(replace(blank, detail=error.problem))
            raise
        place = line.places[tag.name]
        found = worst(samples, place, limits)
        blank = replace(blank, boot=found.poll.boot, scan=found.poll.scan, time_ns=found.time_ns)
        value = found.values[place]
        if value is None:
            problem = f"{tag.name}: nothing was read (status {found.poll.statuses[place]:08X})"
            self._turn.measured(replace(blank, detail=problem))
            raise CannotMeasure(problem, "look at the wire, and whether the device has the tag at its address")
        kept = limits.holds(value)
        outcome = Outcome.PASS if kept else Outcome.FAIL
        marginal = limits.marginal(value)
        one = self._turn.measured(replace(blank, value=value, outcome=outcome, marginal=marginal))
        if not kept:
            raise LimitsBroken(f"{sentence(one)}\n\n{picture(self._turn.points(tag.name), limits, tag.unit)}\n")
        return one


class OfNumber(_Sentence):
    """A number that a test worked out, about to be measured. The tag of its record is ""."""

    def __init__(self, turn: Turn, name: str, value: float, unit: str) -> None:
        self._turn = turn
        self._name = name
        self._value = value
        self._unit = unit

    def _judge(self, limits: Limits, unit: str | None) -> Measurement:
        __tracebackhide__ = True
        blank = replace(self._turn.blank(self._name, "", self._unit, limits), value=self._value)
        if (unit or "") != self._unit:
            problem = f"{self._name}: limits in {unit or 'no unit'}, the value is in {self._unit or 'none'}"
            self._turn.measured(replace(blank, detail=problem))
            raise UsageError(problem, "write both in the same unit")
        kept = limits.holds(self._value)
        marginal = limits.marginal(self._value)
        outcome = Outcome.PASS if kept else Outcome.FAIL
        one = self._turn.measured(replace(blank, outcome=outcome, marginal=marginal))
        if not kept:
            raise LimitsBroken(sentence(one))
        return one


def worst(samples: Sequence[Sample], place: int, limits: Limits) -> Sample:
    """The sample whose value is furthest out, or nearest to a limit; one without a value is worse than any."""
    return min(samples, key=lambda sample: room(sample, place, limits))


def room(sample: Sample, place: int, limits: Limits) -> float:
    """How far a value is inside its limits, in its unit; below 0 outside."""
    value = sample.values[place]
    if value is None:
        return -math.inf
    if limits.equal is not None:
        return 0.0 if limits.holds(value) else -1.0
    if math.isnan(value):
        return -1e300
    low = math.inf if limits.low is None else value - limits.low
    return min(low, math.inf if limits.high is None else limits.high - value)


def sentence(one: Measurement) -> str:
    """What a measurement says: "tank2.level is 1.23 m, not 0.9 to 1.1 m"."""
    unit = f" {one.unit}" if one.unit else ""
    if isinstance(one.value, bool):
        shown = str(one.value).lower()
    else:
        shown = "nothing" if one.value is None else f"{one.value:.5g}{unit}"
    what = one.name if one.name == one.tag or not one.tag else f"{one.name} ({one.tag})"
    lasting = f" for {one.limits.for_s:g} s" if one.limits.for_s else ""
    limits = str(replace(one.limits, for_s=0.0)) + unit
    verb = "is" if one.outcome is Outcome.PASS else "was" if lasting else "is"
    return f"{what} {verb} {shown}, {'' if one.outcome is Outcome.PASS else 'not '}{limits}{lasting}"


def equal_to(value: Value, tolerance: float) -> Limits:
    """Limits around a value; exact where there is no tolerance."""
    __tracebackhide__ = True
    if tolerance < 0.0:
        raise UsageError(f"tolerance {tolerance:g}", "give a tolerance of 0 or more")
    return limits_of(value - tolerance, value + tolerance) if tolerance else Limits(equal=value)


def limits_of(low: float | None, high: float | None, for_s: float = 0.0) -> Limits:
    """Limits as a test writes them. Raises UsageError where nothing could keep them."""
    __tracebackhide__ = True
    try:
        return Limits(low, high, for_s=for_s)
    except TypeError:
        raise UsageError(f"limits {low!r} and {high!r}", "write numbers") from None
    except ValueError as error:
        raise UsageError(str(error), "write the lower limit first") from None
