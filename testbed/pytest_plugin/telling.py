"""What a run says of its measurements: with each report, and at the end on the terminal."""

from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from testbed.core.measurement import Measurement, Outcome
from testbed.core.run import Case, CaseOutcome
from testbed.pytest_plugin.evidence import Keeping
from testbed.pytest_plugin.measuring import sentence
from testbed.pytest_plugin.turn import Turn
from testbed.pytest_plugin.waiting import NotInTime

NOTE = "measured"
_MARGINAL = "MARGINAL"


def tell(
    item: pytest.Item, call: "pytest.CallInfo[None]", report: pytest.TestReport, turn: Turn | None, keeping: Keeping
) -> None:
    """Put what was measured beside the report of the teardown, and what came of the test into the evidence."""
    found = item.stash.setdefault(_CASE, Case(item.nodeid, CaseOutcome.PASS, 0.0))
    found = _judge(found, call, report)
    item.stash[_CASE] = found
    if report.when != "teardown":
        return
    for one in () if turn is None else turn.measurements:
        word = _MARGINAL if one.marginal else one.outcome.value
        report.user_properties.append((NOTE, f"{word} {item.nodeid}: {_said(one)}"))
    keeping.outcome(found)


_CASE: pytest.StashKey[Case] = pytest.StashKey()


def _judge(before: Case, call: "pytest.CallInfo[None]", report: pytest.TestReport) -> Case:
    """The case, with what this phase adds. The first thing that went wrong counts."""
    duration_s = before.duration_s + report.duration
    if before.outcome is not CaseOutcome.PASS or report.passed:
        return Case(before.test, before.outcome, duration_s, before.detail)
    if report.skipped:
        return Case(before.test, CaseOutcome.SKIP, duration_s, _reason(report))
    error = None if call.excinfo is None else call.excinfo.value
    detail = "" if error is None else f"{str(error) or type(error).__name__}".splitlines()[0]
    outcome = CaseOutcome.ERROR
    if report.when == "call":
        if isinstance(error, NotInTime) or detail.startswith("Timeout "):  # pytest-timeout's words
            outcome = CaseOutcome.TIMEOUT
        elif isinstance(error, AssertionError | pytest.fail.Exception):
            outcome = CaseOutcome.FAIL
    return Case(before.test, outcome, duration_s, detail)


def _reason(report: pytest.TestReport) -> str:
    return str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)


def _said(one: Measurement) -> str:
    return one.detail or sentence(one)


def summary(notes: Sequence[str], closed: str) -> Iterator[str]:
    """Lines for the terminal: the counts, and each measurement that is marginal."""
    words = Counter(note.split(" ", 1)[0] for note in notes)
    if notes:
        counts = [f"{words[outcome.value]} {outcome.value}" for outcome in Outcome if words[outcome.value]]
        marginal = words[_MARGINAL]
        if marginal:
            counts.append(f"{marginal} marginal")
        yield f"measurements: {', '.join(counts)}"
    for note in notes:
        if note.startswith(_MARGINAL):
            yield f"  marginal: {note.split(' ', 1)[1]}"
    if closed:
        yield closed
