"""How a check goes about it: who helps, and who is told how far it is."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from testbed.verify.crew import Crew

Argument = TypeVar("Argument")
Result = TypeVar("Result")

Told = Callable[[str, int, int], None]
"""What is done, how many parts of it are done, and how many there are."""


def _nobody(_what: str, _done: int, _parts: int) -> None:
    return


@dataclass(frozen=True, slots=True)
class Work:
    """crew: the processes that help, by default none; told: called between one part and the next; segment: rows that
    are one part, a multiple of 256.
    """

    crew: Crew = field(default_factory=lambda: Crew(1))
    told: Told = _nobody
    segment: int = 1 << 15

    def each(self, what: str, work: Callable[[Argument], Result], arguments: Iterable[Argument]) -> Iterator[Result]:
        """As `Crew.each`, and somebody is told."""
        parts = list(arguments)
        self.told(what, 0, len(parts))
        for done, result in enumerate(self.crew.each(work, parts), 1):
            self.told(what, done, len(parts))
            yield result


ALONE = Work()
"""Nobody helps, nobody is told."""
