"""The publisher: tiles, entry bundles and the `checkpoint` file of a log, as static files (C2SP tlog-tiles).

Tiles are derived from the entries, so they are written without fsync, and made again on start where they disagree.
Memory is bounded: per level only the hashes of the tile that is still filling are kept.
"""

from collections.abc import Sequence
from pathlib import Path

from testbed.merkle.packed import roots_of_blocks
from testbed.merkle.tiles import TILE_WIDTH, encode_bundle, entries_path, tile_path
from testbed.store.files import write_atomic


class Publisher:
    """Writes one log's tiles below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._levels: list[list[bytes]] = [[]]
        self._filled: list[int] = [0]  # full tiles so far, by level
        self._bundle: list[bytes] = []
        self._due: list[tuple[str, bytes]] = []
        self._partials: set[str] = set()
        self._published: bytes | None = None

    def add(self, entry: bytes, leaf_hash: bytes) -> None:
        """Take the next entry; nothing is written before `publish`."""
        self.extend([entry], [leaf_hash])

    def extend(self, entries: Sequence[bytes], leaf_hashes: Sequence[bytes]) -> None:
        """Take the next entries with their leaf hashes; nothing is written before `publish`."""
        start = 0
        while start < len(entries):
            stop = start + TILE_WIDTH - len(self._bundle)
            self._bundle += entries[start:stop]
            if len(self._bundle) == TILE_WIDTH:
                self._due.append((entries_path(self._filled[0]), encode_bundle(self._bundle)))
                self._bundle = []
            self._push(0, leaf_hashes[start:stop])
            start = stop

    def publish(self, note: bytes) -> None:
        """Write what is due, the partial tiles, then the signed checkpoint `note`; then drop superseded partials."""
        if note == self._published:
            return
        for path, data in self._due:
            write_atomic(self._folder / path, data)
        partials = dict(self._partial_tiles())
        for path, data in partials.items():
            if path not in self._partials:
                write_atomic(self._folder / path, data)
        write_atomic(self._folder / "checkpoint", note)
        for path in self._partials - partials.keys():
            (self._folder / path).unlink(missing_ok=True)
        self._due, self._partials, self._published = [], set(partials), note

    def published(self) -> bytes | None:
        """The `checkpoint` file as it stands, None where there is none."""
        file = self._folder / "checkpoint"
        return file.read_bytes() if file.is_file() else None

    def restore(self, note: bytes | None) -> list[str]:
        """After every stored entry was added: make the folder agree with them.

        Returns the paths of tiles that disagreed, so that the caller can log them. A tile that is merely missing was
        not published yet when the writer ended; that is no event.
        """
        if note is None:
            return []
        rebuilt: list[str] = []
        partials = dict(self._partial_tiles())
        for path, data in [*self._due, *partials.items()]:
            file = self._folder / path
            found = file.read_bytes() if file.is_file() else None
            if found != data:
                write_atomic(file, data)
            if found not in (None, data):
                rebuilt.append(path)
        # As in `publish`: until this file is there, readers follow the older one, which may ask for older partials.
        write_atomic(self._folder / "checkpoint", note)
        for stale in self._folder.glob("tile/**/*.p/*"):
            if str(stale.relative_to(self._folder)) not in partials:
                stale.unlink()
        # Files that a killed writer had not given their name yet.
        for unfinished in self._folder.glob("**/.*.tmp"):
            unfinished.unlink()
        self._due, self._partials, self._published = [], set(partials), note
        return sorted(rebuilt)

    def _push(self, level: int, digests: Sequence[bytes]) -> None:
        """Take no more hashes of a level than its tile has room for."""
        hashes = self._levels[level]
        hashes += digests
        if len(hashes) < TILE_WIDTH:
            return
        self._due.append((tile_path(level, self._filled[level]), b"".join(hashes)))
        self._filled[level] += 1
        self._levels[level] = []
        if level + 1 == len(self._levels):
            self._levels.append([])
            self._filled.append(0)
        self._push(level + 1, roots_of_blocks(hashes))

    def _partial_tiles(self) -> list[tuple[str, bytes]]:
        named = [
            (tile_path(level, self._filled[level], len(hashes)), b"".join(hashes))
            for level, hashes in enumerate(self._levels)
            if hashes
        ]
        if self._bundle:
            named.append((entries_path(self._filled[0], len(self._bundle)), encode_bundle(self._bundle)))
        return named
