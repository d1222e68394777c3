"""Copies of a log's hashes: from the store, from tiles, from what a twin noted of its inputs."""

from collections.abc import Mapping, Sequence

from testbed.merkle.tiles import TILE_WIDTH
from testbed.merkle.tree import Tree

_UNKNOWN = bytes(32)
"""Stands where a copy has no hash. No input is known whose SHA-256 this is, so it never counts as one."""


class LeafCopy:
    """Leaf hashes 0 to n, some of them perhaps unknown."""

    def __init__(self, leaves: Sequence[bytes | None]) -> None:
        self._leaves = [leaf or _UNKNOWN for leaf in leaves]
        self._tree = Tree(self._leaves)

    @classmethod
    def sparse(cls, size: int, known: Mapping[int, bytes]) -> "LeafCopy":
        """A copy that knows the leaf hashes at some indices only."""
        return cls([known.get(index) for index in range(size)])

    @property
    def size(self) -> int:
        return self._tree.size

    def subtree(self, start: int, stop: int) -> bytes | None:
        return self._tree.subtree(start, stop) if stop <= self._tree.size else None

    def leaves(self, start: int, stop: int) -> Sequence[bytes] | None:
        found = self._leaves[start:stop]
        # An unknown leaf never hashes to a trusted node, so a trusted range has none.
        return found if len(found) == stop - start else None


class BlockCopy:
    """Hashes of whole tiles, as the level above keeps them: inner nodes for where both leaf copies are damaged."""

    def __init__(self, blocks: Sequence[bytes]) -> None:
        self._tree = Tree(blocks)

    def subtree(self, start: int, stop: int) -> bytes | None:
        first, last = start // TILE_WIDTH, stop // TILE_WIDTH
        if start % TILE_WIDTH or stop % TILE_WIDTH or last > self._tree.size:
            return None
        return self._tree.subtree(first, last)

    def leaves(self, start: int, stop: int) -> Sequence[bytes] | None:  # noqa: ARG002 - a protocol's signature
        return None
