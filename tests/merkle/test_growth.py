"""A writer that keeps only the right edge of its tree makes the same consistency paths as one that keeps all of it."""

import pytest

from testbed.merkle.growth import growth_path
from testbed.merkle.proofs import verify_consistency
from testbed.merkle.tree import CompactRange, Tree, leaf_hash

SIZE = 36
LEAVES = [leaf_hash(bytes([n])) for n in range(SIZE)]
TREE = Tree(LEAVES)


@pytest.mark.parametrize("old", range(SIZE + 1))
def test_growth_paths_are_the_tree_s(old: int) -> None:
    for new in range(old, SIZE + 1):
        path = growth_path(CompactRange(LEAVES[:old]), LEAVES[old:new])
        assert path == TREE.consistency_path(old, new)
        verify_consistency(old, TREE.root(old), new, TREE.root(new), path)


def test_other_added_leaves_give_another_path() -> None:
    other = [leaf_hash(b"another"), *LEAVES[21:]]
    path = growth_path(CompactRange(LEAVES[:20]), other)
    assert path != TREE.consistency_path(20)
    verify_consistency(20, TREE.root(20), SIZE, Tree([*LEAVES[:20], *other]).root(), path)


def test_peaks_are_the_complete_subtrees_of_the_edge() -> None:
    edge = CompactRange(LEAVES[:13])
    for start, stop in ((0, 8), (8, 12), (12, 13)):
        assert edge.peak(start, stop) == TREE.subtree(start, stop)
    for start, stop in ((0, 4), (0, 12), (8, 13), (13, 14), (0, 0)):
        with pytest.raises(IndexError):
            edge.peak(start, stop)


def test_a_copy_of_an_edge_grows_alone() -> None:
    edge = CompactRange(LEAVES[:13])
    twin = edge.copy()
    twin.extend(LEAVES[13:])
    assert (edge.size, edge.root()) == (13, TREE.root(13))
    assert (twin.size, twin.root()) == (SIZE, TREE.root())
