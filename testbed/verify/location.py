"""Finding the true leaf hashes of a log: from a signed root downwards, through whatever copy hashes to it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import Protocol

from testbed.merkle.packed import Packed
from testbed.merkle.tree import CompactRange, node_hash

_HASH_SIZE = 32

_COMBINATIONS = 4096
"""How many ways to put copies together are tried between two signed roots."""

_PATIENCE = 64
"""How many signed roots in a row may lead nowhere."""


class Copy(Protocol):
    """A copy of a log's hashes, trusted for nothing: what it says counts where it hashes to the root."""

    def subtree(self, start: int, stop: int) -> bytes | None:
        """MTH(D[start:stop]) as this copy has it, or None where it does not reach."""
        ...

    def leaves(self, start: int, stop: int) -> Packed | None:
        """The leaf hashes behind `subtree`, or None for a copy that holds inner nodes only."""
        ...


def true_leaves(size: int, root: bytes, copies: Sequence[Copy]) -> Packed:
    """The leaf hashes that the signed `root` of a tree of `size` commits to, None where no copy has them.

    Where copies disagree the walk goes down to the nodes below, so one changed hash costs O(log n) nodes and leaves
    all others known. A copy is asked only where none before it will do. Split as in RFC 9162, section 2.1.1.
    """
    found = bytearray()
    todo = [(0, size, root)] if size else []
    while todo:
        start, stop, trusted = todo.pop()
        known = next((one for copy in copies if (one := _behind(copy, start, stop, trusted)) is not None), None)
        if known is not None:
            if (start, stop) == (0, size):
                return known
            found = found or bytearray(_HASH_SIZE * size)
            found[_HASH_SIZE * start : _HASH_SIZE * stop] = known.data
        elif stop - start > 1:
            middle = start + (1 << (stop - start - 1).bit_length() - 1)
            children = _children(start, middle, stop, trusted, copies)
            if children is not None:
                todo += [(start, middle, children[0]), (middle, stop, children[1])]
    return Packed(found or bytes(_HASH_SIZE * size))


def _behind(copy: Copy, start: int, stop: int, trusted: bytes) -> Packed | None:
    """The leaves of a copy that has the trusted node, None where it has not, or holds none."""
    return copy.leaves(start, stop) if copy.subtree(start, stop) == trusted else None


def _children(start: int, middle: int, stop: int, trusted: bytes, copies: Sequence[Copy]) -> tuple[bytes, bytes] | None:
    lefts = {digest for copy in copies if (digest := copy.subtree(start, middle)) is not None}
    rights = {digest for copy in copies if (digest := copy.subtree(middle, stop)) is not None}
    return next(((left, right) for left in lefts for right in rights if node_hash(left, right) == trusted), None)


def leaves_by_roots(
    leaves: Sequence[bytes | None], roots: Mapping[int, Collection[bytes]], copies: Sequence[Sequence[bytes | None]]
) -> Packed:
    """Fill what is unknown in `leaves` from the left, by the signed `roots` of older sizes.

    A newest root says nothing where every copy is damaged somewhere below it. Between one signed size and the next
    stand few records, so what the copies say of them can be tried in every combination.
    """
    packed = Packed.of(leaves)
    sizes = sorted(size for size in roots if 0 < size <= len(packed))
    begin = _known_up_to(packed, sizes, roots)
    edge = CompactRange(one for one in packed[:begin] if one is not None)
    found = bytearray(packed.data)
    failed = 0
    for size in sizes:
        if size <= begin:
            continue
        options = [_options(packed[index], index, copies) for index in range(edge.size, size)]
        for choice in _choices(options):
            grown = edge.copy()
            grown.extend(choice)
            if grown.root() in roots[size]:
                found[_HASH_SIZE * edge.size : _HASH_SIZE * size] = b"".join(choice)
                edge, failed = grown, 0
                break
        else:
            failed += 1
            if failed == _PATIENCE:
                break
    return Packed(found)


def _known_up_to(leaves: Packed, sizes: Sequence[int], roots: Mapping[int, Collection[bytes]]) -> int:
    """The largest signed size that the leaves known from the left have the root of, 0 where there is none."""
    known = next(leaves.unknown(), len(leaves))
    return next((s for s in reversed(sizes) if s <= known and leaves.tree.root(s) in roots[s]), 0)


def _options(leaf: bytes | None, index: int, copies: Sequence[Sequence[bytes | None]]) -> list[bytes]:
    if leaf is not None:
        return [leaf]
    said = (copy[index] for copy in copies if index < len(copy))
    return list(dict.fromkeys(one for one in said if one is not None))


def _choices(options: Sequence[Sequence[bytes]]) -> Iterator[tuple[bytes, ...]]:
    """One hash for each place: every combination where they are few, else what one copy says throughout."""
    if prod(map(len, options)) <= _COMBINATIONS:
        return product(*options)
    most = max(map(len, options))
    return (tuple(one[min(place, len(one) - 1)] for one in options) for place in range(most))
