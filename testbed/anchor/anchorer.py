"""The anchor's rounds: when one log grew enough or waited long enough, every log that grew gets one anchor."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from testbed.anchor.policy import Policy, is_due
from testbed.anchor.submitter import AnchoredHead, Submitter
from testbed.core.clock import Clock
from testbed.core.entry import Row
from testbed.core.errors import InvalidData, StoreError
from testbed.keys.checkpoint import open_checkpoint
from testbed.keys.ed25519 import VerifierKey
from testbed.merkle.growth import growth_path
from testbed.merkle.tree import CompactRange, leaf_hash


class LogReader(Protocol):
    """A log's store, read-only."""

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]: ...
    def latest_checkpoint(self, limit: int | None = None) -> tuple[int, bytes] | None: ...
    def next_checkpoint(self, beyond: int) -> tuple[int, bytes] | None: ...


@dataclass(slots=True)
class _Followed:
    """A log that is anchored: the right edge at its anchored size, and since when a record waits."""

    key: VerifierKey
    store: LogReader
    edge: CompactRange = field(default_factory=CompactRange)
    waiting_since_ns: int | None = None


class Anchorer:
    """Anchors the logs in their order, one transaction each."""

    def __init__(
        self, submitter: Submitter, logs: Sequence[tuple[VerifierKey, LogReader]], policy: Policy, clock: Clock
    ) -> None:
        self._submitter = submitter
        self._policy = policy
        self._clock = clock
        self._logs = [_Followed(key, store) for key, store in logs]
        self.anchors = 0
        self.gas_used = 0

    async def step(self, *, flush: bool = False) -> int:
        """Run rounds while a log is due, or with `flush` while one has grown; each round anchors every log that grew.

        Returns the number of anchors.
        """
        done = 0
        while any(self._is_due(log, flush) for log in self._logs):
            for log in self._logs:
                done += await self._anchor_next(log)
        self.anchors += done
        return done

    def _is_due(self, log: _Followed, flush: bool) -> bool:
        anchored, size, now = self._head(log).size, self._size(log), self._clock.now_ns()
        if size < anchored:
            raise self._stops(log, f"it ends at size {size}, and size {anchored} is anchored")
        if size == anchored:
            log.waiting_since_ns = None
            return False
        if log.waiting_since_ns is None:
            log.waiting_since_ns = now
        return flush or is_due(self._policy, size - anchored, now - log.waiting_since_ns)

    async def _anchor_next(self, log: _Followed) -> int:
        """Anchor the next batch of a log; 0 when it has not grown."""
        head = self._head(log)
        # A commit may hold more records than a batch; then its own checkpoint is the next there is.
        found = log.store.latest_checkpoint(head.size + self._policy.every)
        if found is None or found[0] <= head.size:
            found = log.store.next_checkpoint(head.size)
        if found is None:
            return 0
        await self._anchor(log, head, found[1])
        log.waiting_since_ns = None
        return 1

    def _head(self, log: _Followed) -> AnchoredHead:
        return self._submitter.heads.get(log.key.name, AnchoredHead())

    def _size(self, log: _Followed) -> int:
        newest = log.store.latest_checkpoint()
        return newest[0] if newest is not None else 0

    async def _anchor(self, log: _Followed, head: AnchoredHead, note: bytes) -> None:
        try:
            checkpoint = open_checkpoint(note, log.key, log.key.name)
        except InvalidData as error:
            raise self._stops(log, f"its next checkpoint is not valid: {error}") from error
        if log.edge.size < head.size:
            log.edge.extend(self._leaves(log, log.edge.size, head.size))
        if head.size and log.edge.root() != head.root:
            raise self._stops(log, f"its first {head.size} records are not those that were anchored")
        added = self._leaves(log, head.size, checkpoint.size)
        path = growth_path(log.edge, added)
        grown = log.edge.copy()
        grown.extend(added)
        if grown.root() != checkpoint.root:
            raise self._stops(log, f"its records do not give the root of its checkpoint of size {checkpoint.size}")
        mined = await self._submitter.anchor(checkpoint.origin, checkpoint.size, checkpoint.root, note, path)
        self.gas_used += mined.gas_used
        log.edge = grown

    def _leaves(self, log: _Followed, start: int, stop: int) -> list[bytes]:
        leaves = [leaf_hash(row.entry) for row in log.store.rows(start, stop)]
        if len(leaves) != stop - start:
            raise self._stops(log, f"records are missing between {start} and {stop}")
        return leaves

    def _stops(self, log: _Followed, what: str) -> StoreError:
        return StoreError(
            f"the anchor stops: log {log.key.name}: {what}", "run `testbed verify` to see what was changed"
        )
