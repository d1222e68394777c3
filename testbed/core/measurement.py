"""What a test measured: one value against its limits, and the samples of a time."""

import math
from dataclasses import dataclass
from enum import Enum

from testbed.core.tags import Value

MARGIN = 0.05
"""A value nearer to a limit than this part of the band is marginal: it passes, and is reported."""


class Outcome(Enum):
    """What came of a measurement. An ERROR says nothing of the plant: the measurement itself could not be made."""

    PASS = "PASS"  # noqa: S105  # no password
    FAIL = "FAIL"
    ERROR = "ERROR"  # nothing could be read, or the limits are in another unit
    TIMEOUT = "TIMEOUT"  # a condition that was waited for did not come true in time


@dataclass(frozen=True, slots=True)
class Limits:
    """What a value must keep, in the tag's unit: low <= value <= high; None leaves a side open.

    equal: the value itself, for bools and whole numbers that are compared exactly; then low and high are None.
    for_s: how long it must be kept, s of plant time; 0.0 for a single reading.
    """

    low: float | None = None
    high: float | None = None
    equal: Value | None = None
    for_s: float = 0.0

    def __post_init__(self) -> None:
        if self.equal is None and self.low is None and self.high is None:
            raise ValueError("limits without a limit")
        if self.low is not None and self.high is not None and not self.low <= self.high:
            raise ValueError(f"limits from {self.low} to {self.high}")

    def holds(self, value: Value) -> bool:
        """Whether the value keeps the limits. NaN never does."""
        if self.equal is not None:
            return value == self.equal
        if math.isnan(value):
            return False
        return (self.low is None or self.low <= value) and (self.high is None or value <= self.high)

    def marginal(self, value: Value, span: float) -> bool:
        """Whether a value that keeps the limits is within MARGIN of one of them.

        The band is from limit to limit; where one side is open it is `span`, the tag's whole range.
        """
        if self.equal is not None or not self.holds(value):
            return False
        if self.low is not None and self.high is not None:
            span = self.high - self.low
        near = MARGIN * span
        return (self.low is not None and value - self.low < near) or (
            self.high is not None and self.high - value < near
        )

    def __str__(self) -> str:
        if self.equal is not None:
            text = f"equal to {_text(self.equal)}"
        elif self.low is None:
            text = f"at most {self.high:g}"
        elif self.high is None:
            text = f"at least {self.low:g}"
        else:
            text = f"{self.low:g} to {self.high:g}"
        return f"{text} for {self.for_s:g} s" if self.for_s else text


@dataclass(frozen=True, slots=True)
class Measurement:
    """One value against its limits.

    test: the test's node identifier in pytest; name: what is measured, unique in its test; value: in `unit`, of a
    stretch of time the one that came nearest to breaking the limits, None where nothing was read; detail: why it is an
    ERROR or a TIMEOUT, else ""; boot, scan: of the poll that the value is from, scan None where the PLC does not count;
    time_ns: of the same, UTC.
    """

    test: str
    name: str
    tag: str
    unit: str
    limits: Limits
    value: Value | None
    outcome: Outcome
    marginal: bool
    boot: int
    scan: int | None
    time_ns: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Capture:
    """Samples of several tags during a part of a test, a row for each scan that was seen.

    start_ns: UTC, of the first row; times: s of plant time since then, rising; scans: None where the PLC does not
    count; values: a row for each time, a value for each tag, None where nothing was read.
    """

    test: str
    name: str
    tags: tuple[str, ...]
    units: tuple[str, ...]
    start_ns: int
    times: tuple[float, ...]
    scans: tuple[int | None, ...]
    values: tuple[tuple[Value | None, ...], ...]

    def column(self, tag: str) -> tuple[Value | None, ...]:
        """The samples of one tag; raises ValueError for a tag that was not captured."""
        if tag not in self.tags:
            raise ValueError(f"{tag} was not captured, these were: {', '.join(self.tags)}")
        place = self.tags.index(tag)
        return tuple(row[place] for row in self.values)


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"
