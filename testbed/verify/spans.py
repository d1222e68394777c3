"""Numbers that are counted and kept as spans, so that a million rows in a row take no room."""

from dataclasses import dataclass, field

_MOST = 1000
"""Spans that are kept; what comes behind is only counted."""


@dataclass(slots=True)
class Spans:
    """Numbers in the order in which they came. spans: first and last of each, at most a thousand; count: of all."""

    spans: list[list[int]] = field(default_factory=list)
    count: int = 0

    def add(self, number: int) -> None:
        """Take one more."""
        self.count += 1
        if self.spans and self.spans[-1][1] == number - 1:
            self.spans[-1][1] = number
        elif len(self.spans) < _MOST:
            self.spans.append([number, number])

    @property
    def left_out(self) -> int:
        """How many are in no span."""
        return self.count - sum(last - first + 1 for first, last in self.spans)

    def words(self, most: int) -> str:
        """For a person, the first `most` spans: "1 to 4, 9 and 12 more"."""
        shown = self.spans[:most]
        text = ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in shown)
        more = self.count - sum(last - first + 1 for first, last in shown)
        return f"{text} and {more} more" if more else text
