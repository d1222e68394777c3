"""Logs that go on for others: the first record must name the predecessor, and the operator before must say so too."""

from collections.abc import Mapping

from testbed.core.bodies import SUCCEEDS, Event, Genesis
from testbed.core.checkpoint import Checkpoint
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.keys.ed25519 import VerifierKey
from testbed.keys.succession import Succession, open_succession
from testbed.verify.log import CheckedLog
from testbed.verify.trust import LogRole, Succeeded, Trust


def check_successors(trust: Trust, logs: Mapping[str, CheckedLog]) -> list[Finding]:
    """A log that goes on for another one than the trust file says, or for one of which it says nothing."""
    findings: list[Finding] = []
    trusted = {one.successor: one for one in trust.succeeded}
    said: dict[VerifierKey, set[Succession]] = {}
    for log in logs.values():
        first = log.genuine.get(0)
        if first is None or not isinstance(first.body, Genesis):
            continue  # a finding of its own
        named, one = first.body.predecessor, trusted.get(log.origin)
        if one is None:
            if named is not None:
                findings.append(_finding(log, f"it goes on for {_shown(named)}; the trust file says nothing of it"))
            continue
        if named != one.before:
            detail = f"the trust file says that it goes on for {_shown(one.before)}; it names {_shown(named)}"
            findings.append(_finding(log, detail, Verdict.FALSIFIED))
        elif one.operator is not None and Succession(one.before, log.keys.begun) not in said.setdefault(
            one.operator, _said(logs, one)
        ):
            detail = f"{one.operator.name} has not signed that it goes on for {_shown(named)}"
            findings.append(_finding(log, detail))
    return findings


def _said(logs: Mapping[str, CheckedLog], one: Succeeded) -> set[Succession]:
    """What the operator before has signed, as the operator's log of today keeps it."""
    found: set[Succession] = set()
    for log in logs.values():
        for event in log.of(Kind.EVENT) if log.trusted.role is LogRole.OPERATOR else ():
            if one.operator is None or not isinstance(event.body, Event) or event.body.name != SUCCEEDS:
                continue
            try:
                found |= set(open_succession(event.body.detail, one.operator))
            except InvalidData:
                continue
    return found


def _shown(named: Checkpoint | None) -> str:
    return "none" if named is None else f"{named.origin} at size {named.size}, root {named.root.hex()[:16]}"


def _finding(log: CheckedLog, detail: str, verdict: Verdict = Verdict.INCONCLUSIVE) -> Finding:
    where = f"record 0 of {log.origin}"
    return Finding(What.UNAPPROVED, Layer.IDENTITY, where, detail, verdict, log.origin, 0)
