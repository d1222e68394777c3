"""Packed leaf hashes give the roots and paths that the tree of the definition gives, and say what is not known."""

import hashlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import InvalidData
from testbed.merkle.packed import BLOCK, Packed, block_roots
from testbed.merkle.tree import CompactRange, Tree

LEAVES = [hashlib.sha256(b"%d" % number).digest() for number in range(3 * BLOCK + 70)]
WHOLE = Packed.of(LEAVES)
TREE = Tree(LEAVES)
EDGES = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, len(LEAVES)]
places = st.sampled_from(EDGES) | st.integers(0, len(LEAVES))


@given(places, places)
def test_any_root_and_path_is_that_of_the_tree(one: int, other: int) -> None:
    old, new = sorted((one, other))
    assert WHOLE.tree.root(new) == TREE.root(new)
    assert WHOLE.tree.consistency_path(old, new) == TREE.consistency_path(old, new)
    if old < new:
        assert WHOLE.tree.inclusion_path(old, new) == TREE.inclusion_path(old, new)
    assert Packed(WHOLE.data[: 32 * new]).tree.root() == TREE.root(new)


@given(places, places)
def test_any_subtree_is_that_of_the_tree(one: int, other: int) -> None:
    start, stop = sorted((one, other))
    assert WHOLE.tree.subtree(start, stop) == TREE.subtree(start, stop)


@given(st.integers(0, len(LEAVES) - 1), st.integers(0, 255))
def test_one_bit_of_a_leaf_changes_every_root_above_it(index: int, bit: int) -> None:
    data = bytearray(WHOLE.data)
    data[32 * index + bit // 8] ^= 1 << bit % 8
    changed = Packed(data)
    assert changed.tree.root(index) == TREE.root(index)
    assert changed.tree.root(index + 1) != TREE.root(index + 1)
    assert changed.tree.root() != TREE.root()
    assert WHOLE.common(changed) == index
    assert WHOLE.common_end(changed, len(LEAVES)) == len(LEAVES) - index - 1


def test_outside_the_tree_there_is_nothing() -> None:
    for start, stop in ((-1, 2), (3, 2), (0, len(LEAVES) + 1)):
        with pytest.raises(IndexError):
            WHOLE.tree.subtree(start, stop)
    with pytest.raises(IndexError):
        WHOLE[len(LEAVES)]
    with pytest.raises(InvalidData):
        Packed(bytes(33))
    with pytest.raises(InvalidData):
        Packed.of([bytes(range(31))])


hashes = st.sampled_from([None, *LEAVES[:5]])


@given(st.lists(hashes), st.data())
def test_it_is_a_sequence_like_any_other(listed: list[bytes | None], data: st.DataObject) -> None:
    packed = Packed.of(listed)
    assert (list(packed), len(packed)) == (listed, len(listed))
    assert packed == listed
    assert list(packed.unknown()) == [place for place, one in enumerate(listed) if one is None]
    assert (None in packed) is (None in listed)
    if None in listed:
        assert packed.index(None) == listed.index(None)
    start, stop = data.draw(st.integers(-9, 9)), data.draw(st.integers(-9, 9))
    assert list(packed[start:stop]) == listed[start:stop]
    assert list(packed.followed_by(2)) == [*listed, None, None]
    assert list(packed.behind(2)) == [None, None, *listed]


def test_zeros_across_two_hashes_are_no_unknown_one() -> None:
    one, other = b"\x01" + bytes(31), bytes(31) + b"\x01"
    assert list(Packed.of([one, other]).unknown()) == []
    assert list(Packed.of([one, None, other]).unknown()) == [1]


@given(st.lists(hashes, max_size=8), st.lists(hashes, max_size=8))
def test_what_two_have_in_common_is_found_from_both_ends(one: list[bytes | None], other: list[bytes | None]) -> None:
    def same(pairs: Iterable[tuple[bytes | None, bytes | None]]) -> int:
        return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))

    mine, theirs = Packed.of(one), Packed.of(other)
    assert mine.common(theirs) == same(zip(one, other, strict=False))
    assert mine.common_end(theirs, min(len(one), len(other))) == same(zip(one[::-1], other[::-1], strict=False))


@given(st.lists(places, max_size=5))
def test_an_edge_grows_by_leaves_and_by_whole_blocks(stops: list[int]) -> None:
    edge = CompactRange()
    for stop in sorted(stops):
        edge.extend(LEAVES[edge.size : stop])
        assert (edge.size, edge.root()) == (stop, TREE.root(stop))
    blocks = CompactRange()
    roots = block_roots(WHOLE.data)
    for place in range(0, len(roots), 32):
        blocks.append_peak(roots[place : place + 32], BLOCK)
    assert blocks.root() == TREE.root(len(roots) // 32 * BLOCK)
    blocks.append(LEAVES[blocks.size])
    for count in (0, 3, BLOCK):
        with pytest.raises(InvalidData):
            blocks.append_peak(LEAVES[0], count)
