"""Location: a leaf that is returned is the true one; a leaf that an intact copy reaches is returned."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.merkle.tree import Tree
from testbed.verify.copies import BlockCopy, LeafCopy
from testbed.verify.location import Copy, leaves_by_roots, true_leaves


def _leaves(size: int) -> list[bytes]:
    return [hashlib.sha256(b"%d" % i).digest() for i in range(size)]


def _flip(digest: bytes) -> bytes:
    return bytes([digest[0] ^ 1]) + digest[1:]


@st.composite
def damaged(draw: st.DrawFn) -> tuple[list[bytes], list[list[bytes | None]]]:
    """The leaves of a log, and one to three copies: each altered, with holes, or cut off."""
    size = draw(st.integers(1, 300))
    leaves = _leaves(size)
    copies: list[list[bytes | None]] = []
    for _ in range(draw(st.integers(1, 3))):
        copy: list[bytes | None] = list(leaves)
        for index in draw(st.lists(st.integers(0, size - 1), max_size=4)):
            copy[index] = None if draw(st.booleans()) else _flip(leaves[index])
        copies.append(copy[: draw(st.sampled_from((size, size, size // 2)))])
    return leaves, copies


@given(damaged())
def test_a_returned_leaf_is_always_the_true_one(case: tuple[list[bytes], list[list[bytes | None]]]) -> None:
    leaves, copies = case
    found = true_leaves(len(leaves), Tree(leaves).root(), [LeafCopy(copy) for copy in copies])
    assert len(found) == len(leaves)
    assert all(one in (None, right) for one, right in zip(found, leaves, strict=True))


@given(damaged())
def test_what_two_copies_know_between_them_is_found(case: tuple[list[bytes], list[list[bytes | None]]]) -> None:
    leaves, copies = case
    whole: list[bytes | None] = list(leaves)
    found = true_leaves(len(leaves), Tree(leaves).root(), [LeafCopy(copy) for copy in (*copies, whole)])
    assert found == leaves


@given(damaged(), st.data())
def test_signed_roots_of_older_sizes_bring_only_true_leaves(
    case: tuple[list[bytes], list[list[bytes | None]]], data: st.DataObject
) -> None:
    leaves, copies = case
    tree = Tree(leaves)
    sizes = data.draw(st.sets(st.integers(1, len(leaves)), min_size=1, max_size=20))
    known = [[one or bytes(32) for one in copy] for copy in copies]
    found = leaves_by_roots([None] * len(leaves), {size: {tree.root(size)} for size in sizes}, known)
    assert len(found) == len(leaves)
    assert all(one in (None, right) for one, right in zip(found, leaves, strict=True))


@given(st.integers(2, 300), st.data())
def test_two_copies_damaged_at_different_places_complete_each_other(size: int, data: st.DataObject) -> None:
    leaves = _leaves(size)
    one, other = data.draw(st.lists(st.integers(0, size - 1), min_size=2, max_size=2, unique=True))
    first, second = list(leaves), list(leaves)
    first[one], second[other] = _flip(leaves[one]), _flip(leaves[other])
    tree = Tree(leaves)
    roots = {n: {tree.root(n)} for n in range(1, size + 1)}
    assert leaves_by_roots([None] * size, roots, [first, second]) == leaves


@pytest.mark.parametrize("size", [600, 1000])
def test_a_leaf_lost_in_every_copy_costs_no_other_block(size: int) -> None:
    leaves = _leaves(size)
    broken: list[bytes | None] = list(leaves)
    broken[300] = _flip(leaves[300])
    tree = Tree(leaves)
    blocks: Copy = BlockCopy([tree.subtree(i, i + 256) for i in range(0, size - 255, 256)])
    found = true_leaves(size, tree.root(), [LeafCopy(broken), blocks])
    assert found[300] is None
    assert found[:256] == leaves[:256]
    assert found[512:] == leaves[512:]


def test_a_wrong_root_proves_no_leaf() -> None:
    leaves = _leaves(20)
    assert true_leaves(20, _flip(Tree(leaves).root()), [LeafCopy(list(leaves))]) == [None] * 20


def test_an_empty_log_has_no_leaves() -> None:
    assert true_leaves(0, Tree([]).root(), [LeafCopy([])]) == []
