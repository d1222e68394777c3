"""A proof holds for what it was made for, and for nothing that differs from it in one bit."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import InvalidProof
from testbed.merkle.proofs import verify_consistency, verify_fork, verify_inclusion
from testbed.merkle.tree import EMPTY_ROOT, Tree, leaf_hash

SIZE = 40
TREE = Tree(leaf_hash(bytes([n])) for n in range(SIZE))
SMALL = 17
"""Sizes up to this one are gone through one by one where each bit is flipped."""


def flips(data: bytes) -> Iterator[bytes]:
    """`data` with one bit flipped, for each byte another bit."""
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << (position % 8)
        yield bytes(flipped)


def flipped_paths(path: list[bytes]) -> Iterator[list[bytes]]:
    for position, node in enumerate(path):
        for other in flips(node):
            yield [*path[:position], other, *path[position + 1 :]]


def wrong_lengths(path: list[bytes], extra: bytes) -> Iterator[list[bytes]]:
    yield [*path, extra]
    yield [extra, *path]
    if path:
        yield path[1:]
        yield path[:-1]
        yield [*path[:-1], path[-1][:-1]]
        yield [*path[:-1], path[-1] + b"\x00"]


def test_every_inclusion_proof_verifies() -> None:
    for size in range(1, SIZE + 1):
        for index in range(size):
            verify_inclusion(TREE.leaf(index), index, size, TREE.inclusion_path(index, size), TREE.root(size))


def test_every_consistency_proof_verifies() -> None:
    for new in range(SIZE + 1):
        for old in range(new + 1):
            verify_consistency(old, TREE.root(old), new, TREE.root(new), TREE.consistency_path(old, new))


@pytest.mark.parametrize("size", range(1, SMALL))
def test_inclusion_with_one_bit_flipped_fails(size: int) -> None:
    root = TREE.root(size)
    for index in range(size):
        leaf, path = TREE.leaf(index), TREE.inclusion_path(index, size)
        for other_leaf in flips(leaf):
            with pytest.raises(InvalidProof):
                verify_inclusion(other_leaf, index, size, path, root)
        for other_root in flips(root):
            with pytest.raises(InvalidProof):
                verify_inclusion(leaf, index, size, path, other_root)
        for other_path in flipped_paths(path):
            with pytest.raises(InvalidProof):
                verify_inclusion(leaf, index, size, other_path, root)


@pytest.mark.parametrize("size", range(1, SMALL))
def test_inclusion_at_another_index_or_size_fails(size: int) -> None:
    for index in range(size):
        leaf, path = TREE.leaf(index), TREE.inclusion_path(index, size)
        for other in set(range(-1, SMALL + 1)) - {index}:
            with pytest.raises(InvalidProof):
                verify_inclusion(leaf, other, size, path, TREE.root(size))
        for other in set(range(SMALL + 1)) - {size}:
            with pytest.raises(InvalidProof):
                verify_inclusion(leaf, index, other, path, TREE.root(other))


@pytest.mark.parametrize("new", range(1, SMALL))
def test_consistency_with_one_bit_flipped_fails(new: int) -> None:
    for old in range(new + 1):
        old_root, new_root, path = TREE.root(old), TREE.root(new), TREE.consistency_path(old, new)
        for other in flips(old_root):
            with pytest.raises(InvalidProof):
                verify_consistency(old, other, new, new_root, path)
        for other in flips(new_root):
            if old == 0:
                break  # everything begins as nothing: the new root is not tied to an empty old tree
            with pytest.raises(InvalidProof):
                verify_consistency(old, old_root, new, other, path)
        for other_path in flipped_paths(path):
            with pytest.raises(InvalidProof):
                verify_consistency(old, old_root, new, new_root, other_path)


@pytest.mark.parametrize("new", range(1, SMALL))
def test_consistency_of_other_sizes_fails(new: int) -> None:
    for old in range(1, new + 1):
        old_root, new_root, path = TREE.root(old), TREE.root(new), TREE.consistency_path(old, new)
        for other in set(range(-1, SMALL + 1)) - {old}:
            with pytest.raises(InvalidProof):
                verify_consistency(other, old_root, new, new_root, path)
        for other in set(range(SMALL + 1)) - {new}:
            with pytest.raises(InvalidProof):
                verify_consistency(old, old_root, other, TREE.root(other), path)


@pytest.mark.parametrize("size", range(1, SMALL))
def test_paths_of_other_lengths_fail(size: int) -> None:
    root = TREE.root(size)
    for index in range(size):
        for path in wrong_lengths(TREE.inclusion_path(index, size), root):
            with pytest.raises(InvalidProof, match=r"path of|32 bytes"):
                verify_inclusion(TREE.leaf(index), index, size, path, root)
    for old in range(size + 1):
        for path in wrong_lengths(TREE.consistency_path(old, size), root):
            with pytest.raises(InvalidProof, match=r"path of|32 bytes"):
                verify_consistency(old, TREE.root(old), size, root, path)


def test_a_rewritten_log_is_not_consistent() -> None:
    for changed in range(20):
        leaves = [TREE.leaf(index) for index in range(SIZE)]
        leaves[changed] = leaf_hash(b"another")
        other = Tree(leaves)
        with pytest.raises(InvalidProof):
            verify_consistency(20, TREE.root(20), SIZE, other.root(), other.consistency_path(20))


def test_order_is_evidence() -> None:
    leaves = [TREE.leaf(1), TREE.leaf(0)]
    path = Tree(leaves).inclusion_path(0)
    with pytest.raises(InvalidProof):
        verify_inclusion(TREE.leaf(1), 1, 2, path, Tree(leaves).root())


def test_hashes_of_other_lengths_fail() -> None:
    for bad in (b"", bytes(31), bytes(33)):
        with pytest.raises(InvalidProof):
            verify_inclusion(bad, 0, 1, [], bad)
        with pytest.raises(InvalidProof):
            verify_consistency(3, bad, 3, bad, [])
        with pytest.raises(InvalidProof):
            verify_consistency(0, EMPTY_ROOT, 3, bad, [])


def test_a_tree_of_no_leaves() -> None:
    verify_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    verify_consistency(0, EMPTY_ROOT, 5, TREE.root(5), [])
    for old_root, new, new_root in (
        (bytes(32), 5, TREE.root(5)),
        (EMPTY_ROOT, 0, bytes(32)),
        (bytes(32), 0, bytes(32)),
    ):
        with pytest.raises(InvalidProof):
            verify_consistency(0, old_root, new, new_root, [])
    with pytest.raises(InvalidProof):
        verify_inclusion(TREE.leaf(0), 0, 0, [], EMPTY_ROOT)


@given(st.integers(0, 2**70), st.integers(0, 2**70), st.lists(st.binary(min_size=32, max_size=32), max_size=70))
def test_made_up_proofs_of_any_size_fail_and_do_nothing_else(a: int, b: int, path: list[bytes]) -> None:
    with pytest.raises(InvalidProof):
        verify_inclusion(bytes(32), a, b, path, bytes(32))
    with pytest.raises(InvalidProof):
        verify_consistency(a + 1, bytes(32), a + b + 2, b"\x01" * 32, path)


def other_from(changed: int) -> Tree:
    """A tree that is the same up to the leaf `changed`."""
    leaves = [TREE.leaf(index) for index in range(SIZE)]
    leaves[changed] = leaf_hash(b"another")
    return Tree(leaves)


def test_two_logs_by_one_owner_are_shown_to_be_two() -> None:
    for new in range(1, SIZE + 1):
        for old in range(1, new + 1):
            other = other_from(old - 1)
            verify_fork(old, TREE.root(old), new, other.root(new), other.fork_path(old, new))


def test_an_honest_log_is_never_shown_to_be_two() -> None:
    for new in range(1, SIZE + 1):
        for old in range(1, new + 1):
            with pytest.raises(InvalidProof, match=r"very root|one root"):
                verify_fork(old, TREE.root(old), new, TREE.root(new), TREE.fork_path(old, new))


@pytest.mark.parametrize("new", range(1, SMALL))
def test_a_fork_with_one_bit_flipped_shows_nothing(new: int) -> None:
    for old in range(1, new + 1):
        other = other_from(old - 1)
        root, path = other.root(new), other.fork_path(old, new)
        for flipped in flipped_paths(path):
            with pytest.raises(InvalidProof):
                verify_fork(old, TREE.root(old), new, root, flipped)
        for wrong in wrong_lengths(path, root):
            with pytest.raises(InvalidProof, match=r"path of|32 bytes"):
                verify_fork(old, TREE.root(old), new, root, wrong)
        for bad in flips(root) if old < new else ():
            with pytest.raises(InvalidProof):
                verify_fork(old, TREE.root(old), new, bad, path)


@given(st.integers(0, 2**70), st.integers(0, 2**70), st.lists(st.binary(min_size=32, max_size=32), max_size=70))
def test_made_up_forks_of_any_size_fail(a: int, b: int, path: list[bytes]) -> None:
    with pytest.raises(InvalidProof):
        verify_fork(a, bytes(32), a + b + 1, b"\x01" * 32, path)
