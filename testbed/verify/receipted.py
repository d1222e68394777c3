"""Checkpoints that receipts hold of other logs: what their keys once signed, whatever became of journal and chain."""

from collections.abc import Iterable, Iterator

from testbed.core.bodies import AnchorReceipt
from testbed.core.entry import Kind
from testbed.verify.checkpoints import Shown
from testbed.verify.log import CheckedLog


def receipted(receipts: Iterable[CheckedLog], origin: str) -> list[Shown]:
    """Each checkpoint of a log that a receipt holds."""
    return [one for log in receipts for one in _of(log, origin)]


def _of(receipts: CheckedLog, origin: str) -> Iterator[Shown]:
    for record in receipts.of(Kind.RECEIPT):
        if isinstance(record.body, AnchorReceipt) and record.body.origin == origin:
            yield Shown(record.body.checkpoint, f"record {record.index} of {receipts.origin}")
