"""When to anchor: every so many records, or after so much time, whichever comes first. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """every: records in a batch, 1 anchors each record by itself; within_ns: longest wait of a record, ns."""

    every: int
    within_ns: int


def is_due(policy: Policy, waiting: int, waiting_ns: int) -> bool:
    """Whether a log needs an anchor: `waiting` records behind its last one, the first of them for `waiting_ns`.

    Below 0 the clock was set back: how long they waited is not known, so they have waited long enough.
    """
    return waiting >= policy.every or (waiting > 0 and not 0 <= waiting_ns < policy.within_ns)
