"""Consistency paths for a writer that keeps only the right edge of its tree and the leaves added since."""

from collections.abc import Sequence

from testbed.merkle.tree import CompactRange, Tree


def growth_path(edge: CompactRange, added: Sequence[bytes]) -> list[bytes]:
    """Consistency path from the tree of `edge` to the one with the leaf hashes `added` behind it.

    The same path as Tree.consistency_path (RFC 9162, section 2.1.4.1), from O(log n + added) memory: what lies left
    of the old size is a peak of the edge, what lies right of it is made of added leaves alone.
    """
    old, new = edge.size, edge.size + len(added)
    if old in (0, new):
        return []
    right = Tree(added)
    path: list[bytes] = []
    start, stop = 0, new
    while stop != old:
        middle = start + ((1 << (stop - start - 1).bit_length()) >> 1)
        if old <= middle:
            path.append(right.subtree(middle - old, stop - old))
            stop = middle
        else:
            path.append(edge.peak(start, middle))
            start = middle
    if start != 0:
        path.append(edge.peak(start, stop))
    return path[::-1]
