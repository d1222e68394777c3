"""The markers: what a test needs, and what must hold while it runs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from testbed.core.errors import UsageError
from testbed.core.measurement import Outcome
from testbed.core.tags import Tag, Value
from testbed.fieldbus.source import held
from testbed.guard.safe_state import SafeState, Setting
from testbed.pytest_plugin.measuring import LimitsBroken, limits_of, room, sentence
from testbed.pytest_plugin.picture import picture
from testbed.pytest_plugin.sample import Sample
from testbed.pytest_plugin.settings import Settings, is_physical
from testbed.pytest_plugin.turn import Turn, check_unit
from testbed.rig.bench import Bench

_EXAMPLE = 'write limits("tank2.level", 0.1, 1.5, "m")'


def missing(item: pytest.Item, bench: Bench, settings: Settings) -> str:
    """Why the test cannot run on this bench, by its file alone; "" where it can."""
    physical = is_physical(bench)
    if physical and not settings.allow_physical:
        return f"bench {bench.name} has a physical PLC: add --allow-physical"
    if item.get_closest_marker("physical") is not None and not physical:
        return f"it needs a physical PLC, that of bench {bench.name} is emulated"
    if item.get_closest_marker("destructive") is not None and physical and not settings.allow_writes:
        return "it is destructive: add --allow-writes"
    names = {tag.name for tag in bench.tags}
    for what in _required(item):
        has = {
            "plant": not physical,
            "watchdog": bool(bench.safety.watchdog),
            "writes": not physical or settings.allow_writes,
        }.get(what, what in names)
        if not has:
            return f"it requires {what}, and bench {bench.name} has none"
    return ""


def _required(item: pytest.Item) -> list[str]:
    return [str(what) for mark in item.iter_markers("requires") for what in mark.args]


def settings_of(item: pytest.Item) -> SafeState | None:
    """What the test adds to the safe state; None where nothing."""
    found: list[Setting] = []
    for mark in item.iter_markers("safe_state"):
        given = mark.args[0] if len(mark.args) == 1 else None
        if not isinstance(given, Mapping):
            raise UsageError("the marker safe_state without its settings", 'write safe_state({"control.mode": 0})')
        found += [Setting(str(tag), value) for tag, value in given.items()]
    return SafeState(tuple(found)) if found else None


def check_settings(item: pytest.Item, tags: Sequence[Tag]) -> None:
    """Raises UsageError for a marker `safe_state` that could not be written."""
    by_name = {tag.name: tag for tag in tags}
    safe = settings_of(item)
    for one in () if safe is None else safe.settings:
        tag = by_name.get(one.tag)
        if tag is None or not tag.writable:
            what = "there is no such tag" if tag is None else "it cannot be written"
            writable = ", ".join(tag.name for tag in tags if tag.writable)
            raise UsageError(f"the marker safe_state with {one.tag}: {what}", f"these can: {writable}")
        held(tag, one.value)


class Kept:
    """One marker `limits`, watching. The first scan that breaks it ends what is waited for, and fails the test."""

    def __init__(self, turn: Turn, mark: pytest.Mark) -> None:
        try:
            tag, low, high, unit = _arguments(*mark.args, **mark.kwargs)
        except TypeError:
            raise UsageError("the marker limits takes a tag, low, high and unit", _EXAMPLE) from None
        self._turn = turn
        self._tag = turn.line.tag(tag)
        check_unit(self._tag, unit, needed=True)
        self._limits = limits_of(low, high)
        self._place = turn.line.places[tag]
        self._worst: Sample | None = None
        self._broken = ""

    def __call__(self, sample: Sample) -> None:
        """Look at a scan; where nothing was read, nothing is said of it."""
        value = sample.values[self._place]
        if value is None:
            return
        if self._worst is None or room(sample, self._place, self._limits) < room(
            self._worst, self._place, self._limits
        ):
            self._worst = sample
        if not self._broken and not self._limits.holds(value):
            self._broken = self._record(sample, value, Outcome.FAIL)
            raise LimitsBroken(self._broken)

    def finish(self) -> None:
        """The test is over. Raises LimitsBroken where a scan had broken the limits, whatever the test made of it."""
        if self._broken:
            raise LimitsBroken(self._broken)
        if self._worst is not None:
            self._record(self._worst, self._worst.values[self._place], Outcome.PASS)

    def _record(self, sample: Sample, value: Value | None, outcome: Outcome) -> str:
        tag = self._tag
        one = self._turn.blank(f"{tag.name} all the time", tag.name, tag.unit, self._limits)
        near = value is not None and self._limits.marginal(value)
        poll = sample.poll
        one = replace(
            one, value=value, outcome=outcome, marginal=near, boot=poll.boot, scan=poll.scan, time_ns=sample.time_ns
        )
        self._turn.measured(one)
        return f"{sentence(one)}\n\n{picture(self._turn.points(tag.name), self._limits, tag.unit)}\n"


def _arguments(
    tag: str, low: float | None = None, high: float | None = None, unit: str | None = None
) -> tuple[str, float | None, float | None, str | None]:
    return tag, low, high, unit
