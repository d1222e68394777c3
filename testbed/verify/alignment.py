"""What happened to a sequence of records: which are missing, extra, changed or moved.

Every leaf hash of a log is its own (each commitment is salted), so hashes can be matched by value.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
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


def align(
    expected: Sequence[bytes | None], found: Sequence[bytes], is_whole: Callable[[int], bool] = lambda _: True
) -> list[Edit]:
    """Differences that turn `expected` (leaf hashes of the log) into `found` (leaf hashes of the store).

    A place where nothing is expected (None: the hash is not known) takes whatever stands there.
    Deleted and altered records carry the log's index; an inserted one carries the index at which it pushed in. Where a
    record stands twice, the copy counts that fits best, and the other one is none of the log's. is_whole: whether what
    stands at a position in the store opens its commitment; what does not was not moved there, and where it stands in
    its own place that is no edit.
    """
    return list(aligned(Packed.of(expected), Packed.of(found), is_whole).edits)


def aligned(expected: Packed, found: Packed, is_whole: Callable[[int], bool] = lambda _: True) -> Alignment:
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
    # What is known of a position: the index of the record whose hash stands there.
    hashes = {
        position: index_of[one]
        for position, one in enumerate(found[start : len(found) - end], start)
        if one is not None and one in index_of
    }
    whole = [(position, index) for position, index in hashes.items() if is_whole(position)]
    places: dict[int, list[int]] = {}
    for position, index in whole:
        places.setdefault(index, []).append(position)
    first, last = (start - 1, start - 1), (len(found) - end, len(expected) - end)
    in_order = _best_copies(_longest_increasing(whole), places, first, last)
    kept = {index for _, index in in_order}
    standing = sorted([*in_order, *((copies[0], index) for index, copies in places.items() if index not in kept)])
    taken = {position for position, _ in standing}
    known = set(index_of.values())
    edits: list[Edit] = []
    own: list[tuple[int, int]] = []
    for (position, index), (next_position, next_index) in pairwise([first, *in_order, last]):
        missing = [i for i in range(index + 1, next_index) if i not in places]
        unknown = [p for p in range(position + 1, next_position) if p not in taken]
        # What has the right hash, and does not open, stands where it should: there is nothing to put right.
        there = {hashes[p]: p for p in unknown if p in hashes}
        own += [(there[i], i) for i in missing if i in there]
        unknown = [p for p in unknown if hashes.get(p) not in missing]
        missing = [i for i in missing if i not in there]
        edits += [Edit(What.ALTERED, i, p) for i, p in zip(missing, unknown, strict=False) if i in known]
        edits += [Edit(What.DELETED, i, None) for i in missing[len(unknown) :] if i in known]
        edits += [Edit(What.INSERTED, next_index, p) for p in unknown[len(missing) :]]
    edits += [Edit(What.REORDERED, index, position) for position, index in _out_of_place(standing, kept)]
    edits.sort(key=lambda edit: (edit.index, edit.what.value))
    return Alignment(start, end, tuple(sorted([*standing, *own])), tuple(edits))


def _best_copies(
    chain: list[tuple[int, int]], places: dict[int, list[int]], first: tuple[int, int], last: tuple[int, int]
) -> list[tuple[int, int]]:
    """The same records in order; of those that stand more than once between their neighbours, the copy that leaves the
    least to be explained: a record that took another one's place is not in its own.
    """
    edges = [first, *chain, last]
    for at in range(1, len(edges) - 1):
        (before, lower), (_, index), (behind, upper) = edges[at - 1 : at + 2]
        copies = [position for position in places[index] if before < position < behind]
        if len(copies) > 1:
            slack = {
                position: abs(position - before - (index - lower)) + abs(behind - position - (upper - index))
                for position in copies
            }
            edges[at] = min(copies, key=lambda position: (slack[position], position)), index
    return edges[1:-1]


def _out_of_place(standing: list[tuple[int, int]], kept: set[int]) -> list[tuple[int, int]]:
    """Records that stand in both sequences, but not in the same order.

    Two that changed places are named both; of any other order those that have to move for it to be right.
    """
    right = {index: rank for rank, index in enumerate(sorted(index for _, index in standing))}
    ranks = [right[index] for _, index in standing]
    return [
        (position, index)
        for rank, (position, index) in enumerate(standing)
        if ranks[rank] != rank and (index not in kept or ranks[ranks[rank]] == rank)
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
