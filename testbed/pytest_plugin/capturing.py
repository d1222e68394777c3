"""The fixture `capture`: the samples of a part of a test.

with capture("tank2.level", "pump.speed") as seen:
    plc.wait_until("tank2.level").above(0.99, limit=120)
assert seen.highest("tank2.level") < 1.1
"""

from itertools import pairwise
from types import TracebackType

from testbed.core.errors import UsageError
from testbed.core.measurement import Capture
from testbed.core.tags import Value
from testbed.pytest_plugin.sample import Sample
from testbed.pytest_plugin.turn import Turn


class Captures:
    """What the fixture gives to a test."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn

    def __call__(self, *tags: str, name: str | None = None) -> "Seen":
        """Samples of these tags, of all where none is named, while the block runs."""
        line = self._turn.line
        names = tuple(line.tag(tag).name for tag in tags) or tuple(line.places)
        return Seen(self._turn, names, name or "capture")


class Seen:
    """The samples, a row for each scan that was seen. Full once the block is over."""

    def __init__(self, turn: Turn, tags: tuple[str, ...], name: str) -> None:
        self._turn = turn
        self._name = name
        self._places = tuple(turn.line.places[tag] for tag in tags)
        self._samples: list[Sample] = []
        self.tags = tags

    def __enter__(self) -> "Seen":
        self._see(self._turn.run(self._turn.line.fresh()))
        self._turn.line.watchers.append(self._see)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        line = self._turn.line
        line.watchers.remove(self._see)
        # Of a failed block as well: it shows why.
        first = self._samples[0]
        self._turn.captured(
            Capture(
                self._turn.test,
                self._turn.name(self._name),
                self.tags,
                tuple(line.tag(tag).unit for tag in self.tags),
                first.time_ns,
                tuple(sample.time_s - first.time_s for sample in self._samples),
                tuple(sample.poll.scan for sample in self._samples),
                tuple(tuple(sample.values[place] for place in self._places) for sample in self._samples),
            )
        )

    def samples(self, tag: str) -> list[tuple[float, Value]]:
        """Time since the block began, s of plant time, and value, where one was read."""
        if tag not in self.tags:
            raise UsageError(f"{tag} was not captured", f"name it: capture({', '.join(map(repr, (*self.tags, tag)))})")
        place, first_s = self._places[self.tags.index(tag)], self._samples[0].time_s
        found = [(sample.time_s - first_s, sample.values[place]) for sample in self._samples]
        return [(time_s, value) for time_s, value in found if value is not None]

    def values(self, tag: str) -> list[Value]:
        """The values alone."""
        return [value for _, value in self.samples(tag)]

    def highest(self, tag: str) -> float:
        """The highest value."""
        return max(self.values(tag))

    def lowest(self, tag: str) -> float:
        """The lowest value."""
        return min(self.values(tag))

    def fastest(self, tag: str) -> float:
        """The fastest change between two scans, in the tag's unit a second of plant time, without its sign."""
        rows = self.samples(tag)
        return max((abs(b - a) / (t - s) for (s, a), (t, b) in pairwise(rows)), default=0.0)

    def _see(self, sample: Sample) -> None:
        if not self._samples or self._samples[-1] is not sample:
            self._samples.append(sample)
