"""Tree and CompactRange agree with the definition of RFC 9162, section 2.1, written down word for word."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import InvalidData
from testbed.merkle.tree import EMPTY_ROOT, CompactRange, Tree, leaf_hash, node_hash

LEAVES = [leaf_hash(n.to_bytes(2, "big")) for n in range(300)]


def split(count: int) -> int:
    return max(1 << k for k in range(10) if 1 << k < count)


def mth(leaves: list[bytes]) -> bytes:
    """Section 2.1.1."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY_ROOT
    k = split(len(leaves))
    return node_hash(mth(leaves[:k]), mth(leaves[k:]))


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """Section 2.1.3.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    return [*path(m, leaves[:k]), mth(leaves[k:])] if m < k else [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: list[bytes], known: bool) -> list[bytes]:
    """Section 2.1.4.1."""
    if m == len(leaves):
        return [] if known else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], known), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


sizes = st.integers(0, len(LEAVES))


@given(st.lists(sizes, max_size=6), st.data())
def test_tree_grown_in_any_steps_is_the_tree_of_the_definition(stops: list[int], data: st.DataObject) -> None:
    tree = Tree()
    for start, stop in pairwise([0, *sorted(stops)]):
        if data.draw(st.booleans(), label="one by one"):
            for leaf in LEAVES[start:stop]:
                tree.append(leaf)
        else:
            tree.extend(LEAVES[start:stop])
        assert tree.size == stop
        assert tree.root() == mth(LEAVES[:stop])


@given(sizes)
def test_compact_range_has_the_tree_s_root_at_every_size(size: int) -> None:
    edge = CompactRange(LEAVES[:size])
    assert edge.size == size
    assert edge.root() == mth(LEAVES[:size])


def test_compact_range_follows_the_tree_leaf_by_leaf() -> None:
    edge, tree = CompactRange(), Tree()
    for leaf in LEAVES:
        edge.append(leaf)
        tree.append(leaf)
        assert (edge.size, edge.root()) == (tree.size, tree.root())


@given(st.data())
def test_paths_are_those_of_the_definition(data: st.DataObject) -> None:
    tree = Tree(LEAVES)
    size = data.draw(st.integers(1, len(LEAVES)), label="size")
    index = data.draw(st.integers(0, size - 1), label="index")
    assert tree.inclusion_path(index, size) == path(index, LEAVES[:size])
    assert tree.consistency_path(index + 1, size) == subproof(index + 1, LEAVES[:size], True)


@given(sizes, sizes)
def test_subtree_is_the_hash_of_its_leaves(start: int, stop: int) -> None:
    if start > stop:
        start, stop = stop, start
    assert Tree(LEAVES).subtree(start, stop) == mth(LEAVES[start:stop])


def test_old_roots_stay_while_the_tree_grows() -> None:
    tree = Tree(LEAVES[:100])
    before = [tree.root(size) for size in range(101)]
    tree.extend(LEAVES[100:])
    assert [tree.root(size) for size in range(101)] == before


def test_leaf_and_nodes() -> None:
    tree = Tree(LEAVES[:7])
    assert [tree.leaf(index) for index in range(7)] == LEAVES[:7] == tree.nodes(0, 0, 7)
    assert tree.nodes(1, 1, 3) == [node_hash(LEAVES[2], LEAVES[3]), node_hash(LEAVES[4], LEAVES[5])]
    assert tree.nodes(2, 0, 1) == [mth(LEAVES[:4])]
    assert tree.nodes(9, 0, 0) == []


def test_what_the_tree_does_not_have_is_an_index_error() -> None:
    tree = Tree(LEAVES[:7])
    for index in (-1, 7):
        with pytest.raises(IndexError):
            tree.leaf(index)
    for index, size in ((-1, 7), (7, 7), (0, 8), (3, 3)):
        with pytest.raises(IndexError):
            tree.inclusion_path(index, size)
    for old, new in ((-1, 7), (3, 8), (4, 3)):
        with pytest.raises(IndexError):
            tree.consistency_path(old, new)
    for start, stop in ((-1, 2), (3, 2), (0, 8)):
        with pytest.raises(IndexError):
            tree.subtree(start, stop)
    for depth, start, stop in ((0, 0, 8), (1, 3, 4), (3, 0, 1), (-1, 0, 1), (0, 2, 1)):
        with pytest.raises(IndexError):
            tree.nodes(depth, start, stop)
    with pytest.raises(IndexError):
        tree.root(8)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_leaf_hash_is_32_bytes(length: int) -> None:
    tree = Tree(LEAVES[:3])
    for add in (tree.append, CompactRange().append):
        with pytest.raises(InvalidData):
            add(bytes(length))
    with pytest.raises(InvalidData):
        tree.extend([LEAVES[3], bytes(length)])
    assert (tree.size, tree.root()) == (3, mth(LEAVES[:3]))
