"""The anchor's rounds: when one log grew enough or waited long enough, every log that grew gets one anchor.

The log of receipts is anchored in every round with those of the rounds before, and starts none by itself; the receipts
of a round are appended at its end, in one commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from testbed.anchor.followed import Followed, LogReader
from testbed.anchor.policy import Policy, is_due
from testbed.anchor.receipts import Receipts, RecordSink
from testbed.anchor.sender import Sender
from testbed.chain.succession import AnchoredHead
from testbed.core.clock import Clock
from testbed.keys.log_keys import CheckpointKeys


@dataclass(frozen=True, slots=True)
class ReceiptLog:
    """The log of receipts: its key, the side that is read, and the side that is written, by the anchor alone.

    sink: None on a further chain, whose receipts stand in its journal only; the log is anchored there as well.
    """

    key: CheckpointKeys
    store: LogReader
    sink: RecordSink | None


class Anchorer:
    """Anchors the logs in their order, one transaction each, the log of receipts last.

    anchors, gas_used: of this run.
    """

    def __init__(
        self,
        submitter: Sender,
        logs: Sequence[tuple[CheckpointKeys, LogReader]],
        policy: Policy,
        clock: Clock,
        receipts: ReceiptLog | None = None,
    ) -> None:
        self._submitter = submitter
        self._policy = policy
        self._clock = clock
        self._logs = [Followed(key, store) for key, store in logs]
        self._receipt_log: Followed | None = None
        self._receipts: Receipts | None = None
        if receipts is not None:
            self._receipt_log = Followed(receipts.key, receipts.store)
            if receipts.sink is not None:
                self._receipts = Receipts(submitter.journal, self._receipt_log, receipts.sink)
        self.anchors = 0
        self.gas_used = 0

    async def step(self, *, flush: bool = False) -> int:
        """Run rounds while a log is due, or with `flush` while one has grown; each round anchors every log that grew.

        Returns the number of anchors. Raises StoreError where a log is not what was anchored; after that or any failure
        of the node or the disk the next call goes on where this one stopped, once the submitter has caught up.
        """
        await self._submitter.tend()
        self.catch_up()
        before = self.anchors
        while any(self._is_due(log, flush) for log in self._logs):
            await self._round()
        return self.anchors - before

    def catch_up(self) -> int:
        """Append receipts that a kill kept from the log; `step` begins with it. Returns how many. Raises StoreError."""
        return 0 if self._receipts is None else self._receipts.catch_up()

    async def _round(self) -> None:
        for log in self._logs:
            # A commit may hold more records than a batch; then its own checkpoint is the next there is.
            head = self._head(log)
            floor = self._submitter.journal.reached.floors.get(log.origin, 0)
            found = log.store.latest_checkpoint(max(head.size, floor) + self._policy.every)
            if found is None or found[0] <= head.size:
                found = log.store.next_checkpoint(head.size)
            await self._anchor(log, found)
        if self._receipt_log is not None:
            # Nothing was appended to it since the round began.
            self._receipt_log.size(self._head(self._receipt_log))
            await self._anchor(self._receipt_log, self._receipt_log.store.latest_checkpoint())
        self.catch_up()

    def _is_due(self, log: Followed, flush: bool) -> bool:
        head, now = self._head(log), self._clock.now_ns()
        waiting = log.size(head) - head.size
        if waiting == 0:
            log.waiting_since_ns = None
            return False
        if log.waiting_since_ns is None:
            log.waiting_since_ns = now
        return flush or is_due(self._policy, waiting, now - log.waiting_since_ns)

    def _head(self, log: Followed) -> AnchoredHead:
        return self._submitter.heads.get(log.origin, AnchoredHead())

    async def _anchor(self, log: Followed, found: tuple[int, bytes] | None) -> None:
        """Anchor a checkpoint, (size, note), of a log; nothing where it has not grown."""
        head = self._head(log)
        if found is None or found[0] <= head.size:
            return
        growth = log.growth(head, found[1])
        checkpoint = growth.checkpoint
        step = await self._submitter.anchor(
            checkpoint.origin, checkpoint.size, checkpoint.root, growth.note, growth.path
        )
        log.edge = growth.edge
        log.waiting_since_ns = None
        self.anchors += 1
        if step.mined is not None:
            self.gas_used += step.mined.gas_used
        if self._receipts is not None and step.proved and step.settled:
            self._receipts.note(step)
