"""What a check must find, written down before it runs, and whether it did."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import Enum

from testbed.core.finding import Finding, Layer, Verdict, What

RUN = 3
"""So many records in a row, of which the same is said, are one finding."""


class Kind(Enum):
    """FOUND: it must be found; PENDING: nothing covers it yet; NEUTRAL: nobody relies on what was changed."""

    FOUND = "found"
    PENDING = "pending"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True)
class Sought:
    """One finding that must be made. where: how its place begins; said: what its detail must say besides."""

    what: What
    layer: Layer
    where: str
    origin: str = ""
    index: int | None = None
    said: str = ""

    def __str__(self) -> str:
        return f"{self.what.value}, {self.layer.value}: {self.where}"

    def is_made_by(self, found: Finding) -> bool:
        same = (found.what, found.layer, found.origin, found.index) == (self.what, self.layer, self.origin, self.index)
        return same and _begins(found.where, self.where) and self.said in found.detail


@dataclass(frozen=True, slots=True)
class Expected:
    """All that must be found, and the verdict. why: of a neutral or pending change, the argument."""

    kind: Kind
    sought: tuple[Sought, ...]
    verdict: Verdict
    why: str = ""

    def as_json(self) -> dict[str, object]:
        return {
            "kind": self.kind.value,
            "verdict": self.verdict.value,
            "why": self.why,
            "sought": [{**asdict(one), "what": one.what.value, "layer": one.layer.value} for one in self.sought],
        }

    def misses(self, verdict: Verdict, findings: Sequence[Finding]) -> str:
        """What a check has wrong, in words; nothing where it says this and no more."""
        left = list(findings)
        wrong: list[str] = []
        for one in self.sought:
            made = next((found for found in left if one.is_made_by(found)), None)
            if made is None:
                wrong.append(f"not found: {one} [{one.index}]")
            else:
                left.remove(made)
        wrong += [f"too much: {found}" for found in left]
        if verdict is not self.verdict:
            wrong.append(f"verdict {verdict.value}, not {self.verdict.value}")
        return "; ".join(wrong)


def found(*sought: Sought, verdict: Verdict = Verdict.FALSIFIED) -> Expected:
    return Expected(Kind.FOUND, sought, verdict)


def pending(why: str) -> Expected:
    return Expected(Kind.PENDING, (), Verdict.GENUINE, why)


def neutral(why: str) -> Expected:
    return Expected(Kind.NEUTRAL, (), Verdict.GENUINE, why)


def records(what: What, layer: Layer, origin: str, indices: Iterable[int], behind: str = "") -> list[Sought]:
    """Findings on records: each by itself, three and more in a row as one that names the first and the last."""
    sought: list[Sought] = []
    for first, last in runs(indices):
        if last - first + 1 < RUN:
            sought += [
                Sought(what, layer, f"record {i} of {origin}{behind}", origin, i) for i in range(first, last + 1)
            ]
        else:
            sought.append(Sought(what, layer, f"records {first} to {last} of {origin}{behind}", origin, first))
    return sought


def runs(indices: Iterable[int]) -> Sequence[tuple[int, int]]:
    """(first, last) of each run of consecutive numbers."""
    done: list[tuple[int, int]] = []
    for index in sorted(set(indices)):
        if done and index == done[-1][1] + 1:
            done[-1] = (done[-1][0], index)
        else:
            done.append((index, index))
    return done


def _begins(text: str, start: str) -> bool:
    """Whole words: "record 1" is no beginning of "record 12"."""
    return text.startswith(start) and not (start[-1:].isdigit() and text[len(start) : len(start) + 1].isdigit())
