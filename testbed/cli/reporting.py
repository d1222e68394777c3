"""`testbed verify REPORT`: whether a report of a test run is the one that was run, and what that rests on."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from testbed.cli.finding import findings_as_json, print_findings
from testbed.cli.near import near
from testbed.cli.tracing import anchored, trace_as_json
from testbed.core.finding import Verdict
from testbed.core.measurement import Measurement
from testbed.core.run import Case, RunEnd, RunFacts, RunReport
from testbed.outward import words
from testbed.rig.auditing import audit_report
from testbed.rig.bench import Bench
from testbed.verify.report import CheckedReport
from testbed.verify.verdict import Checked
from testbed.verify.work import Work

_NOT_PROVED = """\
not proved  that the runner told the truth when it wrote this: the record is the operator's word, from then on unchanged
            independence of the chain: a dev node run by the same people orders and keeps, it is no third party"""


def check_and_print(bench: Bench, trust: Path, report: Path, work: Work, *, as_json: bool) -> int:
    """Check a report; returns the exit code."""
    found, checked = asyncio.run(audit_report(bench, trust, report, work))
    if as_json:
        print(json.dumps(_as_json(found, checked)))
    else:
        print_findings(found.verdict, found.findings)
        print()
        for line in _lines(report, found, checked):
            print(line)
    return found.verdict.exit_code


def _lines(report: Path, found: CheckedReport, checked: Checked) -> Iterator[str]:
    facts, end, traced = found.facts, found.end, found.trace
    if traced is None:
        yield f"report      {near(report)}"
    else:
        lines = f", {found.lines} lines," if found.files == found.logged else ""
        yield f"report      {found.run}: {found.files} of {found.logged} files{lines} as the run left them"
    if facts is not None and end is not None:
        yield f"tests       {words.counts(_report(found, facts, end))}"
        yield f"device      {words.device(facts)}, firmware {words.firmware(facts)}, by {facts.transport}{_seen(found)}"
        yield f"software    tests at commit {facts.commit or 'not known'}, {facts.software}"
        yield f"run         {words.utc(facts.begun_ns)} to {words.utc(end.ended_ns)}, {end.how.value}"
        yield f"safe state  {words.SAFE[end.safe_state]}" + (f": {end.safe_detail}" if end.safe_detail else "")
        for origin, grown in words.log_growth(facts, end):
            yield f"            {origin}: {grown} records"
    if traced is not None:
        yield f"record      {traced.record.index} of {traced.origin}"
        yield from anchored(traced)
    if checked.report.verdict is not Verdict.GENUINE:
        yield f"bench       {checked.report.verdict.value} as a whole: `testbed verify` says why"
    yield _NOT_PROVED


def _seen(found: CheckedReport) -> str:
    if found.seen is None:
        return "; no reader says so too"
    origin, index = found.seen
    return f"; as record {index} of {origin} says too"


def _report(found: CheckedReport, facts: RunFacts, end: RunEnd) -> RunReport:
    """The run as far as its journal is genuine."""
    cases = tuple(one for one in found.records if isinstance(one, Case))
    return RunReport(facts, cases, tuple(one for one in found.records if isinstance(one, Measurement)), (), end)


def _as_json(found: CheckedReport, checked: Checked) -> dict[str, object]:
    facts, end = found.facts, found.end
    return {
        "verdict": found.verdict.value,
        "findings": findings_as_json(found.findings),
        "run": found.run,
        "device": None if facts is None else asdict(facts.device),
        "seen": found.seen,
        "commit": None if facts is None else facts.commit,
        "transport": None if facts is None else facts.transport,
        "ended": None if end is None else end.how.value,
        "files": found.files,
        "lines": found.lines,
        "record": None if found.trace is None else trace_as_json(found.trace),
        "bench": checked.report.verdict.value,
    }
