"""A signal over time as an inline SVG: its samples, its limits, and where it was measured. Pure, and without scripts.

Colours come from the page's variables, so that it reads in light and dark.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from testbed.core.measurement import Capture, Limits, Measurement, Outcome
from testbed.core.tags import Value
from testbed.outward import words

_WIDTH, _HEIGHT = 480, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 26, 30
_MOST = 400
"""Columns of samples; where there are more, each shows its least and its largest."""
_ACROSS, _UP = 7, 4
"""Marks on an axis, at most about so many."""


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values to places in the picture."""

    low: float
    high: float
    first: float
    last: float

    def __call__(self, value: float) -> float:
        part = (value - self.low) / (self.high - self.low)
        return round(self.first + part * (self.last - self.first), 1)


def plot(capture: Capture, tag: str, measurements: Sequence[Measurement]) -> str:
    """One tag of a capture. measurements: of its test; those of the tag give limits and marks."""
    own = [one for one in measurements if one.tag == tag]
    unit = capture.units[capture.tags.index(tag)]
    samples = [(at, _number(value)) for at, value in zip(capture.times, capture.column(tag), strict=True)]
    across = _Scale(0.0, max(capture.times, default=0.0) or 1.0, _LEFT, _WIDTH - _RIGHT)
    bounds = [bound for one in own for _, bound in _bounds(one.limits)]
    seen = [value for _, value in samples if value is not None]
    up = _vertical([*seen, *bounds])
    title = f"{tag} [{unit}]" if unit else tag
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{_text(f"{title} over time")}">',
        f'<text class="title" x="4" y="16">{_text(title)}</text>',
        *_grid(across, up, truths=all(isinstance(value, bool | None) for value in capture.column(tag))),
        *_limits([one.limits for one in own], up),
        *(f'<polyline class="signal" points="{points}"/>' for points in _lines(samples, across, up)),
        *_marks(capture, own, across, up),
        "</svg>",
    ]
    return "".join(parts)


def _number(value: Value | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _bounds(limits: Limits) -> Iterator[tuple[str, float]]:
    equal = _number(limits.equal)
    for name, value in (("low", limits.low), ("high", limits.high), ("equal", equal)):
        if value is not None and math.isfinite(value):
            yield name, value


def _vertical(values: Sequence[float]) -> _Scale:
    low, high = min(values, default=0.0), max(values, default=1.0)
    if {low, high} <= {0.0, 1.0}:
        low, high = 0.0, 1.0  # truths, mostly
    room = (high - low) * 0.08 or abs(high) * 0.05 or 1.0
    return _Scale(low - room, high + room, _HEIGHT - _BOTTOM, _TOP)


def _ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers between low and high."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step)
    return [number * step for number in range(first, first + 2 * most) if number * step <= high]


def _grid(across: _Scale, up: _Scale, *, truths: bool) -> Iterator[str]:
    for value in (0.0, 1.0) if truths else _ticks(up.low, up.high, _UP):
        y = up(value)
        said = str(bool(value)).lower() if truths else words.number(value)
        yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
        yield f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:g}" text-anchor="end">{said}</text>'
    for value in _ticks(across.low, across.high, _ACROSS):
        yield f'<text class="tick" x="{across(value)}" y="{_HEIGHT - 12}" text-anchor="middle">{value:g}</text>'
    yield f'<text class="tick" x="{_WIDTH - 4}" y="{_HEIGHT - 2}" text-anchor="end">s</text>'


def _limits(limits: Sequence[Limits], up: _Scale) -> Iterator[str]:
    for name, value in dict.fromkeys(bound for one in limits for bound in _bounds(one)):
        y = up(value)
        yield f'<line class="limit" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
        below = y + 12 if name == "low" else y - 4
        yield f'<text class="limit" x="{_WIDTH - _RIGHT - 2}" y="{below:g}" text-anchor="end">{name} {value:g}</text>'


def _lines(samples: Sequence[tuple[float, float | None]], across: _Scale, up: _Scale) -> Iterator[str]:
    """Points of each stretch without a gap."""
    stretch: list[tuple[float, float]] = []
    for at, value in [*samples, (0.0, None)]:
        if value is not None:
            stretch.append((at, value))
        elif stretch:
            # A stretch of one sample is a dot: a line of no length with round ends.
            yield " ".join(
                f"{across(at):g},{up(value):g}" for at, value in _thinned(stretch * (1 + (len(stretch) < 2)))
            )
            stretch = []


def _thinned(samples: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most two samples a column, the least and the largest, so that no peak is lost."""
    if len(samples) <= 2 * _MOST:
        return list(samples)
    kept: list[tuple[float, float]] = []
    for column in range(_MOST):
        part = samples[column * len(samples) // _MOST : (column + 1) * len(samples) // _MOST]
        kept += sorted({min(part, key=lambda one: one[1]), max(part, key=lambda one: one[1])})
    return kept


def _marks(capture: Capture, own: Sequence[Measurement], across: _Scale, up: _Scale) -> Iterator[str]:
    """A dot where a value was measured, by the scan that it is from."""
    places = {scan: at for scan, at in zip(capture.scans, capture.times, strict=True) if scan is not None}
    for one in own:
        value = _number(one.value)
        if value is not None and one.scan in places:
            kind = "good" if one.outcome is Outcome.PASS else "bad"
            x, y = across(places[one.scan]), up(value)
            yield f'<circle class="{kind}" cx="{x}" cy="{y}" r="4"><title>{_text(words.measured(one))}</title></circle>'


def _text(text: str) -> str:
    return escape(words.clean(text))
