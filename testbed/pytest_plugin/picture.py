"""A signal as text: a small plot with its limits and a time axis, for the message of a failed test."""

import math
from collections.abc import Sequence

from testbed.core.measurement import Limits
from testbed.core.tags import Value

WIDTH = 60
HEIGHT = 9
_STEPS = "▁█"

Points = Sequence[tuple[float, Value | None]]
"""Time, s, and value; None where nothing was read."""


def picture(points: Points, limits: Limits, unit: str) -> str:
    """The points between their limits; "" where there is no point. Times count back from the last one."""
    if not points:
        return ""
    last = points[-1][0]
    first = points[0][0]
    span = max(last - first, 1e-9)
    columns: list[list[Value | None]] = [[] for _ in range(WIDTH)]
    for time, value in points:
        columns[min(WIDTH - 1, int((time - first) / span * WIDTH))].append(value)
    if all(value is None or isinstance(value, bool) for _, value in points):
        rows = _steps(columns)
    else:
        rows = _plot(columns, limits, unit)
    margin = len(rows[0]) - WIDTH
    return "\n".join([*rows, *_axis(margin, first, last)])


def _steps(columns: Sequence[Sequence[Value | None]]) -> list[str]:
    """One row: high or low, a gap where nothing was seen."""
    row, shown = "", " "
    for column in columns:
        if column:
            shown = " " if column[-1] is None else _STEPS[bool(column[-1])]
            if True in column and False in column:
                shown = _STEPS[not column[-1]]  # a change within the column is not lost
        row += shown
        if column and column[-1] is not None:
            shown = _STEPS[bool(column[-1])]
    return ["true/false " + row]


def _plot(columns: Sequence[Sequence[Value | None]], limits: Limits, unit: str) -> list[str]:
    numbers = [float(v) for column in columns for v in column if v is not None and math.isfinite(v)]
    marks = [mark for mark in (limits.low, limits.high) if mark is not None]
    if limits.equal is not None and not isinstance(limits.equal, bool):
        marks = [float(limits.equal)]
    low, high = min([*numbers, *marks]), max([*numbers, *marks])
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    step = (high - low) / (HEIGHT - 1)

    def row_of(value: float) -> int:
        return round((high - value) / step)

    canvas = [[" "] * WIDTH for _ in range(HEIGHT)]
    for mark in marks:
        canvas[row_of(mark)] = ["-"] * WIDTH
    for place, column in enumerate(columns):
        for value in column:
            if value is not None and math.isfinite(value):
                canvas[row_of(float(value))][place] = "*"
            else:
                canvas[HEIGHT - 1][place] = "?"  # nothing was read, or no number
    marked = {row_of(mark): mark for mark in marks}
    labels = [f"{marked.get(row, high - row * step):.4g} {unit}".rstrip() for row in range(HEIGHT)]
    wide = max(map(len, labels))
    return [
        f"{label:>{wide}} {'>' if row in marked else '|'} {''.join(line)}"
        for row, (label, line) in enumerate(zip(labels, canvas, strict=True))
    ]


def _axis(margin: int, first: float, last: float) -> list[str]:
    middle = f"{(first - last) / 2:.3g} s"
    left = f"{first - last:.3g} s"
    text = f"{left:<{WIDTH // 2 - len(middle) // 2}}{middle}"
    return [" " * margin + "+" + "-" * (WIDTH - 2) + "+", " " * margin + f"{text:<{WIDTH - 3}}0 s"]
