"""Copies of a log's hashes: from the store, from tiles, from what a twin noted of its inputs."""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

from testbed.merkle.packed import Packed
from testbed.merkle.tiles import TILE_WIDTH
from testbed.merkle.tree import Tree

Hashes = Sequence[bytes | None]


class LeafCopy:
    """Leaf hashes 0 to n, some of them perhaps unknown. They may be given as a function, which is called once, when
    this copy is asked for the first time: most copies are there for the case that another one is damaged.
    """

    def __init__(self, leaves: Hashes | Callable[[], Hashes]) -> None:
        self._given = leaves

    @classmethod
    def sparse(cls, size: int, known: Callable[[], Iterable[tuple[object, bytes | None]]]) -> "LeafCopy":
        """A copy that knows the leaf hashes at some indices only."""
        return cls(lambda: _placed(size, known()))

    @cached_property
    def whole(self) -> Packed:
        """All that it has."""
        return Packed.of(self._given() if callable(self._given) else self._given)

    def subtree(self, start: int, stop: int) -> bytes | None:
        return self.whole.tree.subtree(start, stop) if stop <= len(self.whole) else None

    def leaves(self, start: int, stop: int) -> Packed | None:
        # An unknown leaf never hashes to a trusted node, so a trusted range has none.
        if stop > len(self.whole):
            return None
        return self.whole if (start, stop) == (0, len(self.whole)) else self.whole[start:stop]


class BlockCopy:
    """Hashes of whole tiles, as the level above keeps them: inner nodes for where both leaf copies are damaged."""

    def __init__(self, blocks: Hashes | Callable[[], Hashes]) -> None:
        self._given = blocks

    @cached_property
    def _tree(self) -> Tree:
        blocks = self._given() if callable(self._given) else self._given
        return Tree(block or bytes(32) for block in blocks)

    def subtree(self, start: int, stop: int) -> bytes | None:
        first, last = start // TILE_WIDTH, stop // TILE_WIDTH
        if start % TILE_WIDTH or stop % TILE_WIDTH or last > self._tree.size:
            return None
        return self._tree.subtree(first, last)

    def leaves(self, start: int, stop: int) -> Packed | None:  # noqa: ARG002 - a protocol's signature
        return None


def _placed(size: int, known: Iterable[tuple[object, bytes | None]]) -> Packed:
    data = bytearray(32 * size)
    for index, digest in known:
        if isinstance(index, int) and 0 <= index < size and digest is not None:
            data[32 * index : 32 * index + 32] = digest
    return Packed(data)
