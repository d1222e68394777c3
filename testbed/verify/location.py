"""Finding the true leaf hashes of a log: from a signed root downwards, through whatever copy hashes to it."""

from collections.abc import Sequence
from typing import Protocol

from testbed.merkle.tree import node_hash


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
