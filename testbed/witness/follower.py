"""Follows one log: fetches its checkpoint and tiles, rebuilds the root, and has cosigned only what is consistent.

A log that forked, or went back, is refused: the checkpoint that it shows and the one that it does not go with are kept.
Whoever serves the log is trusted for nothing; what it sends is bounded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Protocol

from testbed.core.checkpoint import Checkpoint
from testbed.core.errors import InvalidData, InvalidSignature
from testbed.merkle.tiles import TILE_WIDTH, TileId, split_tile
from testbed.merkle.tree import CompactRange, Tree
from testbed.witness.cosigner import Cosigner
from testbed.witness.memory import MOST_CHANGES
from testbed.witness.mirror import HASH_SIZE, Mirror

MOST_NOTE = 1 << 18
"""Bytes of a checkpoint that is fetched."""
MOST_AHEAD = 1 << 22
"""Records that a log may have grown by since it was last cosigned: what is not proved yet stands in memory."""
MOST_COMPARED = 1 << 20
"""Records of a log that are fetched again to find out where it forked."""
_JUDGED_FOR = 60
"""Looks at a refused checkpoint before it is judged anew: its tiles may have been mended."""


class Source(Protocol):
    """Where a log is read: its files by name, as C2SP tlog-tiles has them."""

    def read(self, name: str, most: int) -> bytes | None:
        """A file of at most `most` bytes, None where there is none. Raises Unread."""
        ...


class Unread(Exception):
    """A log, or a part of it, could not be read: nothing is known, and it is tried again."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What came of looking at a log. unread: why it could not be read; refused: why it was not cosigned."""

    unread: str = ""
    refused: str = ""


class Follower:
    """Follows the log `origin`."""

    def __init__(self, origin: str, cosigner: Cosigner, mirror: Mirror, source: Source) -> None:
        self.origin = origin
        self.mirror = mirror
        self._cosigner = cosigner
        self._source = source
        self._ahead: list[bytes] = []
        """Hashes behind those of the mirror, fetched and not proved yet."""
        self._judged: tuple[bytes, str] = (b"", "")
        """The checkpoint that was refused last, and why."""
        self._looks = 0

    def step(self) -> Followed:
        """Look at the log once. Raises StoreError where nothing can be written down."""
        try:
            note = self._source.read("checkpoint", MOST_NOTE)
            if note is None:
                return Followed(unread="there is no checkpoint")
            self._looks += 1
            if note == self._judged[0] and self._looks % _JUDGED_FOR:
                return Followed(refused=self._judged[1])
            refused = self._look(note)
        except Unread as error:
            return Followed(unread=str(error))
        self._judged = (note, refused) if refused else (b"", "")
        return Followed(refused=refused)

    def _look(self, note: bytes) -> str:
        """Why the checkpoint is not cosigned, "" where it is."""
        try:
            shown = self._open(note)
        except InvalidData as error:
            return f"not a checkpoint that its log signed: {error}"
        newest = self._cosigner.newest(self.origin)
        held = newest.checkpoint if newest is not None else Checkpoint(self.origin, 0, CompactRange().root())
        if newest is not None and shown == held and self.mirror.size >= shown.size:
            return ""
        if shown.size < held.size:
            return self._went_back(note, shown, held, newest.note if newest is not None else b"")
        roots = self._roots(shown.size, held.size)
        if roots.get(shown.size) != shown.root:
            return self._explain(note, shown, held)
        if roots.get(held.size, held.root) != held.root:
            return self._forked(note, shown, held, self._path(held.size, shown.size))
        if shown.size > self.mirror.size:
            self.mirror.grow(self._ahead[: shown.size - self.mirror.size], note)
            self._ahead = []
        # What was cosigned meanwhile on somebody else's request is looked at the next time.
        self._cosigner.cosign_grown(self.origin, note, roots)
        return ""

    def _open(self, note: bytes) -> Checkpoint:
        """The checkpoint; where its log may have another key since, what is published of that is looked at first."""
        try:
            return self._cosigner.open(self.origin, note).checkpoint
        except InvalidSignature:
            if not self._cosigner.learn(self.origin, self._key_changes()):
                raise
            return self._cosigner.open(self.origin, note).checkpoint

    def _key_changes(self) -> Iterator[bytes]:
        for number in range(MOST_CHANGES):
            note = self._source.read(f"key-changes/{number}", MOST_NOTE)
            if note is None:
                return
            yield note

    def _roots(self, shown: int, held: int) -> dict[int, bytes]:
        """Roots of the tree at both sizes, as what was mirrored and what is fetched now have it."""
        start = self.mirror.size
        roots = {size: self.mirror.root(size) for size in {shown, held} if size <= start}
        if shown <= start:
            return roots
        if shown - start > MOST_AHEAD:
            raise Unread(f"it grew by {shown - start} records, more than {MOST_AHEAD}")
        for hashes in self._fetch(start + len(self._ahead), shown):
            self._ahead += hashes
        edge = self.mirror.edge.copy()
        for digest in self._ahead[: shown - start]:
            edge.append(digest)
            if edge.size == held:
                roots[held] = edge.root()
        roots[shown] = edge.root()
        return roots

    def _path(self, old: int, new: int) -> Sequence[bytes]:
        """Consistency path in the tree of what was mirrored and fetched; none where that is too long."""
        if new > MOST_COMPARED:
            return ()
        return Tree([*self.mirror.leaves(self.mirror.size), *self._ahead]).consistency_path(old, new)

    def _fetch(self, start: int, stop: int) -> Iterator[Sequence[bytes]]:
        """Leaf hashes from `start` to `stop` of a log of size `stop`, a tile at a time."""
        while start < stop:
            n, skip = divmod(start, TILE_WIDTH)
            tile = TileId(0, n, min(TILE_WIDTH, stop - n * TILE_WIDTH))
            data = self._source.read(tile.path, TILE_WIDTH * HASH_SIZE)
            if data is None and tile.width < TILE_WIDTH:
                # The partial tile may have been filled meanwhile (C2SP tlog-tiles, "Partial Tiles").
                whole = self._source.read(TileId(0, n).path, TILE_WIDTH * HASH_SIZE)
                data = None if whole is None else whole[: tile.width * HASH_SIZE]
            if data is None:
                raise Unread(f"{tile.path} is missing")
            try:
                hashes = split_tile(data, tile.width)[skip:]
            except InvalidData as error:
                raise Unread(f"{tile.path}: {error}") from error
            yield hashes
            start += len(hashes)

    def _went_back(self, note: bytes, shown: Checkpoint, held: Checkpoint, ours: bytes) -> str:
        if shown.size <= self.mirror.size and self.mirror.root(shown.size) != shown.root:
            return self._forked(note, shown, held, ())
        self._cosigner.refuse(self.origin, note, (), ours)
        return f"it went back: it shows size {shown.size}, and size {held.size} was cosigned before"

    def _explain(self, note: bytes, shown: Checkpoint, held: Checkpoint) -> str:
        """Why the tiles do not give the root that was signed: do they give it by themselves, as another log?"""
        if shown.size > MOST_COMPARED:
            return self._refuse(
                note, held, (), "its tiles do not go on from what was mirrored to the root that it shows"
            )
        theirs = [digest for hashes in self._fetch(0, shown.size) for digest in hashes]
        tree = Tree(theirs)
        if tree.root() != shown.root:
            return self._refuse(note, held, (), "its tiles do not give the root that it shows")
        path = tree.consistency_path(held.size) if held.size <= shown.size else []
        ours = self.mirror.leaves(min(self.mirror.size, shown.size))
        differing = (index for index, (a, b) in enumerate(zip_longest(ours, theirs[: self.mirror.size])) if a != b)
        return self._forked(note, shown, held, path, next(differing, None))

    def _forked(
        self, note: bytes, shown: Checkpoint, held: Checkpoint, path: Sequence[bytes], index: int | None = None
    ) -> str:
        where = "" if index is None else f"; its record {index} is the first that is another one"
        what = f"it forked: it shows another log at size {shown.size} than the one of size {held.size}{where}"
        return self._refuse(note, held, path, what)

    def _refuse(self, note: bytes, held: Checkpoint, path: Sequence[bytes], why: str) -> str:
        self._ahead = []
        newest = self._cosigner.newest(self.origin)
        ours = newest.note if newest is not None and newest.checkpoint == held else self.mirror.note
        if ours is not None:
            self._cosigner.refuse(self.origin, note, path, ours)
        return why
