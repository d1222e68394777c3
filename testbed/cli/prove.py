"""`testbed prove`: one file with which a stranger checks a record, or a falsification, offline."""

import argparse
import asyncio
import json
from pathlib import Path

from testbed.cli.finding import findings_as_json
from testbed.cli.near import near
from testbed.cli.options import bench_of, trust_of
from testbed.core.errors import UsageError
from testbed.keys.evidence_file import EvidenceFile, encode_evidence
from testbed.rig.auditing import audit, auditor
from testbed.rig.bench import Bench
from testbed.rig.cose_export import cose_statement
from testbed.rig.cosigned import Witnesses
from testbed.rig.proof_check import check_proof
from testbed.rig.proof_of_finding import prove_finding
from testbed.rig.proving import Prover
from testbed.rig.trust import load_trust


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    bench = bench_of(options)
    trust = trust_of(options, bench)
    if options.trust is not None and not trust.exists():
        raise UsageError(f"{trust}: there is no trust file", "name the auditor's, or leave --trust out")
    file = _file(options, bench, trust)
    data = encode_evidence(file)
    statement = None if options.cose is None else cose_statement(bench, file)
    _write(options.out, data)
    if statement is not None:
        _write(options.cose, statement)
    checked = check_proof(file, trust, None) if trust.exists() else None
    if options.json:
        facts: dict[str, object] = {"file": str(options.out), "bytes": len(data), "claim": file.claim.value}
        found = [] if checked is None else checked.findings
        verdict = None if checked is None else checked.verdict.value
        about = {"origin": file.origin, "index": file.index}
        print(json.dumps({**facts, **about, "verdict": verdict, "findings": findings_as_json(found)}))
        return 0
    what = f"record {file.index} of {file.origin}" if file.index is not None else f"a fork of {file.origin}"
    print(f"proved      {what}, in {near(options.out)}: {len(data)} bytes")
    if statement is not None:
        print(f"statement   of the same record, in {near(options.cose)}: {len(statement)} bytes of COSE")
    if checked is not None:
        print(f"verdict     {checked.verdict.value} by {near(trust)}")
        for one in checked.findings:
            print(f"            {one.what.value}, layer {one.layer.value}: {one.where}: {one.detail}")
    print(f"check it with `testbed verify {near(options.out)} --trust {near(trust)}`")
    return 0


def _file(options: argparse.Namespace, bench: Bench, trust: Path) -> EvidenceFile:
    ways = [options.origin is not None, options.record is not None, options.finding is not None]
    if sum(ways) != 1 or (options.origin is None) != (options.index is None):
        raise UsageError(
            "say what to prove, in one way",
            "name ORIGIN and INDEX, such as gateway 17; or --record cell 17; or --finding 1",
        )
    if options.log is not None and options.record is None:
        raise UsageError("--log goes with --record", "name a record of that log as well, such as --record cell 17")
    if options.finding is not None:
        if not trust.exists():
            raise UsageError(f"{trust}: there is no trust file, so nothing is found", "name the auditor's with --trust")
        return prove_finding(bench, asyncio.run(audit(bench, trust)), options.finding)
    with Prover(bench, _witnesses(bench, trust)) as prover:
        if options.record is None:
            return prover.prove(options.origin, options.index)
        source, seq = options.record
        if not seq.isdecimal():
            mend = "name a source and a number, such as cell 17"
            raise UsageError(f"--record {source} {seq}: {seq!r} is no number", mend)
        return prover.prove(*prover.find(source, int(seq), options.log))


def _witnesses(bench: Bench, trust: Path) -> Witnesses | None:
    """Those that the trust file names, where there is one."""
    return Witnesses.of(bench, auditor(load_trust(trust))) if trust.exists() else None


def _write(path: Path, data: bytes) -> None:
    """A new file. Raises UsageError where one stands or none can be written."""
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        raise UsageError(f"{path}: a file stands here already", "name a new one") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}", "name a place that you may write to") from None
