"""One test's turn at the line: what it measured, and under which names."""

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, Protocol, TypeVar

from testbed.core.errors import TestbedError, UsageError
from testbed.core.measurement import Capture, Limits, Measurement, Outcome
from testbed.core.tags import DataType, Tag
from testbed.pytest_plugin.line import Line, MustEnd
from testbed.pytest_plugin.loop import Loop
from testbed.pytest_plugin.picture import Points

_T = TypeVar("_T")


class Sink(Protocol):
    """Keeps what was measured. The evidence of a run is one."""

    def measurement(self, one: Measurement) -> None: ...
    def capture(self, one: Capture) -> None: ...


class Turn:
    """test: node identifier; begun_s: plant time at which the test began, s; sinks: each is told everything; end_run:
    ends the run at once, with a cause.
    """

    def __init__(
        self, test: str, loop: Loop, line: Line, sinks: tuple[Sink, ...], end_run: Callable[[str], NoReturn]
    ) -> None:
        self.test = test
        self.line = line
        self.measurements: list[Measurement] = []
        self.captures: list[Capture] = []
        self.begun_s = 0.0
        self._loop = loop
        self._sinks = sinks
        self._end_run = end_run
        self._names: Counter[str] = Counter()
        self.begin()

    def begin(self) -> None:
        """The test's time counts from the newest scan on."""
        last = self.line.last
        self.begun_s = 0.0 if last is None else last.time_s

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Do it in the loop of the wires."""
        __tracebackhide__ = True
        try:
            return self._loop.run(work)
        except MustEnd as error:
            self._end_run(str(error))
        except TestbedError as error:
            raise error.with_traceback(None) from None  # a person needs its words, and their own line

    def name(self, wanted: str) -> str:
        """The name, with a number behind it where the test has used it before: "level", "level #2"."""
        self._names[wanted] += 1
        count = self._names[wanted]
        return wanted if count == 1 else f"{wanted} #{count}"

    def blank(self, name: str, tag: str, unit: str, limits: Limits) -> Measurement:
        """A measurement that nothing came of yet: an ERROR, at the newest scan that was seen."""
        last = self.line.last
        boot, scan = (0, None) if last is None else (last.poll.boot, last.poll.scan)
        time_ns = self.line.pace.clock.now_ns()
        return Measurement(
            self.test, self.name(name), tag, unit, limits, None, Outcome.ERROR, False, boot, scan, time_ns
        )

    def measured(self, one: Measurement) -> Measurement:
        """Keep a measurement."""
        self.measurements.append(one)
        for sink in self._sinks:
            sink.measurement(one)
        return one

    def captured(self, one: Capture) -> None:
        """Keep a capture."""
        self.captures.append(one)
        for sink in self._sinks:
            sink.capture(one)

    def points(self, tag: str, since_s: float | None = None) -> Points:
        """What was seen of a tag in this test, or since a plant time."""
        place = self.line.places[tag]
        since_s = self.begun_s if since_s is None else since_s
        return [(sample.time_s, sample.values[place]) for sample in self.line.since(since_s)]


def check_unit(tag: Tag, unit: str | None, *, needed: bool) -> None:
    """Raises UsageError where limits are in another unit than the tag, or in none where one is needed."""
    __tracebackhide__ = True
    if unit is None and not (needed and tag.unit and tag.type is not DataType.BOOL):
        return
    if unit is None:
        raise UsageError(f"{tag.name}: limits without a unit, the tag is in {tag.unit}", f'say it: "{tag.unit}"')
    if unit != tag.unit:
        has = f"is in {tag.unit}" if tag.unit else "has no unit"
        mend = f'write the limits in {tag.unit}, and "{tag.unit}" behind them' if tag.unit else "leave the unit out"
        raise UsageError(f"{tag.name}: limits in {unit}, the tag {has}", mend)
