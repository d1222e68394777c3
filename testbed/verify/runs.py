"""Findings on neighbours: of three and more in a row, of which the same is said, one finding names first and last."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from testbed.core.finding import Finding

_LEAST = 3
"""So many in a row are one finding. Two are named each by itself: such as records that changed places."""

_SPAN = re.compile(r"records \d+ to (\d+) of ")
T = TypeVar("T")


def runs(items: Iterable[T], number: Callable[[T], int]) -> list[list[T]]:
    """What belongs together of items with rising numbers: a long run as one, all others each alone."""
    found: list[list[T]] = []
    for item in items:
        if found and number(item) - number(found[-1][-1]) in (0, 1):
            found[-1].append(item)
        else:
            found.append([item])
    return [part for run in found for part in ([run] if len(run) >= _LEAST else [[item] for item in run])]


def in_runs(findings: Iterable[Finding]) -> list[Finding]:
    """Fold findings on records of one log, each of which says "record N of ORIGIN" and has that index."""
    alike: dict[tuple[object, ...], list[Finding]] = {}
    for one in findings:
        alike.setdefault((one.what, one.layer, one.verdict, one.detail), []).append(one)
    folded = [_as_one(run) for group in alike.values() for run in runs(sorted(group, key=_index), _index)]
    return sorted(folded, key=lambda one: (_index(one), one.what.value))


def last_of(finding: Finding) -> int:
    """Index of the last record that a finding is on, -1 where it is on none."""
    named = _SPAN.match(finding.where)
    return _index(finding) if named is None or finding.index is None else int(named[1])


def _as_one(run: Sequence[Finding]) -> Finding:
    one, last = run[0], _index(run[-1])
    if len(run) == 1:
        return one
    where = f"records {one.index} to {last} of {one.origin}" if last != one.index else one.where
    return replace(one, where=where, detail=f"{one.detail}; so it is with each of these {len(run)}")


def _index(finding: Finding) -> int:
    return -1 if finding.index is None else finding.index
