"""Keeps the log of receipts: its i-th receipt is that of the journal's i-th anchor, whatever was killed when.

Only an anchor that is settled, and whose proof the journal has, gets one: the network does not take it back any more.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Protocol

from testbed.anchor.followed import Followed
from testbed.chain.journal import Journal
from testbed.chain.receipts import receipt_of
from testbed.chain.steps import Step
from testbed.chain.succession import AnchoredHead
from testbed.core.bodies import AnchorReceipt, Body
from testbed.core.entry import Kind, Row
from testbed.core.errors import InvalidData
from testbed.record.bodies import encode_body
from testbed.record.entry import commitment, decode_entry

_AT_ONCE = 256
"""Receipts in one commit where many are missing; one has about 2 kB."""


class RecordSink(Protocol):
    """The writing side of a log: each call is one commit of (source, body) pairs."""

    def append(self, records: Iterable[tuple[str, Body]]) -> object: ...


class Receipts:
    """The receipts of a journal's anchors in a log of their own; the source of each is the origin that was anchored."""

    def __init__(self, journal: Journal, log: Followed, sink: RecordSink) -> None:
        self._journal = journal
        self._log = log
        self._sink = sink
        self._held: int | None = None
        self._new: list[Step] = []

    def note(self, step: Step) -> None:
        """The journal's newest anchor, whose receipt `catch_up` is going to append."""
        self._new.append(step)

    def catch_up(self) -> int:
        """Append every receipt that the log has not; the first time, see that it has the journal's and no others.

        Those that were noted go in one commit, and nothing is read for them. Any others are read from the journal.
        Returns how many were appended. Raises StoreError with the log as it was where it holds what it should not.
        """
        new, self._new = self._new, []
        anchors = self._journal.reached.settled.proved
        if self._held is None:
            self._held = self._compare()
        held, self._held = self._held, None  # until the log has all: what a failed commit left is compared again
        if held + len(new) == anchors:
            self._append(new)
        else:
            missing = islice(self._anchors(), held, None)
            while some := list(islice(missing, _AT_ONCE)):
                self._append(some)
        self._held = anchors
        return anchors - held

    def _append(self, steps: list[Step]) -> None:
        if steps:
            receipts = [receipt_of(step) for step in steps]
            self._sink.append([(receipt.origin, receipt) for receipt in receipts])

    def _compare(self) -> int:
        """How many receipts the log holds, all of them the journal's. Raises StoreError."""
        head = self._journal.reached.heads.get(self._log.origin, AnchoredHead())
        self._log.size(head)
        self._log.check_anchored(head)
        anchors, held = self._anchors(), 0
        for row in self._log.store.rows():
            try:
                entry = decode_entry(row.entry)
                if entry.kind is not Kind.RECEIPT:
                    continue
                step = next(anchors, None)
                right = step is not None and _is_of(row, entry.source, entry.commitment, receipt_of(step))
            except InvalidData as error:
                raise self._log.stops(f"record {row.index}: {error}") from error
            if step is None:
                raise self._log.stops(f"record {row.index} is a receipt, and the journal has {held} anchors only")
            if not right:
                raise self._log.stops(
                    f"record {row.index} is not the receipt of step {step.intent.number} of the journal"
                )
            held += 1
        return held

    def _anchors(self) -> Iterator[Step]:
        return (step for step in self._journal.steps() if step.proved and step.settled)


def _is_of(row: Row, source: str, committed: bytes, receipt: AnchorReceipt) -> bool:
    body = encode_body(receipt)
    if row.body is None:
        return source == receipt.origin
    return (source, row.body, committed) == (receipt.origin, body, commitment(row.salt, body))
