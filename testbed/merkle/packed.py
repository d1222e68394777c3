"""Leaf hashes by the million: 32 bytes for each and no object, and a tree over them that keeps a root a block."""

import struct
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import overload

from testbed.core.errors import InvalidData
from testbed.merkle.tree import EMPTY_ROOT, Paths, Tree, node_hash, parents

BLOCK = 256
"""Leaves under one kept root; as many as under a tile."""

_SIZE = 32
_UNKNOWN = bytes(_SIZE)
"""Stands where a hash is not known. No input is known whose SHA-256 this is."""
_HASH = struct.Struct("32s")
_AT_ONCE = 64
"""Blocks that are hashed together: enough for speed, and few enough for a cache."""
_STEP = 16**4
"""Hashes that are compared at once: a power of 16."""
_OPEN = 64
"""Blocks whose inner nodes are kept."""


class Packed(Sequence[bytes | None]):
    """Leaf hashes in their order, None where one is not known.

    data: 32 bytes for each; blocks: the roots of each 256 of them, 32 bytes each, where they are known already.
    """

    def __init__(self, data: bytes | bytearray, blocks: bytes | None = None) -> None:
        if len(data) % _SIZE:
            raise InvalidData(f"leaf hashes: {len(data)} bytes are no multiple of {_SIZE}")
        self.data = data
        self._blocks = blocks

    @classmethod
    def of(cls, hashes: Iterable[bytes | None]) -> "Packed":
        """The same hashes, packed; raises InvalidData where one is not 32 bytes."""
        if isinstance(hashes, Packed):
            return hashes
        known = [one or _UNKNOWN for one in hashes]
        if not set(map(len, known)) <= {_SIZE}:
            raise InvalidData(f"leaf hash: not {_SIZE} bytes")
        return cls(b"".join(known))

    @cached_property
    def tree(self) -> "PackedTree":
        """The tree over them. What lies above one that is not known has no meaning."""
        return PackedTree(self.data, self._blocks)

    def unknown(self) -> Iterator[int]:
        """Places of those that are not known, in order."""
        at = self.data.find(_UNKNOWN)
        while at >= 0:
            place, within = divmod(at, _SIZE)
            if within == 0:
                yield place
            at = self.data.find(_UNKNOWN, at + 1 if within else at + _SIZE)

    def followed_by(self, count: int) -> "Packed":
        """These, and `count` unknown ones behind them."""
        return Packed(self.data + bytes(count * _SIZE)) if count > 0 else self

    def behind(self, count: int) -> "Packed":
        """`count` unknown ones, and these behind them."""
        return Packed(bytes(count * _SIZE) + self.data) if count > 0 else self

    def common(self, other: "Packed", start: int = 0) -> int:
        """The first place from `start` on where the two are not the same, or where one of them ends."""
        end, step = min(len(self), len(other)), _STEP
        while start < end:
            stop = min(start + step, end)
            if self.data[start * _SIZE : stop * _SIZE] == other.data[start * _SIZE : stop * _SIZE]:
                start = stop
            elif step == 1:
                return start
            else:
                step //= 16
        return end

    def common_end(self, other: "Packed", most: int) -> int:
        """How many of the last ones, but no more than `most`, are the same in both."""
        count, step, mine, theirs = 0, _STEP, len(self), len(other)
        while count < most:
            more = min(step, most - count)
            begin, their_begin = mine - count - more, theirs - count - more
            one = self.data[begin * _SIZE : (begin + more) * _SIZE]
            if one == other.data[their_begin * _SIZE : (their_begin + more) * _SIZE]:
                count += more
            elif step == 1:
                return count
            else:
                step //= 16
        return count

    def __len__(self) -> int:
        return len(self.data) // _SIZE

    @overload
    def __getitem__(self, place: int) -> bytes | None: ...
    @overload
    def __getitem__(self, place: slice) -> "Packed": ...
    def __getitem__(self, place: int | slice) -> "bytes | Packed | None":
        if isinstance(place, slice):
            start, stop, step = place.indices(len(self))
            if step != 1:
                return Packed.of([self[at] for at in range(start, stop, step)])
            return Packed(self.data[start * _SIZE : max(start, stop) * _SIZE])
        at = place + len(self) if place < 0 else place
        if not 0 <= at < len(self):
            raise IndexError(f"leaf {place} of {len(self)}")
        found = bytes(self.data[at * _SIZE : (at + 1) * _SIZE])
        return None if found == _UNKNOWN else found

    def __iter__(self) -> Iterator[bytes | None]:
        for (found,) in _HASH.iter_unpack(self.data):
            yield None if found == _UNKNOWN else found

    def __contains__(self, value: object) -> bool:
        return next(self.unknown(), None) is not None if value is None else super().__contains__(value)

    def index(self, value: object, start: int = 0, stop: int | None = None) -> int:
        """As of any sequence; the first that is not known is found at once."""
        if value is None and start == 0 and stop is None:
            for place in self.unknown():
                return place
        return super().index(value, start, len(self) if stop is None else stop)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Packed):
            return self.data == other.data
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # it may be compared with lists, which have none


class PackedTree(Paths):
    """Roots, paths and subtrees over packed leaf hashes. Inner nodes of a block are made when they are asked for."""

    def __init__(self, data: bytes | bytearray, blocks: bytes | None = None) -> None:
        self._data = data
        roots = block_roots(data) if blocks is None else blocks
        self._blocks = Tree(root for (root,) in _HASH.iter_unpack(roots))
        self._opened: OrderedDict[int, Tree] = OrderedDict()

    @property
    def size(self) -> int:
        """Number of leaves."""
        return len(self._data) // _SIZE

    @property
    def blocks(self) -> Tree:
        """The tree whose leaves are the roots of each 256 leaves."""
        return self._blocks

    def subtree(self, start: int, stop: int) -> bytes:
        """MTH(D[start:stop]); raises IndexError outside the tree.

        O(log n) hashes and at most a block where `start` is a multiple of a power of two not below stop - start.
        """
        if not 0 <= start <= stop <= self.size:
            raise IndexError(f"leaves {start} to {stop} of a tree of {self.size}")
        count = stop - start
        if count == 0:
            return EMPTY_ROOT
        if start % BLOCK == 0 and stop % BLOCK == 0:
            return self._blocks.subtree(start // BLOCK, stop // BLOCK)
        first, begin = divmod(start, BLOCK)
        if begin + count <= BLOCK:
            return self._block(first).subtree(begin, begin + count)
        middle = start + (1 << ((count - 1).bit_length() - 1))
        return node_hash(self.subtree(start, middle), self.subtree(middle, stop))

    def _block(self, number: int) -> Tree:
        found = self._opened.pop(number, None)
        if found is None:
            part = self._data[number * BLOCK * _SIZE : (number + 1) * BLOCK * _SIZE]
            found = Tree(leaf for (leaf,) in _HASH.iter_unpack(part))
            if len(self._opened) == _OPEN:
                self._opened.popitem(last=False)
        self._opened[number] = found
        return found


def block_roots(data: bytes | bytearray) -> bytes:
    """The roots of each 256 leaf hashes, 32 bytes each; what is left of a last block is left out."""
    whole = len(data) // (BLOCK * _SIZE)
    roots: list[bytes] = []
    for first in range(0, whole, _AT_ONCE):
        part = data[first * BLOCK * _SIZE : min(whole, first + _AT_ONCE) * BLOCK * _SIZE]
        roots += roots_of_blocks([leaf for (leaf,) in _HASH.iter_unpack(part)])
    return b"".join(roots)


def roots_of_blocks(leaves: list[bytes]) -> list[bytes]:
    """The roots of each 256 of a multiple of 256 leaf hashes."""
    level = leaves
    for _ in range(BLOCK.bit_length() - 1):
        level = parents(level)
    return level
