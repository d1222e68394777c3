"""Verifying proofs (RFC 9162, sections 2.1.3.2 and 2.1.4.2). Lengths are checked before anything is hashed.

A failed check raises InvalidProof; a verifier turns that into a finding. Nothing is returned.
"""

from collections.abc import Sequence
from hmac import compare_digest

from testbed.core.errors import InvalidProof
from testbed.merkle.tree import EMPTY_ROOT, node_hash

_SIZE_END = 2**64


def verify_inclusion(leaf_hash: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """`leaf_hash` is leaf `index` of the tree with `size` leaves and that root, by the siblings in `path`."""
    if not 0 <= index < size < _SIZE_END:
        raise InvalidProof(f"inclusion: leaf {index} is not in a tree of {size}")
    # Where the leaf's way and the last leaf's way part, each level has a sibling; above, only those with a left one.
    parted = (index ^ (size - 1)).bit_length()
    _check_lengths("inclusion", parted + (index >> parted).bit_count(), path, leaf_hash, root)
    number, last, node = index, size - 1, leaf_hash
    for sibling in path:
        if number & 1 or number == last:
            node = node_hash(sibling, node)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        number, last = number >> 1, last >> 1
    if last != 0 or not compare_digest(node, root):
        raise InvalidProof(f"inclusion: leaf {index} in size {size} gives another root")


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]) -> None:
    """The tree of `new_size` only added leaves to the tree of `old_size`.

    An empty old tree is consistent with every tree, equal sizes with equal roots; both take an empty path.
    """
    if not 0 <= old_size <= new_size < _SIZE_END:
        raise InvalidProof(f"consistency: size {old_size} is not before {new_size}")
    trivial = old_size in (0, new_size)
    _check_lengths("consistency", 0 if trivial else _consistency_length(old_size, new_size), path, old_root, new_root)
    for size, root in ((old_size, old_root), (new_size, new_root)):
        if size == 0 and root != EMPTY_ROOT:
            raise InvalidProof("consistency: size 0 has one root only")
    if trivial:
        if old_size == new_size and old_root != new_root:
            raise InvalidProof(f"consistency: two roots for size {old_size}")
        return
    # An old tree that is a power of two is itself the first node, so the path leaves it out.
    nodes = [old_root, *path] if _is_power(old_size) else list(path)
    old, new = _rebuilt(old_size, new_size, nodes)
    if not compare_digest(old, old_root):
        raise InvalidProof(f"consistency: the path gives another root for the old size {old_size}")
    if not compare_digest(new, new_root):
        raise InvalidProof(f"consistency: the path gives another root for the new size {new_size}")


def verify_fork(old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]) -> None:
    """No log grew from `old_root` to `new_root`: the tree with the latter has another root at `old_size`.

    path: as `Tree.fork_path` gives it: it rebuilds `new_root`, and with it what that tree has at the old size; empty
    for equal sizes, whose roots differ. Raises InvalidProof where the path proves nothing.
    """
    if not 0 < old_size <= new_size < _SIZE_END:
        raise InvalidProof(f"fork: size {old_size} is not before {new_size}")
    if old_size == new_size:
        _check_lengths("fork", 0, path, old_root, new_root)
        if old_root == new_root:
            raise InvalidProof(f"fork: one root for size {old_size}")
        return
    length = _consistency_length(old_size, new_size) + (1 if _is_power(old_size) else 0)
    _check_lengths("fork", length, path, old_root, new_root)
    old, new = _rebuilt(old_size, new_size, path)
    if not compare_digest(new, new_root):
        raise InvalidProof(f"fork: the path gives another root for the new size {new_size}")
    if compare_digest(old, old_root):
        raise InvalidProof(f"fork: the tree of size {new_size} has this very root at size {old_size}")


def _rebuilt(old_size: int, new_size: int, nodes: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Roots at both sizes, 0 < old < new, from the nodes of a path of the right length (RFC 9162, section 2.1.4.2)."""
    number, last = old_size - 1, new_size - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    old = new = nodes[0]
    for node in nodes[1:]:
        if number & 1 or number == last:
            old, new = node_hash(node, old), node_hash(node, new)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            new = node_hash(new, node)
        number, last = number >> 1, last >> 1
    if last != 0:
        raise InvalidProof("consistency: the path is too short")
    return old, new


def _is_power(size: int) -> bool:
    """Whether it is a power of two; size > 0."""
    return size & (size - 1) == 0


def _consistency_length(old_size: int, new_size: int) -> int:
    """Number of hashes in the path between two sizes, 0 < old < new."""
    number, last = old_size - 1, new_size - 1
    whole = (old_size & -old_size).bit_length() - 1
    parted = (number ^ last).bit_length()
    siblings = parted - whole + (number >> parted).bit_count()
    return siblings if _is_power(old_size) else siblings + 1


def _check_lengths(what: str, expected: int, path: Sequence[bytes], *hashes: bytes) -> None:
    if len(path) != expected:
        raise InvalidProof(f"{what}: path of {len(path)} hashes, not {expected}")
    if any(type(value) is not bytes or len(value) != 32 for value in (*hashes, *path)):
        raise InvalidProof(f"{what}: a hash is not 32 bytes")
