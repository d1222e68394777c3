"""A copy of a log's leaf hashes, which a witness fetched and rebuilt the root of: one file that only grows.

What stands in the file beyond the checkpoint `mirrored` was being fetched, and is fetched again.
"""

import os
from collections.abc import Iterator, Sequence

from testbed.core.checkpoint import Checkpoint
from testbed.core.errors import InvalidData, StoreError
from testbed.keys.checkpoint import open_checkpoint
from testbed.keys.log_keys import LogKeys
from testbed.merkle.tiles import TILE_WIDTH, TileId
from testbed.merkle.tree import CompactRange
from testbed.witness.memory import Memory

HASH_SIZE = 32
_PORTION = 256 * TILE_WIDTH
"""Hashes that are read at once."""


class Mirror:
    """The copy of one log. Raises StoreError where the file is not what this witness left.

    One thread makes it grow; `tile` may be asked by any, for what is mirrored.
    """

    def __init__(self, memory: Memory, keys: LogKeys) -> None:
        self._memory = memory
        self._edge = CompactRange()
        self._levels: list[list[bytes]] = []
        """Hashes of whole tiles: those of level 0, as level 1 has them, and so on."""
        self._filling = CompactRange()
        self.note = memory.read("mirrored")
        """The log's own checkpoint under which the copy was found right."""
        if self.note is not None:
            self._restore(self.note, keys)

    @property
    def size(self) -> int:
        """Number of hashes."""
        return self._edge.size

    @property
    def edge(self) -> CompactRange:
        """The right edge of the tree; not to be changed."""
        return self._edge

    def root(self, size: int) -> bytes:
        """Root of the tree at a size that is mirrored; costs that many hashes unless it is the newest."""
        if size == self.size:
            return self._edge.root()
        return CompactRange(self.leaves(size)).root()

    def leaves(self, size: int) -> Iterator[bytes]:
        """The first `size` hashes. Raises StoreError where the file has become shorter."""
        for start in range(0, size, _PORTION):
            count = min(_PORTION, size - start)
            data = self._read(start, count)
            for at in range(0, len(data), HASH_SIZE):
                yield data[at : at + HASH_SIZE]

    def grow(self, hashes: Sequence[bytes], note: bytes) -> None:
        """Add hashes that were found right under the checkpoint `note`; they are on disk when this returns."""
        data = b"".join(hashes)
        try:
            self._memory.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._memory.leaves, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                end = self.size * HASH_SIZE
                os.ftruncate(descriptor, end)
                os.lseek(descriptor, end, os.SEEK_SET)
                view = memoryview(data)
                while view:
                    view = view[os.write(descriptor, view) :]
                if self._memory.durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            mend = "check free space and permissions"
            raise StoreError(f"{self._memory.leaves}: not written: {error.strerror}", mend) from error
        self._memory.save("mirrored", note)
        self.note = note
        for digest in hashes:
            self._add(digest)

    def tile(self, tile: TileId) -> bytes | None:
        """The bytes of a tile of hashes, None where the copy does not reach; an entry bundle is none of its own."""
        start = tile.n * TILE_WIDTH
        if tile.level is None:
            return None
        if tile.level == 0:
            reaches = start + tile.width <= self.size
            return self._read(start, tile.width) if reaches else None
        hashes = self._levels[tile.level - 1] if tile.level <= len(self._levels) else []
        found = hashes[start : start + tile.width]
        return b"".join(found) if len(found) == tile.width else None

    def _restore(self, note: bytes, keys: LogKeys) -> None:
        try:
            signed = open_checkpoint(note, keys, keys.name)
        except InvalidData as error:
            raise self._changed(str(error)) from error
        for digest in self.leaves(signed.size):
            self._add(digest)
        if Checkpoint(keys.name, self._edge.size, self._edge.root()) != signed:
            raise self._changed(f"the hashes do not give the root of its checkpoint of size {signed.size}")

    def _add(self, digest: bytes) -> None:
        """Take a hash into the levels first, and then into the size."""
        self._filling.append(digest)
        if self._filling.size == TILE_WIDTH:
            self._fill(0, self._filling.root())
            self._filling = CompactRange()
        self._edge.append(digest)

    def _fill(self, level: int, digest: bytes) -> None:
        if level == len(self._levels):
            self._levels.append([])
        hashes = self._levels[level]
        hashes.append(digest)
        if len(hashes) % TILE_WIDTH == 0:
            self._fill(level + 1, CompactRange(hashes[-TILE_WIDTH:]).root())

    def _read(self, start: int, count: int) -> bytes:
        try:
            with self._memory.leaves.open("rb") as file:
                file.seek(start * HASH_SIZE)
                data = file.read(count * HASH_SIZE)
        except OSError as error:
            raise self._changed(error.strerror or str(error)) from error
        if len(data) != count * HASH_SIZE:
            raise self._changed("the file has become shorter")
        return data

    def _changed(self, what: str) -> StoreError:
        return StoreError(
            f"{self._memory.leaves}: not what this witness left: {what}",
            "restore the folder from a backup, or remove `leaves` and `mirrored`: they are fetched again",
        )
