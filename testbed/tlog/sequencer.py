"""The sequencer: gives each record its index, and acknowledges it when it is on disk under a signed checkpoint."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from testbed.core.bodies import KEY_CHANGED, Body, Event
from testbed.core.checkpoint import Checkpoint
from testbed.core.entropy import Entropy
from testbed.core.entry import Row
from testbed.core.errors import InvalidData, StoreError
from testbed.core.failpoints import AFTER, BEFORE, reached
from testbed.keys.checkpoint import open_checkpoint, sign_checkpoint
from testbed.keys.ed25519 import SigningKey
from testbed.keys.log_keys import CheckpointKeys
from testbed.merkle.tree import CompactRange, leaf_hash
from testbed.record.bodies import encode_kind
from testbed.record.entry import SALT_SIZE, decode_entry
from testbed.record.heads import KIND_HEADS, seq_part, source_part
from testbed.tlog.publisher import Publisher


class RecordStore(Protocol):
    """What the sequencer asks of a store."""

    path: Path

    def append(self, rows: Sequence[Row], size: int, note: bytes) -> None: ...
    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]: ...
    def latest_checkpoint(self, limit: int | None = None) -> tuple[int, bytes] | None: ...


@dataclass(frozen=True, slots=True)
class Appended:
    """What `append` acknowledges: the index of the first record and the checkpoint that covers them all."""

    first_index: int
    checkpoint: Checkpoint
    note: bytes


class Log:
    """One append-only log with its one writer. The origin is the signing key's name.

    keys: where the log had other keys before, all of them over its life; the signing key is the one that is valid from
    here on, and nothing is signed at a size at which it is not. The record of a change of keys is the last one that a
    key signs for: behind it the log must be opened anew, with the key that follows.

    Opening reads the whole store once: it must rebuild the root of its own last checkpoint and hold the one that was
    published, or the log is not continued (StoreError), so that a writer never signs over records that somebody else
    changed, nor a second time over the indices of a log that was set back.
    """

    def __init__(
        self,
        key: SigningKey,
        store: RecordStore,
        publisher: Publisher,
        entropy: Entropy,
        keys: CheckpointKeys | None = None,
    ) -> None:
        self.origin = key.name
        self._key = key
        self._verifier = key.verifier()
        self._keys = keys or self._verifier
        self._ended = False
        self._store = store
        self._publisher = publisher
        self._entropy = entropy
        self._edge = CompactRange()
        self._next_seq: dict[str, int] = {}
        self._parts: dict[str, bytes] = {}
        self._note: bytes | None = None
        self._restore()
        self._check_published()
        self.rebuilt_tiles = publisher.restore(self._note)

    @property
    def size(self) -> int:
        return self._edge.size

    def append(self, records: Iterable[tuple[str, Body]]) -> Appended:
        """Sequence (source, body) pairs in one commit. Returns when they are on disk under a signed checkpoint.

        Raises StoreError with nothing acknowledged; the log must then be opened anew.
        """
        first = self._edge.size
        given = list(records)
        if not given:
            raise ValueError("a commit holds at least one record")
        next_seq = dict(self._next_seq)
        rows = self._rows(given, next_seq)
        hashes = [sha256(b"\x00" + row.entry).digest() for row in rows]
        edge = self._edge.copy()
        edge.extend(hashes)
        changes = [place for place, (_, body) in enumerate(given) if _is_key_change(body)]
        if changes and changes != [len(given) - 1]:
            raise ValueError("the record of a change of keys is the last one of its commit")
        self._check_key(edge.size)
        checkpoint = Checkpoint(self.origin, edge.size, edge.root())
        note = sign_checkpoint(checkpoint, self._key)
        reached("sequence", BEFORE, first)
        self._store.append(rows, checkpoint.size, note)
        reached("sequence", AFTER, checkpoint.size)
        self._edge, self._next_seq, self._note, self._ended = edge, next_seq, note, bool(changes)
        self._publisher.extend([row.entry for row in rows], hashes)
        return Appended(first, checkpoint, note)

    def _rows(self, records: Sequence[tuple[str, Body]], next_seq: dict[str, int]) -> list[Row]:
        """The rows of these records, each body encoded once; next_seq is counted on."""
        rows: list[Row] = []
        salts = self._entropy.take(SALT_SIZE * len(records))
        parts, index, at = self._parts, self._edge.size, 0
        for source, body in records:
            kind, data = encode_kind(body)
            salt = salts[at : at + SALT_SIZE]
            part = parts.get(source)
            if part is None:
                part = parts[source] = source_part(source)
            seq = next_seq.get(source, 0)
            next_seq[source] = seq + 1
            entry = KIND_HEADS[kind] + part + seq_part(seq) + sha256(salt + data).digest()
            rows.append(Row(index, entry, salt, data))
            index, at = index + 1, at + SALT_SIZE
        return rows

    def _check_key(self, size: int) -> None:
        """Raises StoreError where another key signs a checkpoint of that size."""
        if self._ended or self._keys.at(size) != self._verifier:
            raise StoreError(
                f"{self._store.path}: the key of {self.origin} was changed, and this one signs no longer",
                "start its writer again: it goes on under the key that follows",
            )

    def publish(self) -> None:
        """Write tiles and the `checkpoint` file up to the last commit; they are derived, so nothing is lost without."""
        if self._note is not None:
            reached("publish", BEFORE, self.size)
            self._publisher.publish(self._note)
            reached("publish", AFTER, self.size)

    def _restore(self) -> None:
        for row in self._store.rows():
            if row.index != self._edge.size:
                raise self._disagrees(f"record {self._edge.size} is missing")
            try:
                entry = decode_entry(row.entry)
            except InvalidData as error:
                raise self._disagrees(f"record {row.index} is no entry: {error}") from error
            digest = leaf_hash(row.entry)
            self._edge.append(digest)
            self._next_seq[entry.source] = entry.seq + 1
            self._publisher.add(row.entry, digest)
        latest = self._store.latest_checkpoint()
        if latest is None:
            if self._edge.size:
                raise self._disagrees("there are records and no checkpoint")
            return
        size, note = latest
        origin = note.partition(b"\n")[0].decode(errors="replace")
        if origin != self.origin:
            raise self._disagrees(
                f"its checkpoint of size {size} is not valid for it: it is of origin {origin}, and the bench says"
                f" {self.origin}",
                "undo the change of names in the bench file, or make a new bench in another data folder",
            )
        try:
            signed = open_checkpoint(note, self._keys, self.origin)
        except InvalidData as error:
            raise self._disagrees(f"its checkpoint of size {size} is not valid: {error}") from error
        if signed != Checkpoint(self.origin, self._edge.size, self._edge.root()):
            raise self._disagrees(f"its records do not give the root of its checkpoint of size {signed.size}")
        self._note = note

    def _check_published(self) -> None:
        """What is published was committed before, so the store has it."""
        published = self._publisher.published()
        try:
            signed = open_checkpoint(published or b"", self._keys, self.origin)
        except InvalidData:
            return  # not this log's own word: it is derived, and written anew
        found = self._store.latest_checkpoint(signed.size)
        if found is None or open_checkpoint(found[1], self._keys, self.origin) != signed:
            raise self._disagrees(f"its published checkpoint of size {signed.size} is not in the store")

    def _disagrees(self, what: str, mend: str = "") -> StoreError:
        return StoreError(
            f"{self._store.path}: the log {self.origin} is not what its writer left: {what}",
            mend or "run `testbed verify` to see what was changed; start a new bench in another data folder",
        )


def _is_key_change(body: Body) -> bool:
    return isinstance(body, Event) and body.name == KEY_CHANGED
