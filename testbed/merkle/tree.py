"""Merkle trees over SHA-256 (RFC 9162, section 2.1): roots, inclusion and consistency paths.

A leaf hash is SHA-256(00 || entry), a node SHA-256(01 || left || right); a tree splits at the largest power of two
below its size. Hashes are 32 bytes, indices count from 0.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from hashlib import sha256

from testbed.core.errors import InvalidData

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""Root of the tree without leaves."""

_FEW = 8
"""Leaves that are added sooner one by one than a level at a time."""


def leaf_hash(data: bytes) -> bytes:
    """Hash of an entry (RFC 9162, section 2.1.1)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node (RFC 9162, section 2.1.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def parents(level: Sequence[bytes]) -> list[bytes]:
    """The nodes above an even number of them. One call for a whole level costs little more than its hashes."""
    return [sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=True)]


class CompactRange:
    """The right edge of a tree: as many hashes as its size has binary ones. Enough to append and to give the root."""

    def __init__(self, leaf_hashes: Iterable[bytes] = ()) -> None:
        self._peaks: list[bytes] = []
        self._size = 0
        self.extend(leaf_hashes)

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self._size

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash; raises InvalidData unless it is 32 bytes."""
        _check_hash(leaf)
        node, size = leaf, self._size
        while size & 1:
            node = node_hash(self._peaks.pop(), node)
            size >>= 1
        self._peaks.append(node)
        self._size += 1

    def extend(self, leaf_hashes: Iterable[bytes]) -> None:
        """Add leaf hashes in order, a level at a time where there are some; none is added when one is not 32 bytes."""
        level = list(leaf_hashes)
        _check_hashes(level)
        if len(level) < _FEW:
            for leaf in level:
                self.append(leaf)
            return
        # Each level begins with the peak that stands there, if one does; what has no right neighbour is the new peak.
        count, before, peaks = len(level), self._size, []
        while level or before:
            if before & 1:
                level.insert(0, self._peaks.pop())
            if len(level) & 1:
                peaks.append(level.pop())
            level, before = parents(level), before >> 1
        self._peaks, self._size = peaks[::-1], self._size + count

    def append_peak(self, node: bytes, count: int) -> None:
        """Add the root of `count` leaves at once: a power of two that divides the present size."""
        if count < 1 or count & (count - 1) or self._size % count:
            raise InvalidData(f"a subtree of {count} leaves cannot stand behind {self._size}")
        _check_hash(node)
        size = self._size // count
        while size & 1:
            node = node_hash(self._peaks.pop(), node)
            size >>= 1
        self._peaks.append(node)
        self._size += count

    def copy(self) -> "CompactRange":
        """An edge of its own that starts where this one stands."""
        twin = CompactRange()
        twin._peaks, twin._size = list(self._peaks), self._size
        return twin

    def peak(self, start: int, stop: int) -> bytes:
        """MTH(D[start:stop]) for one of the complete subtrees that make up this edge, largest first.

        Raises IndexError where the edge has no such subtree.
        """
        at = 0
        for peak, bit in zip(self._peaks, _bits(self._size), strict=True):
            if (at, at + bit) == (start, stop):
                return peak
            at += bit
        raise IndexError(f"leaves {start} to {stop} are no peak of a tree of {self._size}")

    def root(self) -> bytes:
        """Root at the present size."""
        return _join(self._peaks)


class Paths(ABC):
    """Roots and paths of a tree whose subtrees are to be had."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of leaves."""

    @abstractmethod
    def subtree(self, start: int, stop: int) -> bytes:
        """MTH(D[start:stop]); raises IndexError outside the tree."""

    def root(self, size: int | None = None) -> bytes:
        """MTH(D[0:size]), of the whole tree when no size is given (RFC 9162, section 2.1.1)."""
        return self.subtree(0, self.size if size is None else size)

    def inclusion_path(self, index: int, size: int | None = None) -> list[bytes]:
        """Siblings from the leaf upwards (RFC 9162, section 2.1.3.1).

        Raises IndexError unless 0 <= index < size <= self.size.
        """
        size = self.size if size is None else size
        if not 0 <= index < size <= self.size:
            raise IndexError(f"leaf {index} in size {size} of a tree of {self.size}")
        path: list[bytes] = []
        start, stop = 0, size
        while stop - start > 1:
            middle = start + _split(stop - start)
            if index < middle:
                path.append(self.subtree(middle, stop))
                stop = middle
            else:
                path.append(self.subtree(start, middle))
                start = middle
        return path[::-1]

    def consistency_path(self, old: int, new: int | None = None) -> list[bytes]:
        """Path from size `old` to size `new` (RFC 9162, section 2.1.4.1); empty for old = 0 and for old = new.

        Raises IndexError unless 0 <= old <= new <= self.size.
        """
        new = self.size if new is None else new
        if not 0 <= old <= new <= self.size:
            raise IndexError(f"sizes {old} and {new} of a tree of {self.size}")
        if old in (0, new):
            return []
        path: list[bytes] = []
        start, stop = 0, new
        # `stop` reaches `old` where a node ends exactly at the old size; the old root itself (start 0) is known.
        while stop != old:
            middle = start + _split(stop - start)
            if old <= middle:
                path.append(self.subtree(middle, stop))
                stop = middle
            else:
                path.append(self.subtree(start, middle))
                start = middle
        if start != 0:
            path.append(self.subtree(start, stop))
        return path[::-1]

    def fork_path(self, old: int, new: int | None = None) -> list[bytes]:
        """What shows that the tree at size `new` has its own root at size `old`, and no other (`proofs.verify_fork`).

        The consistency path; where `old` is a power of two, with the root there in front, which such a path leaves out.
        Raises IndexError unless 0 < old <= new <= self.size.
        """
        new = self.size if new is None else new
        if not 0 < old <= new <= self.size:
            raise IndexError(f"sizes {old} and {new} of a tree of {self.size}")
        path = self.consistency_path(old, new)
        return [self.root(old), *path] if old & (old - 1) == 0 and old < new else path


class Tree(Paths):
    """Every complete node of a tree, in levels: level k holds MTH(D[i*2**k : (i+1)*2**k]) for each whole i.

    Two hashes of memory per leaf. Any root, path or aligned subtree costs O(log n) hashes.
    """

    def __init__(self, leaf_hashes: Iterable[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = [[]]
        self.extend(leaf_hashes)

    @property
    def size(self) -> int:
        """Number of leaves."""
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash; raises InvalidData unless it is 32 bytes."""
        _check_hash(leaf)
        self._levels[0].append(leaf)
        for depth in range(len(self._levels)):
            level = self._levels[depth]
            if len(level) % 2:
                return
            self._above(depth).append(node_hash(level[-2], level[-1]))

    def extend(self, leaf_hashes: Iterable[bytes]) -> None:
        """Add leaf hashes in order, a level at a time; nothing is added when one of them is not 32 bytes."""
        new = list(leaf_hashes)
        _check_hashes(new)
        self._levels[0] += new
        depth = 0
        while (whole := len(self._levels[depth]) // 2) > 0:
            level, above = self._levels[depth], self._above(depth)
            start = 2 * len(above)
            if start == 2 * whole:
                return
            above += parents(level[start : 2 * whole])
            depth += 1

    def leaf(self, index: int) -> bytes:
        """Leaf hash at `index`; raises IndexError outside the tree."""
        if not 0 <= index < self.size:
            raise IndexError(f"leaf {index} of a tree of {self.size}")
        return self._levels[0][index]

    def nodes(self, depth: int, start: int, stop: int) -> list[bytes]:
        """Complete nodes `start` to `stop` of level `depth`; raises IndexError where the tree has no such nodes."""
        have = len(self._levels[depth]) if 0 <= depth < len(self._levels) else 0
        if not 0 <= start <= stop <= have:
            raise IndexError(f"nodes {start} to {stop} of level {depth}, which has {have}")
        return self._levels[depth][start:stop] if have else []

    def subtree(self, start: int, stop: int) -> bytes:
        """MTH(D[start:stop]); raises IndexError outside the tree.

        O(log n) hashes where `start` is a multiple of a power of two not below stop - start, as in every proof.
        """
        if not 0 <= start <= stop <= self.size:
            raise IndexError(f"leaves {start} to {stop} of a tree of {self.size}")
        count = stop - start
        if count == 0:
            return EMPTY_ROOT
        if count & (count - 1) == 0 and start % count == 0:
            return self._levels[count.bit_length() - 1][start // count]
        middle = start + _split(count)
        return node_hash(self.subtree(start, middle), self.subtree(middle, stop))

    def _above(self, depth: int) -> list[bytes]:
        if depth + 1 == len(self._levels):
            self._levels.append([])
        return self._levels[depth + 1]


def _split(count: int) -> int:
    """Largest power of two below `count`; count > 1."""
    return 1 << ((count - 1).bit_length() - 1)


def _bits(size: int) -> list[int]:
    """The powers of two that add up to `size`, largest first."""
    return [1 << bit for bit in range(size.bit_length() - 1, -1, -1) if size >> bit & 1]


def _join(peaks: list[bytes]) -> bytes:
    if not peaks:
        return EMPTY_ROOT
    node = peaks[-1]
    for peak in reversed(peaks[:-1]):
        node = node_hash(peak, node)
    return node


def _check_hashes(values: list[bytes]) -> None:
    # One set of lengths is several times quicker than a look at each.
    for wrong in set(map(len, values)) - {32}:
        raise InvalidData(f"leaf hash: {wrong} bytes, not 32")


def _check_hash(value: bytes) -> None:
    if len(value) != 32:
        raise InvalidData(f"leaf hash: {len(value)} bytes, not 32")
