"""What happened to a sequence of records: which are missing, extra, changed or moved.

Every leaf hash of a log is its own (each commitment is salted), so hashes can be matched by value.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from testbed.core.finding import What


@dataclass(frozen=True, slots=True)
class Edit:
    """One difference. index: place in the expected sequence; position: place in the found one, None where absent."""

    what: What
    index: int
    position: int | None


def align(expected: Sequence[bytes | None], found: Sequence[bytes]) -> list[Edit]:
    """Differences that turn `expected` (leaf hashes of the log) into `found` (leaf hashes of the store).

    A place where nothing is expected (None: the hash is not known) takes whatever stands there.
    Deleted and altered records carry the log's index; an inserted one carries the index at which it pushed in.
    O(n log n).
    """
    start = 0
    while start < min(len(expected), len(found)) and expected[start] in (found[start], None):
        start += 1
    if start == len(expected) == len(found):
        return []
    index_of = {digest: start + i for i, digest in enumerate(expected[start:]) if digest is not None}
    matches: list[tuple[int, int]] = []  # (position, index) of records that stand in both
    seen: set[int] = set()
    for position in range(start, len(found)):
        index = index_of.get(found[position])
        if index is not None and index not in seen:
            seen.add(index)
            matches.append((position, index))
    anchors = _longest_increasing(matches)
    edits: list[Edit] = []
    edges = [(start - 1, start - 1), *anchors, (len(found), len(expected))]
    taken = {position for position, _ in matches}
    for (position, index), (next_position, next_index) in pairwise(edges):
        missing = [i for i in range(index + 1, next_index) if i not in seen]
        unknown = [p for p in range(position + 1, next_position) if p not in taken]
        for i, p in zip(missing, unknown, strict=False):
            if expected[i] is not None:
                edits.append(Edit(What.ALTERED, i, p))
        edits += [Edit(What.DELETED, i, None) for i in missing[len(unknown) :] if expected[i] is not None]
        edits += [Edit(What.INSERTED, next_index, p) for p in unknown[len(missing) :]]
    return sorted(edits + _moved(matches), key=lambda edit: (edit.index, edit.what.value))


def _moved(matches: list[tuple[int, int]]) -> list[Edit]:
    """Records that stand in both sequences, but not in the same order: each against the place that it should have."""
    in_order = sorted(index for _, index in matches)
    return [
        Edit(What.REORDERED, should, position)
        for (position, index), should in zip(matches, in_order, strict=True)
        if index != should
    ]


def _longest_increasing(matches: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest run of matches whose indices rise: what was left in place (patience sorting)."""
    tails: list[int] = []
    tail_at: list[int] = []
    previous: list[int | None] = []
    for at, (_, index) in enumerate(matches):
        place = bisect_left(tails, index)
        previous.append(tail_at[place - 1] if place else None)
        if place == len(tails):
            tails.append(index)
            tail_at.append(at)
        else:
            tails[place] = index
            tail_at[place] = at
    chain: list[tuple[int, int]] = []
    at_or_none = tail_at[-1] if tail_at else None
    while at_or_none is not None:
        chain.append(matches[at_or_none])
        at_or_none = previous[at_or_none]
    return chain[::-1]
