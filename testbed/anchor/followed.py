"""A log that is anchored: its store, read-only, and the right edge of its tree at the anchored size."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from testbed.chain.succession import AnchoredHead
from testbed.core.checkpoint import Checkpoint
from testbed.core.entry import Row
from testbed.core.errors import InvalidData, StoreError
from testbed.keys.checkpoint import open_checkpoint
from testbed.keys.log_keys import CheckpointKeys
from testbed.merkle.growth import growth_path
from testbed.merkle.tree import CompactRange, leaf_hash


class LogReader(Protocol):
    """A log's store, read-only."""

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]: ...
    def latest_checkpoint(self, limit: int | None = None) -> tuple[int, bytes] | None: ...
    def next_checkpoint(self, beyond: int) -> tuple[int, bytes] | None: ...


@dataclass(frozen=True, slots=True)
class Growth:
    """From what is anchored to the next checkpoint: the note, the consistency path, and the edge at the new size."""

    checkpoint: Checkpoint
    note: bytes
    path: list[bytes]
    edge: CompactRange


@dataclass(slots=True)
class Followed:
    """edge: at a size that is anchored; waiting_since_ns: when the first record that is not was seen, UTC."""

    key: CheckpointKeys
    store: LogReader
    edge: CompactRange = field(default_factory=CompactRange)
    waiting_since_ns: int | None = None

    @property
    def origin(self) -> str:
        return self.key.name

    def size(self, head: AnchoredHead) -> int:
        """Size of the log's newest checkpoint. Raises StoreError where more is anchored."""
        newest = self.store.latest_checkpoint()
        size = newest[0] if newest is not None else 0
        if size < head.size:
            raise self.stops(f"it ends at size {size}, and size {head.size} is anchored")
        return size

    def check_anchored(self, head: AnchoredHead) -> None:
        """Take the edge to the anchored size. Raises StoreError unless the records are those that were anchored."""
        if self.edge.size > head.size:
            self.edge = CompactRange()  # the network took anchors back
        if self.edge.size < head.size:
            edge = self.edge.copy()
            edge.extend(leaf_hash(row.entry) for row in self.store.rows(edge.size, head.size))
            if edge.size != head.size:
                raise self.stops(f"records are missing below {head.size}")
            self.edge = edge
        if head.size and self.edge.root() != head.root:
            raise self.stops(f"its first {head.size} records are not those that were anchored")

    def growth(self, head: AnchoredHead, note: bytes) -> Growth:
        """How the log grew from `head` to the checkpoint in `note`. Raises StoreError where it did not."""
        try:
            checkpoint = open_checkpoint(note, self.key, self.origin)
        except InvalidData as error:
            raise self.stops(f"its next checkpoint is not valid: {error}") from error
        self.check_anchored(head)
        added = [leaf_hash(row.entry) for row in self.store.rows(head.size, checkpoint.size)]
        if len(added) != checkpoint.size - head.size:
            raise self.stops(f"records are missing between {head.size} and {checkpoint.size}")
        path = growth_path(self.edge, added)
        grown = self.edge.copy()
        grown.extend(added)
        if grown.root() != checkpoint.root:
            raise self.stops(f"its records do not give the root of its checkpoint of size {checkpoint.size}")
        return Growth(checkpoint, note, path, grown)

    def stops(self, what: str) -> StoreError:
        return StoreError(
            f"the anchor stops: log {self.origin}: {what}", "run `testbed verify` to see what was changed"
        )
