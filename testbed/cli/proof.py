"""`testbed verify FILE`: what an evidence file proves, offline, against a trust file that does not come with it."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from testbed.cli.finding import findings_as_json, print_findings
from testbed.cli.near import near
from testbed.cli.options import bench_file, bench_of, trust_of
from testbed.cli.tracing import logged, utc
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData, UsageError
from testbed.core.finding import Verdict
from testbed.keys.evidence_file import Claim
from testbed.outward.record_words import body_lines
from testbed.rig.proof_check import check_proof, read_evidence
from testbed.verify.opened import OpenedRecord
from testbed.verify.proved import Proved
from testbed.verify.proved_anchor import AnchoredRecord

_NO_TRUST = "without a trust file nothing is known of any key: evidence brings no trust of its own"


def check_and_print(options: argparse.Namespace) -> int:
    """Check the file that `options.report` names; returns the exit code."""
    if options.record is not None:
        raise UsageError("--record does not go with an evidence file", "leave one of them out")
    path: Path = options.report
    try:
        file = read_evidence(path)
    except InvalidData as error:
        return _unchecked(options, f"{path} is damaged: {error}", "ask for it anew from who made it")
    trust = _trust(options)
    if trust is None:
        return _unchecked(options, _NO_TRUST, "name the auditor's with --trust")
    found = check_proof(file, trust, options.node)
    if options.json:
        print(json.dumps(_as_json(found)))
    else:
        print_findings(found.verdict, found.findings)
        print()
        for line in _lines(found):
            print(line)
    return found.verdict.exit_code


def _trust(options: argparse.Namespace) -> Path | None:
    """The trust file that is meant; None where none is named, nor a bench that has one."""
    if options.trust is not None:
        return Path(options.trust)
    if bench_file(options) is None:
        return None
    found = trust_of(options, bench_of(options))
    return found if found.exists() else None


def _unchecked(options: argparse.Namespace, problem: str, mend: str) -> int:
    if options.json:
        print(json.dumps({"verdict": Verdict.INCONCLUSIVE.value, "problem": problem, "mend": mend}))
    else:
        print(f"{Verdict.INCONCLUSIVE.value}  {near(problem)}\n  mend: {mend}")
    return Verdict.INCONCLUSIVE.exit_code


def _lines(found: Proved) -> Iterator[str]:
    record, anchored = found.record, found.anchored
    if record is not None:
        entry = record.entry
        place = f"{record.index} of {record.origin}"
        yield f"record      {place}: {entry.kind.name.lower()} {entry.seq} of {entry.source}"
        if record.body is not None:
            tags = found.tags if entry.kind is Kind.STATE else ()
            yield from (f"              {line}" for line in body_lines(record.body, tags))
        yield f"leaf        {record.leaf.hex()}"
        yield f"checkpoint  {record.origin}, size {record.checkpoint.size}, root {record.checkpoint.root.hex()}"
        if found.witnesses:
            yield f"witnessed   by {len(record.cosignatures)} of {found.witnesses}"
        for one in record.cosignatures:
            yield f"            {one.witness.encode()}, {utc(one.time)}"
    if record is not None and anchored is not None:
        yield from _anchor(anchored)
        height, time = anchored.proven.height, anchored.proven.time
        yield f"logged      {logged(found.after, (height, time))}"
    for head, line in zip(["keys       ", *[" " * 11] * len(found.signers)], found.signers, strict=False):
        yield f"{head} {line}"
    for head, line in zip(["checked    ", *[" " * 11] * 9], _checked(found), strict=False):
        yield f"{head} {line}"
    for head, line in zip(["not proved ", *[" " * 11] * 9], _not_proved(found), strict=False):
        yield f"{head} {line}"


def _anchor(anchored: AnchoredRecord) -> Iterator[str]:
    proven = anchored.proven
    yield f"anchored    size {proven.size}, root {proven.root.hex()}"
    yield f"block       {proven.height}, 0x{proven.block_hash.hex()}, {utc(proven.time)}"
    if anchored.receipt is not None:
        yield f"            as record {anchored.receipt.index} of {anchored.receipt.origin} says"


def _checked(found: Proved) -> Iterator[str]:
    """What was held against what, layer by layer."""
    record, anchored = found.record, found.anchored
    if found.claim is Claim.FORKED:
        yield "log: both checkpoints bear the log's signature, and no tree holds both"
    if record is None:
        return
    if record.body is not None:
        yield "store: the body opens the commitment in its entry"
    if found.signed_by:
        yield f"plc: {found.signed_by} signed this very state with a key of its own"
    size = record.checkpoint.size
    yield f"log: the entry is leaf {record.index} under a checkpoint of {size} records that its key signed"
    if found.replayed:
        yield "twin: the approved model, run again from its inputs, gives this very record"
    if anchored is not None:
        also = " and the transaction's receipt" if anchored.proven.alone else ""
        yield f"anchor: one tree holds both sizes; slot{also} under the block's header show the anchored one"
    if found.node:
        yield f"chain: {found.node} was asked for the block"


def _not_proved(found: Proved) -> Iterator[str]:
    record, anchored = found.record, found.anchored
    if found.claim is Claim.FORKED:
        yield "which of the two logs was shown to whom"
        return
    if record is None:
        yield "anything: what is in this file does not hold"
        return
    if anchored is not None and not found.node:
        yield (
            f"that block {anchored.proven.height} stands on the chain: compare its hash, or ask a node with --node URL;"
            " offline the receipts' log alone says so"
        )
    if found.signed_by:
        yield f"that sensors tell the truth: {found.signed_by} signs what it holds, not what the machine did"
    elif record.entry.kind is Kind.STATE:
        yield "that the reader was told the truth: its log says what it read, not what the machine did"
    if record.entry.kind is Kind.STATE and not found.tags:
        yield "what its values mean: the file holds no tag list that the trust file names"
    if record.entry.kind is Kind.TWIN:
        yield "that the records before it follow as well: this is one step"
    if record.entry.kind is Kind.ADVISORY:
        yield "that it follows from its inputs: such a record cannot be run again"
    yield "anything of other records: `testbed verify --bench` checks a bench as a whole"


def _as_json(found: Proved) -> dict[str, object]:
    record, anchored = found.record, found.anchored
    return {
        "verdict": found.verdict.value,
        "findings": findings_as_json(found.findings),
        "claim": found.claim.value,
        "origin": found.origin,
        "index": found.index,
        "record": None if record is None else _record_as_json(record, found),
        "anchor": None
        if anchored is None
        else {
            "size": anchored.proven.size,
            "root": anchored.proven.root.hex(),
            "block": anchored.proven.height,
            "hash": anchored.proven.block_hash.hex(),
            "time": anchored.proven.time,
            "receipt": None if anchored.receipt is None else anchored.receipt.index,
        },
        "logged_after": None if found.after is None else {"number": found.after.block, "time": found.after.time},
        "replayed": found.replayed,
        "signed_by": found.signed_by or None,
        "keys": found.signers,
        "witnesses": found.witnesses,
        "node": found.node or None,
        "checked": list(_checked(found)),
        "not_proved": list(_not_proved(found)),
    }


def _record_as_json(record: OpenedRecord, found: Proved) -> dict[str, object]:
    said = [] if record.body is None else body_lines(record.body, found.tags if record.entry.kind is Kind.STATE else ())
    return {
        "kind": record.entry.kind.name.lower(),
        "source": record.entry.source,
        "seq": record.entry.seq,
        "body": None if record.data is None else record.data.hex(),
        "leaf": record.leaf.hex(),
        "said": said,
        "checkpoint": {"size": record.checkpoint.size, "root": record.checkpoint.root.hex()},
        "witnesses": [{"name": one.witness.name, "time": one.time} for one in record.cosignatures],
    }
