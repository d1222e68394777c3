"""Bodies that are gone: which the operator had erased, and what can therefore not be checked.

A tombstone counts once a confirmed anchor covers it. What depends on an erased body is named: the twin's step across
it, and the twin records that still show its values.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from testbed.core.bodies import Tombstone, TwinRecord
from testbed.core.entry import Kind
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.verify.log import CheckedLog
from testbed.verify.trust import LogRole

Place = tuple[str, int]
"""Origin and index of a record."""


@dataclass(frozen=True, slots=True)
class Grave:
    """What the operator says of a body: record `index` of its log `origin`. counts: a confirmed anchor covers it."""

    origin: str
    index: int
    reason: str
    counts: bool


@dataclass(frozen=True, slots=True)
class Erasures:
    """findings: with those of erased bodies in place of those that say that a body is missing; erased: how many, by
    origin; kept: bodies that are still there under a tombstone.
    """

    findings: list[Finding]
    erased: dict[str, int]
    kept: tuple[Place, ...]


def graves_of(logs: Collection[CheckedLog], confirmed: Mapping[str, int]) -> dict[Place, Grave]:
    """Every tombstone of an operator's log, by the record that it is about. confirmed: anchored sizes by origin."""
    graves: dict[Place, Grave] = {}
    for log in logs:
        if log.trusted.role is not LogRole.OPERATOR:
            continue
        for found in log.of(Kind.TOMBSTONE):
            body = found.body
            if isinstance(body, Tombstone):
                counts = found.index < confirmed.get(log.origin, 0)
                graves.setdefault((body.origin, body.index), Grave(log.origin, found.index, body.reason, counts))
    return graves


def explain_erased(
    findings: Sequence[Finding], logs: Mapping[str, CheckedLog], graves: Mapping[Place, Grave]
) -> Erasures:
    """Tell erased bodies from missing ones."""
    if not graves:
        return Erasures(list(findings), {}, ())
    kept = tuple(place for place in graves if place[0] in logs and place[1] in logs[place[0]].genuine)
    others: list[Finding] = []
    gone: dict[str, list[int]] = defaultdict(list)
    for one in findings:
        grave = graves.get((one.origin, one.index)) if _is_missing_body(one) and one.index is not None else None
        if grave is None or one.index is None:
            others.append(one)
        elif grave.counts:
            gone[one.origin].append(one.index)
        else:
            detail = f"its body is gone; record {grave.index} of {grave.origin} says why, and no anchor covers that yet"
            others.append(replace(one, detail=detail))
    erased = [
        _erased(logs, origin, first, last, graves[origin, first])
        for origin, indices in gone.items()
        for first, last in _runs(origin, sorted(indices), graves)
    ]
    return Erasures([*others, *erased], {origin: len(indices) for origin, indices in gone.items()}, kept)


def _is_missing_body(one: Finding) -> bool:
    return one.what is What.MISSING and one.layer is Layer.STORE


def _runs(origin: str, indices: Sequence[int], graves: Mapping[Place, Grave]) -> Iterator[tuple[int, int]]:
    """(first, last) of records that follow one another and were erased for the same reason."""
    first = last = indices[0]
    for index in indices[1:]:
        if index == last + 1 and graves[origin, index].reason == graves[origin, last].reason:
            last = index
            continue
        yield first, last
        first = last = index
    yield first, last


def _erased(logs: Mapping[str, CheckedLog], origin: str, first: int, last: int, grave: Grave) -> Finding:
    one = first == last
    where = f"record {first} of {origin}" if one else f"records {first} to {last} of {origin}"
    what = "its body was" if one else "their bodies were"
    detail = f"{what} erased under record {grave.index} of {grave.origin}: {grave.reason}"
    log = logs[origin]
    if log.trusted.role is LogRole.TWIN:
        detail += _conditional(log, last)
    else:
        detail += _shown(logs.values(), origin, first, last)
    return Finding(What.ERASED, Layer.STORE, where, detail, Verdict.INCONCLUSIVE, origin, first)


def _conditional(twin: CheckedLog, last: int) -> str:
    """The step that cannot be run: its start was erased."""
    behind = next((index for index in range(last + 1, twin.size) if twin.kind(index) is Kind.TWIN), None)
    if behind is None:
        return ""
    return f"; the step to record {behind} is not checked, and what follows is conditional on the state that it names"


def _shown(logs: Collection[CheckedLog], origin: str, first: int, last: int) -> str:
    """The twin records that name one of them and are still there."""
    for twin in logs:
        if twin.trusted.follows != origin:
            continue
        for found in twin.of(Kind.TWIN):
            body = found.body
            if isinstance(body, TwinRecord) and any(
                ref.origin == origin and first <= ref.index <= last for ref in body.inputs
            ):
                return f"; record {found.index} of {twin.origin} still shows values of it, and cannot be run again"
    return ""
