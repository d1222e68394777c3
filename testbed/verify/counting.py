"""How a log counts its sources: each from 0 without gaps."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Miscount:
    """A record whose number is not the next one of its source. place: of the record; due: what would be next."""

    place: int
    source: str
    seq: int
    due: int


@dataclass(slots=True)
class Counted:
    """A range of records, counted. first: by source the place and number it begins with, in order; due: by source the
    number that comes next; miscount: the first record within the range that is not what its source was due.
    """

    first: dict[str, tuple[int, int]] = field(default_factory=dict)
    due: dict[str, int] = field(default_factory=dict)
    miscount: Miscount | None = None

    def take(self, place: int, source: str, seq: int) -> None:
        """The next record."""
        due = self.due.get(source)
        if due is None:
            self.first[source] = (place, seq)
        elif seq != due and self.miscount is None:
            self.miscount = Miscount(place, source, seq, due)
        self.due[source] = seq + 1

    def follow(self, other: "Counted", begin: int) -> None:
        """Put a range behind this one, whose places count from `begin`."""
        for source, (place, seq) in other.first.items():
            due = self.due.get(source)
            if due is None:
                self.first[source] = (begin + place, seq)
            elif seq != due:
                self._earlier(Miscount(begin + place, source, seq, due))
        if other.miscount is not None:
            found = other.miscount
            self._earlier(Miscount(begin + found.place, found.source, found.seq, found.due))
        self.due.update(other.due)

    def from_zero(self) -> Miscount | None:
        """The first record that is not what its source was due, where all of them begin with 0."""
        begun = [Miscount(place, source, seq, 0) for source, (place, seq) in self.first.items() if seq != 0]
        found = [*begun[:1], *([] if self.miscount is None else [self.miscount])]
        return min(found, key=lambda one: one.place, default=None)

    def _earlier(self, found: Miscount) -> None:
        if self.miscount is None or found.place < self.miscount.place:
            self.miscount = found
