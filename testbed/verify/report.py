"""Checks the report of a test run against the bench's own logs: is it the one that was run, to the last character?

The operator's log holds the hash of every file and of every line of it. So the answer rests on that record, on the
anchor above it and on the trust file; nothing in the report itself is believed before its hash is.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from testbed.core.bodies import TestManifest
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.core.run import RunEnd, RunFacts
from testbed.record.manifest import MANIFEST, lines_of, parse_name, sha256
from testbed.record.runs import Captured, Record, decode_record
from testbed.verify.log import CheckedLog
from testbed.verify.records import Genuine
from testbed.verify.report_device import Seen, check_device
from testbed.verify.report_lines import LineEdit, compare_lines
from testbed.verify.trace import After, Trace, trace
from testbed.verify.trust import LogRole, Trust
from testbed.verify.verdict import Checked

_JOURNAL = "run.jsonl"
_MOST = 12
"""Findings for one file; more say nothing that these do not."""

_WORDS = {
    What.ALTERED: "it is not the line that the run left",
    What.DELETED: "this line of the run is gone",
    What.INSERTED: "before it stands what the run did not write",
    What.REORDERED: "another line of the run stands in its place",
}


@dataclass(frozen=True, slots=True)
class Logged:
    """A test record of the operator's log, taken apart. lines: by file, in order: what each is about, and its hash."""

    record: Genuine
    files: dict[str, bytes]
    lines: dict[str, list[tuple[str, bytes]]]

    @property
    def run(self) -> str:
        return self.record.entry.source


@dataclass(frozen=True, slots=True)
class CheckedReport:
    """What the check of a report concludes.

    run: name of the run, "" where none was found; records: what of its journal is as logged; files: how many of the
    `logged` ones are; lines: how many were logged; trace: of its record in the operator's log, after the block that the
    run knew of when it began; seen: the record of a reader that heard the same device meanwhile, None where none did.
    """

    verdict: Verdict
    findings: tuple[Finding, ...]
    run: str = ""
    records: tuple[Record, ...] = field(default=(), repr=False)
    files: int = 0
    logged: int = 0
    lines: int = 0
    trace: Trace | None = None
    seen: Seen | None = None

    @property
    def facts(self) -> RunFacts | None:
        """What was known when the run began."""
        return next((one for one in self.records if isinstance(one, RunFacts)), None)

    @property
    def end(self) -> RunEnd | None:
        """How it ended."""
        return next((one for one in self.records if isinstance(one, RunEnd)), None)


def check_report(trust: Trust, checked: Checked, found: Mapping[str, bytes]) -> CheckedReport:
    """Check the files of a report, by name, against a bench that was checked."""
    logs = [log for log in checked.logs.values() if log.trusted.role is LogRole.OPERATOR]
    logged = _entry_of(logs, found)
    if logged is None:
        findings = [*_of_logs(checked, logs), _nowhere(trust, logs, found)]
        return CheckedReport(_verdict(findings), tuple(findings))
    log, entry = logged
    index = entry.record.index
    traced = trace(checked, entry.run, entry.record.entry.seq, log.origin)
    standing = next(one for one in checked.report.standings if one.origin == log.origin)
    findings = _of_the_bench(checked, log.origin, index, anchored=index < standing.confirmed)
    if index >= standing.confirmed:
        detail = "no confirmed anchor covers it yet: whoever holds the operator's key could still rewrite it"
        where = f"record {index} of {log.origin}"
        findings.append(Finding(What.UNANCHORED, Layer.ANCHOR, where, detail, Verdict.INCONCLUSIVE, log.origin, index))
    records = _genuine_records(entry, found)
    findings += _compare(entry, found, {one.file: one for one in records if isinstance(one, Captured)})
    facts = next((one for one in records if isinstance(one, RunFacts)), None)
    findings += _of_another_bench(trust, log, index, facts)
    findings += _logged_twice(log, entry)
    after, wrong = _after(checked, log, index, facts)
    findings += wrong
    end, seen = next((one for one in records if isinstance(one, RunEnd)), None), None
    if facts is not None and end is not None:
        seen, wrong = check_device(facts, end, list(checked.logs.values()))
        findings += wrong
    return CheckedReport(
        verdict=_verdict(findings),
        findings=tuple(findings),
        run=entry.run,
        records=records,
        files=sum(sha256(found[name]) == digest for name, digest in entry.files.items() if name in found),
        logged=len(entry.files),
        lines=sum(len(lines) for lines in entry.lines.values()),
        trace=traced if after is None else replace(traced, after=after),
        seen=seen,
    )


def _entry_of(logs: Sequence[CheckedLog], found: Mapping[str, bytes]) -> tuple[CheckedLog, Logged] | None:
    """The test record that most of the files belong to; of equal ones, that which they name.

    A file belongs to a run if it is as it was logged and has the run's name in it: others may be alike in two runs.
    Where every file was edited, what they name is all that there is to go by.
    """
    hashes = {name: sha256(data) for name, data in found.items()}
    named = _named_runs(found)
    ranked: list[tuple[tuple[int, bool, int], CheckedLog, Logged]] = []
    for log in logs:
        for record in log.of(Kind.TEST):
            if isinstance(record.body, TestManifest):
                entry, run = _taken_apart(record, record.body), record.entry.source
                own = (name for name, digest in entry.files.items() if hashes.get(name) == digest)
                score = sum(run.encode() in found[name] for name in own)
                if score or run in named:
                    ranked.append(((score, run in named, -record.index), log, entry))
    return max(ranked, key=lambda one: one[0])[1:] if ranked else None


def _named_runs(found: Mapping[str, bytes]) -> set[str]:
    """The runs that manifest and journal say they are of. Nobody has to believe them."""
    return {str(said["run"]) for said in _heads(found) if "run" in said}


def _named_bench(found: Mapping[str, bytes]) -> str:
    """The bench that a report says it is of, "" where it says none. Nobody has to believe it."""
    return next((str(said["bench"]) for said in _heads(found) if "bench" in said), "")


def _heads(found: Mapping[str, bytes]) -> Iterator[dict[str, object]]:
    for text in (found.get(MANIFEST, b""), *found.get(_JOURNAL, b"").splitlines()[:1]):
        with suppress(ValueError):
            said = json.loads(text)
            if isinstance(said, dict):
                yield said


def _taken_apart(record: Genuine, body: TestManifest) -> Logged:
    logged = Logged(record, {}, {})
    for name, digest in body.files:
        file, number, about = parse_name(name)
        if number is None:
            logged.files[name] = digest
        else:
            logged.lines.setdefault(file, []).append((about, digest))
    return logged


def _genuine_records(entry: Logged, found: Mapping[str, bytes]) -> tuple[Record, ...]:
    """The records of the run's journal whose lines are as they were logged."""
    records = []
    lines = lines_of(found.get(_JOURNAL, b""))
    for (_, digest), line in zip(entry.lines.get(_JOURNAL, []), lines, strict=False):
        if sha256(line) == digest:
            with suppress(InvalidData):
                records.append(decode_record(line))
    return tuple(records)


def _compare(entry: Logged, found: Mapping[str, bytes], captures: Mapping[str, Captured]) -> list[Finding]:
    findings: list[Finding] = []
    for name, digest in entry.files.items():
        data = found.get(name)
        if data is None:
            findings.append(
                _finding(What.DELETED, name, f"the run left this file, and it is not here{_of(captures, name)}")
            )
        elif sha256(data) != digest:
            lines = entry.lines.get(name)
            if lines is None:
                findings.append(
                    _finding(What.ALTERED, name, f"it is not the file that the run left{_of(captures, name)}")
                )
            else:
                findings += _in_lines(name, lines, data)
    findings += [
        _finding(What.INSERTED, name, "the run left no such file") for name in sorted(found.keys() - entry.files.keys())
    ]
    return findings


def _of(captures: Mapping[str, Captured], name: str) -> str:
    """The capture that a file held."""
    one = captures.get(name)
    return "" if one is None else f"; it holds the capture {one.name} of {one.test}"


def _in_lines(name: str, lines: Sequence[tuple[str, bytes]], data: bytes) -> Iterator[Finding]:
    edits = compare_lines([digest for _, digest in lines], [sha256(line) for line in lines_of(data)])
    if not edits:
        yield _finding(What.ALTERED, f"end of {name}", "it does not end with the line feed that the run left")
    left_out = f"; and {len(edits) - _MOST} lines more" if len(edits) > _MOST else ""
    for number, edit in enumerate(edits[:_MOST], 1):
        yield _finding(edit.what, _place(name, lines, edit), _WORDS[edit.what] + (left_out if number == _MOST else ""))


def _place(name: str, lines: Sequence[tuple[str, bytes]], edit: LineEdit) -> str:
    about = lines[edit.number - 1][0] if edit.number <= len(lines) else ""
    return f"line {edit.number} of {name}" + (f": {about}" if about else "")


def _finding(what: What, where: str, detail: str) -> Finding:
    return Finding(what, Layer.REPORT, where, detail)


def _of_the_bench(checked: Checked, origin: str, index: int, *, anchored: bool) -> list[Finding]:
    """What was found of the bench that the record rests on: its log up to it, the anchors, the chain."""
    anchors = (Layer.ANCHOR, Layer.CHAIN)
    return [
        one
        for one in checked.report.findings
        if (one.origin == origin and (one.index is None or one.index <= index))
        or (
            one.layer in anchors and (one.verdict is Verdict.FALSIFIED or (not one.origin and not _done(one, anchored)))
        )
    ]


def _done(one: Finding, anchored: bool) -> bool:
    """Whether an anchor that is still open does not matter, as one that is done covers the record."""
    return anchored and one.what is What.UNANCHORED


def _of_logs(checked: Checked, logs: Sequence[CheckedLog]) -> list[Finding]:
    origins = {log.origin for log in logs}
    return [one for one in checked.report.findings if one.origin in origins]


def _nowhere(trust: Trust, logs: Sequence[CheckedLog], found: Mapping[str, bytes]) -> Finding:
    """The finding for a report that no record is about."""
    if not logs:
        detail = "the trust file names no operator's log, so there is nothing to hold the report against"
        return Finding(What.MISSING, Layer.REPORT, "report", detail, Verdict.INCONCLUSIVE)
    origins = " or ".join(log.origin for log in logs)
    bench = _named_bench(found)
    if bench and bench != trust.bench:
        detail = (
            f"it says that it is of bench {bench}; this is {trust.bench}, and no test record of {origins} is about it"
        )
        return _finding(What.INVENTED, "report", detail)
    if any(len(log.genuine) < log.size or log.size == 0 for log in logs):
        detail = f"no test record of {origins} is about it, but that log is not whole: see its own findings"
        return Finding(What.MISSING, Layer.REPORT, "report", detail, Verdict.INCONCLUSIVE)
    detail = f"no test record of {origins} is about it: this bench logged no such run"
    return _finding(What.INVENTED, "report", detail)


def _of_another_bench(trust: Trust, log: CheckedLog, index: int, facts: RunFacts | None) -> list[Finding]:
    if facts is None or facts.bench == trust.bench:
        return []
    detail = f"the run says that it was on bench {facts.bench}; the trust file is about {trust.bench}"
    where = f"record {index} of {log.origin}"
    return [Finding(What.UNAPPROVED, Layer.IDENTITY, where, detail, origin=log.origin, index=index)]


def _logged_twice(log: CheckedLog, entry: Logged) -> list[Finding]:
    """A run is logged once: whoever holds the key may log an edited report later, but not as the first one."""
    record = entry.record
    if record.entry.seq == 0:
        return []
    first = next((one.index for one in log.genuine.values() if one.entry.source == entry.run), 0)
    detail = f"the run was logged before, as record {first}: this is not what was logged when it ended"
    where = f"record {record.index} of {log.origin}"
    return [Finding(What.INVENTED, Layer.REPORT, where, detail, origin=log.origin, index=record.index)]


def _after(checked: Checked, log: CheckedLog, index: int, facts: RunFacts | None) -> tuple[After | None, list[Finding]]:
    """The block that the run knew of when it began, where the chain bears it out."""
    if facts is None or facts.block is None:
        return None, []
    block, chain = facts.block, checked.chain
    if block.block_hash in chain.times:
        return After(block.number, chain.times[block.block_hash]), []
    if chain.hashes.get(block.number):
        detail = f"the run names block {block.number} as {block.block_hash.hex()}, and another one stands there"
        where = f"record {index} of {log.origin}"
        return None, [Finding(What.REWRITTEN, Layer.CHAIN, where, detail, origin=log.origin, index=index)]
    return None, []


def _verdict(findings: Sequence[Finding]) -> Verdict:
    for verdict in (Verdict.FALSIFIED, Verdict.INCONCLUSIVE):
        if any(one.verdict is verdict for one in findings):
            return verdict
    return Verdict.GENUINE
