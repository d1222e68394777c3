"""What happened to a sequence of records: which are missing, extra, changed or moved.

Every leaf hash of a log is its own (each commitment is salted), so hashes can be matched by value.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from testbed.core.finding import What
from testbed.merkle.packed import Packed


@dataclass(frozen=True, slots=True)
class Edit:
    """One difference. index: place in the expected sequence; position: place in the found one, None where absent."""

    what: What
    index: int
    position: int | None


@dataclass(frozen=True, slots=True)
class Alignment:
    """How two sequences stand to one another.

    start: so many of the first ones stand in place, or where nothing is known; end: so many of the last ones stand as
    far from the end; matches: (position, index) of those in between that stand in both.
    """

    start: int
    end: int
    matches: tuple[tuple[int, int], ...]
    edits: tuple[Edit, ...]


def align(expected: Sequence[bytes | None], found: Sequence[bytes]) -> list[Edit]:
    """Differences that turn `expected` (leaf hashes of the log) into `found` (leaf hashes of the store).

    A place where nothing is expected (None: the hash is not known) takes whatever stands there.
    Deleted and altered records carry the log's index; an inserted one carries the index at which it pushed in.
    """
    return list(aligned(Packed.of(expected), Packed.of(found)).edits)


def aligned(expected: Packed, found: Packed) -> Alignment:
    """As `align`, with what stands where. O(n log n) in what is left between the first and the last difference."""
    start = 0
    least = min(len(expected), len(found))
    while start < least:
        start = expected.common(found, start)
        if start == least or expected[start] is not None:
            break
        start += 1
    if start == len(expected) == len(found):
        return Alignment(start, 0, (), ())
    end = expected.common_end(found, least - start)
    index_of = {
        digest: index for index, digest in enumerate(expected[start : len(expected) - end], start) if digest is not None
    }
    matches: list[tuple[int, int]] = []
    seen: set[int] = set()
    for position, one in enumerate(found[start : len(found) - end], start):
        index = None if one is None else index_of.get(one)
        if index is not None and index not in seen:
            seen.add(index)
            matches.append((position, index))
    known = set(index_of.values())
    anchors = _longest_increasing(matches)
    edits: list[Edit] = []
    edges = [(start - 1, start - 1), *anchors, (len(found) - end, len(expected) - end)]
    taken = {position for position, _ in matches}
    for (position, index), (next_position, next_index) in pairwise(edges):
        missing = [i for i in range(index + 1, next_index) if i not in seen]
        unknown = [p for p in range(position + 1, next_position) if p not in taken]
        for i, p in zip(missing, unknown, strict=False):
            if i in known:
                edits.append(Edit(What.ALTERED, i, p))
        edits += [Edit(What.DELETED, i, None) for i in missing[len(unknown) :] if i in known]
        edits += [Edit(What.INSERTED, next_index, p) for p in unknown[len(missing) :]]
    edits = sorted(edits + _moved(matches), key=lambda edit: (edit.index, edit.what.value))
    return Alignment(start, end, tuple(matches), tuple(edits))


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
