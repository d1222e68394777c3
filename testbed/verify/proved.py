"""From an evidence file to a verdict. Pure: no file, no node, no clock; the trust comes from the auditor alone."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from testbed.core.bodies import Genesis, State, Tombstone
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.core.tags import Tag
from testbed.keys.evidence_file import Claim, EvidenceFile, Fork
from testbed.merkle.proofs import verify_fork
from testbed.record.schema import decode_tags
from testbed.verify.across import ModelMaker
from testbed.verify.device import DeviceView, check_device
from testbed.verify.opened import OpenedRecord, Opener, refusal
from testbed.verify.proved_anchor import (
    AnchoredRecord,
    NodeAnswer,
    check_anchor,
    check_chain_word,
    logged_after,
)
from testbed.verify.proved_step import Material, check_step
from testbed.verify.trace import After
from testbed.verify.trust import LogRole, Trust, TrustedLog

_CLAIMED = {
    Claim.FORKED: (What.FORKED, Layer.LOG),
    Claim.DIVERGED: (What.DIVERGED, Layer.TWIN),
    Claim.UNAPPROVED: (What.UNAPPROVED, Layer.TWIN),
    Claim.SKIPPED: (What.SKIPPED, Layer.TWIN),
    Claim.INVENTED: (What.INVENTED, Layer.TWIN),
}
"""What must be found where a file claims a falsification."""


@dataclass(slots=True)
class Proved:
    """What a file shows.

    record: None where it does not prove itself; tags: what its values mean, empty where that is not proved;
    anchored: None where no anchor is shown; after: the block that its log knew before; replayed: a twin record that was
    run again; signed_by: the PLC that signed this very state, "" where none did; signers: keys, as text, whose
    signatures it rests on; node: the one that was asked, "" where none was; witnesses: how many are trusted.
    """

    claim: Claim
    origin: str
    index: int | None
    verdict: Verdict = Verdict.INCONCLUSIVE
    findings: list[Finding] = field(default_factory=list)
    record: OpenedRecord | None = None
    tags: tuple[Tag, ...] = ()
    anchored: AnchoredRecord | None = None
    after: After | None = None
    replayed: bool = False
    signed_by: str = ""
    signers: list[str] = field(default_factory=list)
    node: str = ""
    witnesses: int = 0


def check_evidence(
    file: EvidenceFile,
    trust: Trust,
    make_model: ModelMaker,
    node: NodeAnswer | None = None,
) -> Proved:
    """Check a file against what an auditor trusts.

    A file that shows a record is GENUINE where everything in it holds, FALSIFIED where a part does not, INCONCLUSIVE
    where something is not there. One that claims a falsification is FALSIFIED where it proves it, else INCONCLUSIVE.
    """
    result = Proved(file.claim, file.origin, file.index, witnesses=len(trust.witnesses))
    opener = Opener(trust, file.key_changes)
    if file.fork is not None:
        _check_fork(file.origin, file.fork, opener, result)
    else:
        _check_records(file, trust, opener, make_model, node, result)
    if file.claim is not Claim.RECORD:
        _judge_claim(file.claim, result)
    result.verdict = _verdict(result.findings)
    return result


def _check_fork(origin: str, fork: Fork, opener: Opener, result: Proved) -> None:
    try:
        smaller, larger = (opener.checkpoint(note, origin) for note in fork.checkpoints)
        one, other = smaller.checkpoint, larger.checkpoint
        verify_fork(one.size, one.root, other.size, other.root, fork.path)
    except InvalidData as error:
        result.findings.append(refusal(f"checkpoints of {origin}", origin, None, error))
        return
    result.signers = list(dict.fromkeys(found.signer.encode() for found in (smaller, larger)))
    detail = f"its key signed root {one.root.hex()} at this size"
    if one.size == other.size:
        detail += f", and root {other.root.hex()} as well"
    else:
        detail += f", and size {other.size} with root {other.root.hex()}, whose tree has another root there"
    where = f"checkpoint of {origin}, size {one.size}"
    result.findings.append(Finding(What.FORKED, Layer.LOG, where, detail, origin=origin))


def _check_records(
    file: EvidenceFile, trust: Trust, opener: Opener, make_model: ModelMaker, node: NodeAnswer | None, result: Proved
) -> None:
    records, result.findings = _open_all(file, opener)
    places = {(one.origin, one.index): one for one in records}
    subject = places.get((file.origin, file.index or 0))
    if subject is None:
        if not result.findings:
            where = f"record {file.index} of {file.origin}"
            result.findings.append(_open(What.MISSING, Layer.EVIDENCE, where, "this file does not hold it"))
        return
    trusted = opener.log(subject.origin)
    result.record = subject
    result.findings += _check_first(places.get((subject.origin, 0)), trusted, trust)
    result.tags, found = _tags(file.tags, subject, trusted, trust)
    result.findings += found
    _check_anchored(file, records, trust, opener, node, result)
    if isinstance(subject.body, State) and result.tags:
        _check_device(subject, subject.body, trusted, trust, result)
    if subject.entry.kind is Kind.TWIN and trusted.role is LogRole.TWIN:
        step = check_step(subject, trusted, Material(trust, places, file.tags, file.parameters, make_model))
        result.replayed = step.replayed
        result.findings += step.findings
    elif subject.body is None:
        where = f"record {subject.index} of {subject.origin}"
        why = _why_erased(subject, records, trust)
        detail = f"its body was erased{why}: that it was logged is shown, and not what it said"
        result.findings.append(_open(What.ERASED, Layer.STORE, where, detail))
    anchor = result.anchored
    used = [*records, *([anchor.receipt] if anchor is not None and anchor.receipt is not None else [])]
    result.signers = list(dict.fromkeys(one.signer.encode() for one in used))


def _check_device(subject: OpenedRecord, state: State, trusted: TrustedLog, trust: Trust, result: Proved) -> None:
    """A state of a PLC that signs is what it signed. One that says that the PLC was lost is nobody's to sign."""
    for device in trust.devices:
        if device.plc == trusted.reads:
            view = DeviceView(device.plc, device.key, result.tags)
            found = check_device(subject.origin, [(subject.index, state)], view)
            result.findings += found.findings
            result.signed_by = device.plc if found.signed(subject.index) else ""


def _why_erased(subject: OpenedRecord, records: Sequence[OpenedRecord], trust: Trust) -> str:
    """The operator's word for it, where the file holds his tombstone."""
    operators = [log.origin for log in trust.logs if log.role is LogRole.OPERATOR]
    place = (subject.origin, subject.index)
    for one in records:
        body = one.body
        if one.origin in operators and isinstance(body, Tombstone) and (body.origin, body.index) == place:
            return f" ({body.reason}; record {one.index} of {one.origin})"
    return ""


def _open_all(file: EvidenceFile, opener: Opener) -> tuple[list[OpenedRecord], list[Finding]]:
    """The records that prove themselves, and for each log the first that does not."""
    records: list[OpenedRecord] = []
    refused: dict[str, Finding] = {}
    for one in file.records:
        origin, index = one.place
        try:
            records.append(opener.record(one))
        except InvalidData as error:
            refused.setdefault(origin, refusal(f"record {index} of {origin}", origin, index, error))
    return records, list(refused.values())


def _check_first(first: OpenedRecord | None, trusted: TrustedLog, trust: Trust) -> list[Finding]:
    """The log's first record says which log it is, of which tag list, and whether a real clock drove it."""
    where, origin = f"record 0 of {trusted.origin}", trusted.origin
    if first is None:
        return [
            _open(What.MISSING, Layer.IDENTITY, where, "this file does not hold it: what log this is, is not shown")
        ]
    body = first.body
    if not isinstance(body, Genesis) or body.log != origin or body.schema != trusted.schema:
        detail = "it is not the beginning of this log with the tag list that the trust file names"
        return [Finding(What.UNAPPROVED, Layer.IDENTITY, where, detail, origin=origin, index=0)]
    if body.simulated and not trust.simulated:
        detail = "the records come from a virtual clock and a seed; the trust file allows no simulated bench"
        return [_open(What.SIMULATED, Layer.IDENTITY, where, detail)]
    return []


def _tags(
    encoded: bytes | None, subject: OpenedRecord, trusted: TrustedLog, trust: Trust
) -> tuple[tuple[Tag, ...], list[Finding]]:
    """The tag list, which counts by its hash: that of the subject's log, or of the log that a twin follows."""
    if encoded is None:
        return (), []
    schemas = {log.schema for log in trust.logs if log.origin in (subject.origin, trusted.follows)}
    where = f"tag list of {subject.origin}"
    if hashlib.sha256(encoded).digest() not in schemas:
        return (), [refusal(where, subject.origin, None, InvalidData("it is not the one that the trust file names"))]
    try:
        return decode_tags(encoded), []
    except InvalidData as error:
        return (), [refusal(where, subject.origin, None, error)]


def _check_anchored(
    file: EvidenceFile,
    records: Sequence[OpenedRecord],
    trust: Trust,
    opener: Opener,
    node: NodeAnswer | None,
    result: Proved,
) -> None:
    subject = result.record
    if subject is None:
        return
    if file.anchor is None:
        where = f"record {subject.index} of {subject.origin}"
        detail = "pending: no receipt of an anchor that covers it is in this file"
        result.findings.append(_open(What.UNANCHORED, Layer.ANCHOR, where, detail))
        return
    found = check_anchor(file.anchor, subject, trust, opener)
    if isinstance(found, Finding):
        result.findings.append(found)
        return
    result.anchored = found
    result.node = node.url if node is not None else ""
    result.findings += check_chain_word(trust.chain, found, node)
    result.after, wrong = logged_after(records, subject, file.blocks, found, trust.chain)
    result.findings += wrong


def _judge_claim(claim: Claim, result: Proved) -> None:
    """Leave what the file claims, where it proves it; else say that it does not, and why."""
    false = [one for one in result.findings if one.verdict is Verdict.FALSIFIED]
    proved = [one for one in false if (one.what, one.layer) == _CLAIMED[claim]]
    against = [one for one in false if one not in proved]
    if proved and not against:
        result.findings = proved
        return
    why = next((f": {one.where}: {one.detail}" for one in (*against, *result.findings)), ": all of it holds")
    index = "" if result.index is None else f"record {result.index} of "
    detail = f"this file claims that it is {claim.value}, and does not prove it{why}"
    result.findings = [_open(What.MISSING, Layer.EVIDENCE, f"{index}{result.origin}", detail)]


def _open(what: What, layer: Layer, where: str, detail: str) -> Finding:
    return Finding(what, layer, where, detail, Verdict.INCONCLUSIVE)


def _verdict(findings: Sequence[Finding]) -> Verdict:
    for verdict in (Verdict.FALSIFIED, Verdict.INCONCLUSIVE):
        if any(one.verdict is verdict for one in findings):
            return verdict
    return Verdict.GENUINE
