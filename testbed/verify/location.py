"""Finding the true leaf hashes of a log: from a signed root downwards, through whatever copy hashes to it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import Protocol

from testbed.merkle.tree import CompactRange, node_hash

_COMBINATIONS = 4096
"""How many ways to put copies together are tried between two signed roots."""

_PATIENCE = 64
"""How many signed roots in a row may lead nowhere."""


class Copy(Protocol):
    """A copy of a log's hashes, trusted for nothing: what it says counts where it hashes to the root."""

    def subtree(self, start: int, stop: int) -> bytes | None:
        """MTH(D[start:stop]) as this copy has it, or None where it does not reach."""
        ...

    def leaves(self, start: int, stop: int) -> Sequence[bytes] | None:
        """The leaf hashes behind `subtree`, or None for a copy that holds inner nodes only."""
        ...


def true_leaves(size: int, root: bytes, copies: Sequence[Copy]) -> list[bytes | None]:
    """The leaf hashes that the signed `root` of a tree of `size` commits to, None where no copy has them.

    Where copies disagree the walk goes down to the nodes below, so one changed hash costs O(log n) nodes and leaves
    all others known. Split as in RFC 9162, section 2.1.1.
    """
    leaves: list[bytes | None] = [None] * size
    todo = [(0, size, root)] if size else []
    while todo:
        start, stop, trusted = todo.pop()
        at_node = [copy for copy in copies if copy.subtree(start, stop) == trusted]
        known = next((found for copy in at_node if (found := copy.leaves(start, stop)) is not None), None)
        if known is not None:
            leaves[start:stop] = known
        elif stop - start > 1:
            middle = start + (1 << (stop - start - 1).bit_length() - 1)
            children = _children(start, middle, stop, trusted, copies)
            if children is not None:
                todo += [(start, middle, children[0]), (middle, stop, children[1])]
    return leaves


def _children(start: int, middle: int, stop: int, trusted: bytes, copies: Sequence[Copy]) -> tuple[bytes, bytes] | None:
    lefts = {digest for copy in copies if (digest := copy.subtree(start, middle)) is not None}
    rights = {digest for copy in copies if (digest := copy.subtree(middle, stop)) is not None}
    return next(((left, right) for left in lefts for right in rights if node_hash(left, right) == trusted), None)


def leaves_by_roots(
    leaves: Sequence[bytes | None], roots: Mapping[int, Collection[bytes]], copies: Sequence[Sequence[bytes]]
) -> list[bytes | None]:
    """Fill what is unknown in `leaves` from the left, by the signed `roots` of older sizes.

    A newest root says nothing where every copy is damaged somewhere below it. Between one signed size and the next
    stand few records, so what the copies say of them can be tried in every combination.
    """
    edge = CompactRange()
    found: list[bytes | None] = []
    failed = 0
    for size in sorted(size for size in roots if 0 < size <= len(leaves)):
        options = [_options(leaves[index], index, copies) for index in range(edge.size, size)]
        for choice in _choices(options):
            grown = edge.copy()
            grown.extend(choice)
            if grown.root() in roots[size]:
                edge, failed = grown, 0
                found += choice
                break
        else:
            failed += 1
            if failed == _PATIENCE:
                break
    return [*found, *leaves[len(found) :]]


def _options(leaf: bytes | None, index: int, copies: Sequence[Sequence[bytes]]) -> list[bytes]:
    if leaf is not None:
        return [leaf]
    return list(dict.fromkeys(copy[index] for copy in copies if index < len(copy)))


def _choices(options: Sequence[Sequence[bytes]]) -> Iterator[tuple[bytes, ...]]:
    """One hash for each place: every combination where they are few, else what one copy says throughout."""
    if prod(map(len, options)) <= _COMBINATIONS:
        return product(*options)
    most = max(map(len, options))
    return (tuple(one[min(place, len(one) - 1)] for one in options) for place in range(most))
