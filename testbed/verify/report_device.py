"""Checks that a test run was on the device that the bench's readers saw meanwhile, by what it says of itself."""

from collections.abc import Iterator, Sequence

from testbed.core.bodies import IDENTITY, Event
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.core.identity import Identity
from testbed.core.run import RunEnd, RunFacts
from testbed.record.identity import decode_identity
from testbed.verify.log import CheckedLog
from testbed.verify.trust import LogRole

Seen = tuple[str, int]
"""A log's origin, and the index of a record in it."""


def check_device(facts: RunFacts, end: RunEnd, logs: Sequence[CheckedLog]) -> tuple[Seen | None, list[Finding]]:
    """The record of a reader that names the run's device, or the finding that readers logged none but others.

    Devices say it in other words by other protocols, so one reader that heard the same is enough, and where none did
    nobody knows who is wrong. Neither is returned where the device or the readers say nothing, or where a reader's log
    is not whole.
    """
    if facts.device == Identity():
        return None, []
    heard: list[tuple[CheckedLog, int, Identity]] = []
    readers = [log for log in logs if log.trusted.role in (LogRole.GATEWAY, LogRole.READER)]
    for log in readers:
        heard += [(log, index, identity) for index, identity in _meanwhile(log, facts, end)]
    for log, index, identity in heard:
        if identity == facts.device:
            return (log.origin, index), []
    if not heard or any(len(log.genuine) < log.size or log.size == 0 for log in readers):
        return None, []
    log, index, identity = heard[-1]
    detail = f"the run was on {_shown(facts.device)}, and what was read meanwhile is {_shown(identity)}"
    where = f"record {index} of {log.origin}"
    return None, [Finding(What.DISAGREED, Layer.REPORT, where, detail, Verdict.INCONCLUSIVE, log.origin, index)]


def _meanwhile(log: CheckedLog, facts: RunFacts, end: RunEnd) -> Iterator[tuple[int, Identity]]:
    """Index and identity: what held when the run began, and each one until it ended."""
    begun, ended = ({one.origin: one.size for one in logs}.get(log.origin) for logs in (facts.logs, end.logs))
    held: tuple[int, Identity] | None = None
    for record in log.of(Kind.EVENT):
        index, body = record.index, record.body
        if not isinstance(body, Event) or body.name != IDENTITY or (ended is not None and index >= ended):
            continue
        try:
            found = index, decode_identity(body.detail)
        except InvalidData:
            continue  # it names no device
        if begun is not None and index < begun:
            held = found
        else:
            if held is not None:
                yield held
                held = None
            yield found
    if held is not None:
        yield held


def _shown(identity: Identity) -> str:
    parts = (identity.vendor, identity.product, f"firmware {identity.firmware}", f"serial {identity.serial}")
    return " ".join(part for part in parts if part and not part.endswith(" "))
