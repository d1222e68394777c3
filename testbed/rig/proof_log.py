"""One log of a bench as who proves something reads it: all leaf hashes, and the bodies that are asked for."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from testbed.core.bodies import Event, Genesis
from testbed.core.checkpoint import Checkpoint
from testbed.core.entry import Kind, Row
from testbed.core.errors import InvalidData, StoreError
from testbed.keys.evidence_file import ProvedRecord
from testbed.keys.tlog_proof import TlogProof, claimed_checkpoint
from testbed.merkle.packed import Packed, PackedTree
from testbed.merkle.tree import leaf_hash
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.record.heads import COMMITMENT_SIZE, HEAD_SIZE, SEQ_END, peek_kind, seq_part, source_part
from testbed.store.sqlite import LogStore


class ProofLog:
    """The records under the log's newest checkpoint. Keeps 33 bytes of each and no body; use it as a context manager.

    Raises StoreError where there is no log, or where its records do not give the root of its own checkpoint.
    """

    def __init__(self, origin: str, path: Path) -> None:
        self.origin = origin
        self._store = LogStore.examine(path)
        try:
            self.note, self.newest = self._newest()
            self._kinds = bytearray()
            self._leaves = Packed(self._read(self.newest.size))
            self._check_root()
            self._shown = (self.newest, self.note)
        except BaseException:
            self._store.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._store.close()

    @property
    def size(self) -> int:
        """Records under the newest checkpoint."""
        return self.newest.size

    @property
    def tree(self) -> PackedTree:
        """The tree over all of them."""
        return self._leaves.tree

    def indices(self, kind: Kind, stop: int | None = None) -> Iterator[int]:
        """Records of that kind below `stop`, the newest first."""
        end = self.size if stop is None else stop
        while (end := self._kinds.rfind(bytes([kind]), 0, end)) >= 0:
            yield end

    def row(self, index: int) -> Row:
        """A stored record; raises StoreError where it is not that of its leaf."""
        row = next(self._store.rows(index, index + 1), None)
        if row is None or leaf_hash(row.entry) != self._leaves[index]:
            raise self._stops(f"record {index} is not there")
        return row

    def prefer(self, note: bytes) -> None:
        """Prove under this checkpoint what it covers, where it is one of this very tree."""
        try:
            found = claimed_checkpoint(note)
        except InvalidData:
            return
        if found.origin == self.origin and 0 < found.size <= self.size and self.tree.root(found.size) == found.root:
            self._shown = (found, note)

    def shown(self, index: int) -> tuple[Checkpoint, bytes]:
        """The checkpoint under which a record is proved, and its signed note."""
        return self._shown if index < self._shown[0].size else (self.newest, self.note)

    def prove(self, index: int) -> ProvedRecord:
        """A record and its proof; raises StoreError where the log is damaged there."""
        row = self.row(index)
        checkpoint, note = self.shown(index)
        proof = TlogProof(index, tuple(self.tree.inclusion_path(index, checkpoint.size)), note)
        return ProvedRecord(row.entry, None if row.body is None else row.salt, row.body, proof)

    def find(self, source: str, seq: int) -> int | None:
        """Index of a record by what its entry says, None where there is none."""
        if not 0 <= seq < SEQ_END:
            return None
        wanted, of_entry = source_part(source) + seq_part(seq), slice(HEAD_SIZE, -COMMITMENT_SIZE)
        entries = enumerate(self._store.entries(self.size))
        return next((index for index, data in entries if data[of_entry] == wanted), None)

    def sources(self, kind: Kind) -> list[tuple[int, str]]:
        """(index, source) of every record of that kind, in order."""
        entries = enumerate(self._store.entries(self.size))
        return [(index, decode_entry(data).source) for index, data in entries if peek_kind(data) == kind]

    def schema(self) -> bytes:
        """Hash of the tag list that the log's first record names; raises StoreError where that is no genesis."""
        body = self._body(0)
        if not isinstance(body, Genesis):
            raise self._stops("it does not begin with a genesis record")
        return body.schema

    def event(self, name: str) -> Iterator[bytes]:
        """Details of the events of that name, the newest first."""
        for index in self.indices(Kind.EVENT):
            body = self._body(index)
            if isinstance(body, Event) and body.name == name:
                yield body.detail

    def _body(self, index: int) -> object:
        row = self.row(index)
        try:
            return None if row.body is None else decode_body(decode_entry(row.entry).kind, row.body)
        except InvalidData as error:
            raise self._stops(f"record {index} cannot be read: {error}") from error

    def _newest(self) -> tuple[bytes, Checkpoint]:
        found = self._store.latest_checkpoint()
        if found is None:
            raise StoreError(f"{self.origin}: there is no checkpoint yet", "run the bench first")
        try:
            return found[1], claimed_checkpoint(found[1])
        except InvalidData as error:
            raise self._stops(f"its newest checkpoint cannot be read: {error}") from error

    def _check_root(self) -> None:
        if self.tree.size != self.newest.size or self.tree.root() != self.newest.root:
            raise self._stops(f"its records do not give the root of its checkpoint of size {self.newest.size}")

    def _read(self, size: int) -> bytearray:
        """Leaf hashes, one behind the other."""
        hashes = bytearray()
        for entry in self._store.entries(size):
            self._kinds.append(max(peek_kind(entry), 0))
            hashes += leaf_hash(entry)
        return hashes

    def _stops(self, what: str) -> StoreError:
        return StoreError(f"{self.origin}: {what}", "`testbed verify` says what was changed, and where")
