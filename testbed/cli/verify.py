"""`testbed verify`: the verdict, with its findings; one record through every layer; a report of a test run; a file."""

import argparse
import asyncio
import json
import time
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from testbed.cli import proof
from testbed.cli.finding import findings_as_json, print_findings
from testbed.cli.near import near
from testbed.cli.options import bench_of, trust_of
from testbed.cli.reporting import check_and_print
from testbed.cli.seen import witnessed_lines
from testbed.cli.tracing import trace_as_json, trace_as_text
from testbed.cli.working import working
from testbed.core.errors import UsageError
from testbed.core.finding import Verdict
from testbed.rig.auditing import audit
from testbed.rig.bench import Bench
from testbed.rig.proof_check import looks_like_evidence
from testbed.verify.further import FurtherStanding
from testbed.verify.trace import trace
from testbed.verify.trust import LogRole
from testbed.verify.verdict import Report, Standing

_ONE_READER = "a lie told to the gateway on the wire: its log says what it read, not what the machine did"
_TWO_READERS = "a lie told identically to both readers: their logs say what was read, not what the machine did"
_SIGNED = "a sensor or a program that lies: {plc} signs what it holds, not what the machine did"
_NOT_PROVED = """\
            anything that no confirmed anchor covers yet: whoever holds a log's key could still rewrite it
            independence of the chain: a dev node run by the same people orders and keeps, it is no third party"""


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    if options.report is not None and looks_like_evidence(options.report):
        return proof.check_and_print(options)
    if options.node is not None:
        raise UsageError("--node goes with an evidence file", "name a file that `testbed prove` wrote")
    bench = bench_of(options)
    file = trust_of(options, bench)
    if not file.exists() and options.trust is None:
        _say_unchecked(file, as_json=options.json)
        return Verdict.INCONCLUSIVE.exit_code
    if options.against is not None:
        if options.record is not None or options.report is not None:
            raise UsageError("--against goes with neither --record nor a report", "leave one of them out")
        # Loaded by name, as commands are: only this needs what reads Parquet.
        return int(import_module("testbed.cli.against").check_and_print(bench, file, options))
    if options.since is not None or options.until is not None:
        raise UsageError("--from and --to go with --against", "name the file that is to hold that range")
    if options.log is not None and options.record is None:
        mend = "name a record of that log as well, such as --record cell 17"
        raise UsageError("--log goes with --record or --against", mend)
    if options.report is not None:
        if options.record is not None:
            raise UsageError("--record does not go with a report", "leave one of them out")
        with working(options.jobs) as work:
            return check_and_print(bench, file, options.report, work, as_json=options.json)
    begun = time.monotonic()
    with working(options.jobs) as work:
        checked = asyncio.run(audit(bench, file, work, options.witness))
    report = checked.report
    if options.record is not None:
        source, seq = options.record
        if not seq.isdecimal():
            raise UsageError(
                f"--record {source} {seq}: {seq!r} is no number", "name a source and a number, such as cell 17"
            )
        found = trace(checked, source, int(seq), options.log and bench.origin(options.log))
        if options.json:
            print(json.dumps({"verdict": report.verdict.value, **trace_as_json(found)}))
        else:
            print_findings(report.verdict, report.findings)
            print(trace_as_text(found, bench.tags))
        return report.verdict.exit_code
    if options.json:
        print(json.dumps({**_as_json(report), "not_checked": _not_checked(bench, report)}))
    else:
        print_report(bench, report, time.monotonic() - begun)
    return report.verdict.exit_code


def _say_unchecked(file: Path, *, as_json: bool) -> None:
    problem = f"there is no trust file {file}: nothing can be checked against nothing"
    mend = "name the auditor's with --trust, or make the bench ready with `testbed init`"
    if as_json:
        print(json.dumps({"verdict": Verdict.INCONCLUSIVE.value, "problem": problem, "mend": mend}))
    else:
        print(f"{Verdict.INCONCLUSIVE.value}  {near(problem)}\n  mend: {mend}")


def print_report(bench: Bench, report: Report, seconds: float) -> None:
    """The report for a person."""
    print_findings(report.verdict, report.findings)
    print()
    beside = _beside(report)
    for standing in report.standings:
        print(f"proved      {_standing(standing, newest=_is_newest_round(standing, report))}")
        for line in beside.pop(standing.role, []) if standing is _last_of(standing.role, report) else ():
            print(f"            {line}")
    for one in report.standings:
        if one.succeeds is not None:
            before, size = one.succeeds
            print(f"goes on     {one.origin} for {before}, which it trusts up to size {size}")
    for line in filter(None, map(_keys, report.standings)):
        print(f"keys        {line}")
    if report.kept:
        origin, index = report.kept[0]
        more = f", and {len(report.kept) - 1} more" if len(report.kept) > 1 else ""
        print(f"not erased  record {index} of {origin}{more}: a tombstone says that its body is gone, and it is there")
    for origin in _not_checked(bench, report):
        print(f"not checked {origin}: the trust file does not name it")
    chain = f"up to block {report.height}" if report.height is not None else "without a chain"
    print(f"            {_count(report.blocks, 'anchor')} checked {chain}{_gas(report)}")
    for line in signed_lines(report):
        print(line)
    for further in report.further:
        print(f"further     {_further(further)}")
    for line in witnessed_lines(report):
        print(line)
    print(f"evidence    {near(bench.data)}: logs and tiles by role, anchor/journal.jsonl   ({seconds:.1f} s)")
    print(f"not proved  {_unproved(report)}")
    print(_NOT_PROVED)


def _beside(report: Report) -> dict[LogRole, list[str]]:
    """What stands by the last log of each role: what it was compared with."""
    lines = {LogRole.TWIN: [f"{_count(report.replayed, 'twin record')} run again, byte for byte"]}
    if report.agreed:
        lines[LogRole.READER] = [f"{_count(report.agreed, 'scan')} read by two readers, the same"]
    if report.commands:
        changes, commands = _count(report.changes, "change"), _count(report.commands, "command")
        lines[LogRole.OPERATOR] = [f"{changes} of set-points and modes explained by {commands}"]
    return lines


def signed_lines(report: Report) -> list[str]:
    """How far the states of each PLC are signed: by itself, or by whoever read it."""
    lines = []
    for plc in dict.fromkeys(one.plc for one in report.standings if one.plc is not None):
        logs = [one for one in report.standings if one.plc == plc]
        by_it = [f"{one.signed} of {one.read} states of {one.origin}" for one in logs if one.signed is not None]
        others = [f"{one.states} states of {one.origin}" for one in logs if one.signed is None]
        if by_it:
            lines.append(f"at the source by {plc}: {', '.join(by_it)}")
        if others:
            lines.append(f"gateway-signed: {', '.join(others)}; the trust file has no key of {plc}")
    return [f"{'            ' if place else 'signed      '}{line}" for place, line in enumerate(lines)]


def _unproved(report: Report) -> str:
    """What is not proved of the states, by how far they are signed."""
    readers = [one for one in report.standings if one.role in (LogRole.GATEWAY, LogRole.READER)]
    if readers and all(one.signed is not None and one.signed == one.read for one in readers):
        return _SIGNED.format(plc=readers[0].plc)
    return _TWO_READERS if len(readers) > 1 else _ONE_READER


def _last_of(role: LogRole, report: Report) -> Standing:
    return [one for one in report.standings if one.role is role][-1]


def _is_newest_round(one: Standing, report: Report) -> bool:
    """Whether what is pending are receipts of one round only, and nothing is wrong with them."""
    found = any(finding.origin == one.origin for finding in report.findings)
    return one.role is LogRole.RECEIPTS and one.confirmed > 0 and one.pending <= len(report.standings) and not found


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _not_checked(bench: Bench, report: Report) -> list[str]:
    """Logs of the bench that the trust file does not name."""
    checked = {standing.origin for standing in report.standings}
    return [origin for name in bench.logs if (origin := bench.origin(name)) not in checked]


def _standing(one: Standing, *, newest: bool) -> str:
    states = f", {one.states} of them states" if one.states else ""
    missed = f", {_count(one.missed, 'scan')} missed by its own word" if one.missed else ""
    gone = f", {one.erased} erased" if one.erased else ""
    under = f"under {_count(one.anchors, 'anchor')}{states}{missed}"
    line = f"{one.origin}: {one.genuine} of {one.size} records{gone}, {under}"
    if one.pending <= 0:
        return line
    if newest:
        return f"{line}; {one.pending} of the newest round wait for the next one"
    since = "" if one.waiting_since_ns is None else f", the oldest for {time.time() - one.waiting_since_ns / 1e9:.0f} s"
    return f"{line}; {one.pending} pending{since}"


def _keys(one: Standing) -> str:
    """How often the key of a log changed, and where; "" where it never did."""
    if not one.key_changes:
        return ""
    what = "record" if len(one.key_changes) == 1 else "records"
    places = " and ".join(map(str, one.key_changes))
    return f"{one.origin}: {len(one.key_changes) + 1} keys, changed at {what} {places}"


def _further(one: FurtherStanding) -> str:
    where = f"chain {one.name}, up to block {one.height}" if one.height is not None else f"chain {one.name}, not read"
    sizes = ", ".join(f"{origin} {size}" for origin, size in one.confirmed.items()) or "nothing confirmed yet"
    return f"{where}: {_count(one.anchors, 'anchor')}; confirmed there: {sizes}"


def _gas(report: Report) -> str:
    if not report.blocks:
        return ""
    states = sum(one.states for one in report.standings)
    per_state = f", {report.gas / states:.0f} gas per state" if states else ""
    return f"; {report.gas / report.blocks:.0f} gas per anchor{per_state}"


def _as_json(report: Report) -> dict[str, object]:
    standings = [{**asdict(one), "role": one.role.value, "pending": one.pending} for one in report.standings]
    return {
        "verdict": report.verdict.value,
        "findings": findings_as_json(report.findings),
        "logs": standings,
        "replayed": report.replayed,
        "anchors": report.blocks,
        "height": report.height,
        "gas": report.gas,
        "agreed": report.agreed,
        "commands": report.commands,
        "changes": report.changes,
        "witnesses": report.witnesses,
        "witnessed": [asdict(one) for one in report.witnessed],
        "kept": [{"origin": origin, "index": index} for origin, index in report.kept],
        "further": [asdict(one) for one in report.further],
    }
