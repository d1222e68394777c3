"""Checks two readers of one PLC against each other: what both have read of a scan must be the same.

Where they differ, one of them or the wire before it lies, and nothing here says which. States belong together by boot
and scan counter; where a PLC has no scan counter, by time and within a deadband.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.verify.sides import Side
from testbed.verify.timed import differences_by_time
from testbed.verify.trust import Agreement
from testbed.verify.values import Comparison, shown

_LEAST = 100
"""Scans from which on the share of those that were missed says something."""


@dataclass(slots=True)
class CheckedAgreement:
    """scans: how many of them both readers have, and say the same of."""

    scans: int = 0
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing of which the two logs say different things, in words: the records, and what they say."""

    where: str
    detail: str


def check_agreement(one: Side, other: Side, limits: Agreement) -> CheckedAgreement:
    """Compare two readers. Each kind of disagreement is one finding, which names the first and counts the others."""
    values, apart = _folded(_values(one, other))
    kinds = [
        _replays(one, other),
        _replays(other, one),
        _omissions(one, other),
        _omissions(other, one),
        _uncounted(one, other),
        _uncounted(other, one),
    ]
    if (one.timed and not one.states) or (other.timed and not other.states):
        kinds += [_by_time(one, other, limits), _by_time(other, one, limits)]
    findings = values + [finding for kind in kinds for finding in _folded(kind)[0]]
    common = sum(scan in other.states for scan in one.states)
    return CheckedAgreement(common - apart, findings)


def check_overload(side: Side, limits: Agreement) -> list[Finding]:
    """By its own word, a reader may have missed a share of the scans: whoever misses most of them tells little."""
    due = len(side.states) + side.missed
    if due < _LEAST or side.missed <= limits.missed * due:
        return []
    detail = (
        f"by its own word it missed {side.missed} of {due} scans, and {limits.missed:.0%} may be missed: of those only"
        " the other reader speaks"
    )
    return [_finding(side.origin, detail)]


def _values(one: Side, other: Side) -> Iterator[Difference]:
    comparison = Comparison(one.tags, other.tags)
    for scan, first, _ in one.states.reads():
        second = other.states.get(scan)
        if second is None:
            continue
        different = comparison.difference(one.state(first), other.state(second))
        if different is not None:
            tag, a, b = different
            yield Difference(
                f"record {first} of {one.origin} and record {second} of {other.origin}",
                f"of scan {scan[1]}, boot {scan[0]}, the one has {tag.name} = {shown(a, tag)}, the other"
                f" {shown(b, tag)}",
            )


def _replays(side: Side, other: Side) -> Iterator[Difference]:
    """A state that repeats a scan or goes back to it: a PLC's counter never does, unless the other saw it as well."""
    for scan, again in side.again.items():
        if scan not in other.again:
            yield Difference(
                f"record {again.index} of {side.origin}",
                f"scan {scan[1]}, boot {scan[0]}, comes again or goes back behind scan {again.behind[1]}, boot"
                f" {again.behind[0]}, in record {again.before}; {other.origin} knows nothing of it",
            )


def _omissions(side: Side, other: Side) -> Iterator[Difference]:
    for gap in side.gaps:
        found = other.first_within(gap)
        if found is not None:
            yield Difference(
                f"between records {gap.before} and {gap.after} of {side.origin}",
                f"it lacks scan {found[1]}, boot {found[0]}, and does not own up to having missed it; record"
                f" {other.states[found]} of {other.origin} has it",
            )


def _uncounted(side: Side, other: Side) -> Iterator[Difference]:
    """A state without a scan counter, from a PLC that has one by the word of both logs."""
    if side.states and other.states:
        for _, index in side.timed:
            yield Difference(
                f"record {index} of {side.origin}", f"it has values and no scan; each state of {other.origin} has one"
            )


def _by_time(side: Side, other: Side, limits: Agreement) -> Iterator[Difference]:
    return (Difference(where, detail) for where, detail in differences_by_time(side, other, limits))


def _folded(kind: Iterator[Difference]) -> tuple[list[Finding], int]:
    """One finding for all of a kind, none where there are none; and how many there are."""
    first = next(kind, None)
    if first is None:
        return [], 0
    more = sum(1 for _ in kind)
    return [_finding(first.where, first.detail + (f"; so it is {more} more time(s)" if more else ""))], 1 + more


def _finding(where: str, detail: str) -> Finding:
    return Finding(What.DISAGREED, Layer.WIRE, where, f"{detail}: either reader or either wire", Verdict.INCONCLUSIVE)
