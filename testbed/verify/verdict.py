"""From evidence to verdict: runs every check, folds what follows from something else, and says how far it reaches."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations

from testbed.core.bodies import CONFIGURATION, PARAMETERS, Event, State, TwinRecord
from testbed.core.entry import Kind
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.core.tags import Tag
from testbed.record.schema import decode_tags, parameters_hash
from testbed.verify.beacons import check_beacons
from testbed.verify.chain import CheckedChain, check_chain, slot_of
from testbed.verify.commands import check_commands
from testbed.verify.evidence import Evidence, LogEvidence
from testbed.verify.log import CheckedLog, check_log
from testbed.verify.presence import check_presence
from testbed.verify.readers import check_agreement, check_overload
from testbed.verify.receipts import check_receipts
from testbed.verify.replay import ApprovedModel, Replayed, check_lag, replay
from testbed.verify.sides import side_of
from testbed.verify.silence import check_silence
from testbed.verify.trust import LogRole, Trust, TrustedLog


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one log was proved. size: records under its newest checkpoint; confirmed: of these, under an anchor;
    genuine: of the confirmed ones, those that are what was signed; states: of the genuine ones, states of a PLC.

    waiting_since_ns: receive time of the first state that no confirmed anchor covers, None where there is none.
    """

    origin: str
    role: LogRole
    size: int
    confirmed: int
    genuine: int
    states: int
    anchors: int
    waiting_since_ns: int | None

    @property
    def pending(self) -> int:
        return self.size - self.confirmed


@dataclass(frozen=True, slots=True)
class Report:
    """What a check concludes: the verdict, every finding, and how far each log was proved."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    standings: tuple[Standing, ...]
    replayed: int
    blocks: int
    height: int | None
    gas: int


@dataclass(frozen=True, slots=True)
class Checked:
    """Everything that was checked, for those who want to look at one record."""

    report: Report
    # Not in the repr: asyncio.run makes one of what it returns.
    logs: Mapping[str, CheckedLog] = field(repr=False)
    chain: CheckedChain


ModelMaker = Callable[[bytes, bytes, Sequence[Tag]], ApprovedModel | None]
"""(model hash, encoded parameters, tags) -> the model, ready to run; None where no such model is known."""


def check(trust: Trust, evidence: Evidence, make_model: ModelMaker) -> Checked:
    """Check everything that the trust file names. Pure: what could not be read is a finding, not an exception."""
    chain = check_chain(trust.chain, evidence)
    findings = list(chain.findings)
    logs: dict[str, CheckedLog] = {}
    # Twins first: what a twin noted of its source is a mirror of the source's leaf hashes.
    for trusted in sorted(trust.logs, key=lambda log: log.role is not LogRole.TWIN):
        found = evidence.logs.get(trusted.origin, LogEvidence(trusted.origin, problem="there is no such log"))
        mirror = _mirror(logs, trusted.origin)
        anchored = chain.anchored.get(trusted.origin, [])
        logs[trusted.origin] = check_log(trusted, trust.simulated, found, anchored, mirror)
    replayed, readers = 0, (LogRole.GATEWAY, LogRole.READER)
    for trusted in trust.logs:
        log = logs[trusted.origin]
        findings += log.findings
        if trusted.role in readers:
            findings += check_silence(log, trust.heartbeat_ns)
        if trusted.role is LogRole.TWIN and trusted.follows in logs:
            outcome = _check_twin(trust, log, logs[trusted.follows], make_model)
            replayed += outcome.records
            findings += outcome.findings
    findings += _check_blocks(trust, evidence, logs, chain)
    broken = {one.origin for one in findings if one.what in (What.FORKED, What.ROLLED_BACK)}
    findings += _check_readers(trust, [log for log in logs.values() if log.origin not in broken], evidence.reading_ns)
    standings = tuple(_standing(trusted, logs[trusted.origin], chain) for trusted in trust.logs)
    needed = {*readers, LogRole.TWIN}
    findings += [_unanchored(one) for one in standings if one.confirmed == 0 and one.role in needed]
    folded = _fold(findings)
    report = Report(
        verdict=_verdict(folded),
        findings=tuple(folded),
        standings=standings,
        replayed=replayed,
        blocks=chain.anchors,
        height=chain.height,
        gas=chain.gas,
    )
    return Checked(report, logs, chain)


def _mirror(logs: Mapping[str, CheckedLog], origin: str) -> dict[int, bytes]:
    return {
        ref.index: ref.leaf_hash
        for log in logs.values()
        for found in log.genuine.values()
        if isinstance(found.body, TwinRecord)
        for ref in found.body.inputs
        if ref.origin == origin
    }


def _check_twin(trust: Trust, twin: CheckedLog, source: CheckedLog, make_model: ModelMaker) -> Replayed:
    tags = _configured_tags(source)
    approved: dict[tuple[bytes, bytes], ApprovedModel | None] = {(m.hash, m.parameters): None for m in trust.models}
    for encoded in _events(twin, PARAMETERS):
        for known in trust.models:
            if tags is not None and parameters_hash(encoded) == known.parameters:
                approved[known.hash, known.parameters] = make_model(known.hash, encoded, tags)
    if not source.leaves:
        return Replayed()  # nothing is known of it, which is a finding of its own
    outcome = replay(twin, source, approved)
    outcome.findings += check_lag(twin, source, outcome.consumed, trust.twin_lag)
    return outcome


def _check_readers(trust: Trust, logs: Sequence[CheckedLog], reading_ns: int) -> list[Finding]:
    """What readers of one PLC say against each other, and against what was commanded.

    logs: without those that were forked or cut back, which speaks for itself.
    """
    findings: list[Finding] = []
    tags = {log.origin: found for log in logs if (found := _configured_tags(log)) is not None}
    readers = [log for log in logs if log.trusted.reads is not None and log.origin in tags]
    sides = [side_of(log, tags[log.origin]) for log in readers]
    # Of what a reader missed only another one speaks.
    for side in sides if len(sides) > 1 else ():
        findings += check_overload(side, trust.agreement)
    for one, other in combinations(sides, 2):
        if one.log.trusted.reads == other.log.trusted.reads:
            findings += check_agreement(one, other, trust.agreement).findings
            # One log is read before the other, and a reader goes on meanwhile.
            findings += check_presence(one.log, other.log, trust.heartbeat_ns + reading_ns)
    operators = [log for log in logs if log.trusted.role is LogRole.OPERATOR and log.leaves]
    for gateway in readers:
        for operator in operators:
            if gateway.trusted.role is LogRole.GATEWAY:
                findings += check_commands(gateway, operator, tags[gateway.origin], trust.commands).findings
    return findings


def _check_blocks(
    trust: Trust, evidence: Evidence, logs: Mapping[str, CheckedLog], chain: CheckedChain
) -> list[Finding]:
    """What receipts and beacons say of blocks. Where chain or journal are a finding, that speaks for what follows."""
    findings: list[Finding] = []
    known = {number: set(hashes) for number, hashes in chain.hashes.items()}
    for number, header in evidence.chain.blocks.items() if evidence.chain is not None else ():
        known.setdefault(number, set()).add(header.hash)
    sound = all(one.what not in (What.REWRITTEN, What.BEHIND, What.UNREACHABLE) for one in chain.findings)
    seen = evidence.chain if sound else None
    for log in logs.values():
        if log.trusted.role is LogRole.RECEIPTS:
            slot = partial(slot_of, trust.chain)
            found, proved = check_receipts(
                log, trust.chain, trust.logs, chain.accepted, seen, slot, settled=evidence.settled
            )
            findings += found
            for one in proved:
                known.setdefault(one.height, set()).add(one.block_hash)
    for log in logs.values():
        findings += check_beacons(log, trust.chain, known, seen.height if seen is not None else None)
    return findings


def _configured_tags(source: CheckedLog) -> tuple[Tag, ...] | None:
    """The tag list that the source's own configuration record holds, when it is the one that the trust file names."""
    for encoded in _events(source, CONFIGURATION):
        if hashlib.sha256(encoded).digest() == source.trusted.schema:
            return decode_tags(encoded)
    return None


def _events(log: CheckedLog, name: str) -> list[bytes]:
    bodies = (found.body for found in log.genuine.values() if found.entry.kind is Kind.EVENT)
    return [body.detail for body in bodies if isinstance(body, Event) and body.name == name]


def _standing(trusted: TrustedLog, log: CheckedLog, chain: CheckedChain) -> Standing:
    seen = chain.confirmed.get(trusted.origin, 0)
    confirmed = max((size for size in log.agreed if size <= seen), default=0)
    proved = [found for found in log.genuine.values() if found.index < confirmed]
    waiting = [
        found.body.receive_time_ns
        for found in log.genuine.values()
        if found.index >= confirmed and isinstance(found.body, State)
    ]
    return Standing(
        origin=trusted.origin,
        role=trusted.role,
        size=log.size,
        confirmed=confirmed,
        genuine=len(proved),
        states=sum(isinstance(found.body, State) for found in proved),
        anchors=len(chain.anchored.get(trusted.origin, [])),
        waiting_since_ns=min(waiting, default=None),
    )


def _unanchored(standing: Standing) -> Finding:
    detail = "no confirmed anchor covers any of its records yet"
    return Finding(What.UNANCHORED, Layer.ANCHOR, standing.origin, detail, Verdict.INCONCLUSIVE, standing.origin)


def _fold(findings: Sequence[Finding]) -> list[Finding]:
    """Drop what only repeats another finding.

    An unanchored log whose anchors are found false or missing already; a fork that a twin shows to the very record.
    """
    explained = {What.SUBSTITUTED, What.REWRITTEN, What.UNREACHABLE, What.BEHIND, What.FORKED, What.ROLLED_BACK}
    anchors = any(one.what in explained or (one.what is What.UNANCHORED and not one.origin) for one in findings)
    exact = {one.origin for one in findings if one.what is What.FORKED and one.index is not None}
    return [
        one
        for one in findings
        if not (one.what is What.UNANCHORED and one.origin and anchors)
        and not (one.what is What.FORKED and one.index is None and one.origin in exact)
    ]


def _verdict(findings: Sequence[Finding]) -> Verdict:
    for verdict in (Verdict.FALSIFIED, Verdict.INCONCLUSIVE):
        if any(one.verdict is verdict for one in findings):
            return verdict
    return Verdict.GENUINE
