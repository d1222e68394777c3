"""From evidence to verdict: runs every check, folds what follows from something else, and says how far it reaches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from testbed.core.bodies import Genesis, State
from testbed.core.entry import Kind
from testbed.core.errors import LogChanged
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.verify.across import ModelMaker, check_devices, check_readers, check_twin
from testbed.verify.blocks import check_blocks
from testbed.verify.chain import CheckedChain, check_chain
from testbed.verify.device import CheckedDevice
from testbed.verify.evidence import Evidence, LogEvidence
from testbed.verify.folding import bodies_in_runs, fold
from testbed.verify.further import FurtherStanding, anchored_there, check_further, standings_of
from testbed.verify.log import CheckedLog, check_log
from testbed.verify.noted import Noted
from testbed.verify.receipted import receipted
from testbed.verify.silence import check_silence
from testbed.verify.successors import check_successors
from testbed.verify.tombstones import explain_erased, graves_of
from testbed.verify.trust import LogRole, Trust, TrustedLog
from testbed.verify.witnessed import Witnessed, check_witnesses
from testbed.verify.work import ALONE, Work


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one log was proved. size: records under its newest checkpoint; confirmed: of these, under an anchor;
    genuine: of the confirmed ones, those that are what was signed; states: of the genuine ones, states of a PLC.

    waiting_since_ns: receive time of the first state that no confirmed anchor covers, None where there is none; missed:
    scans that a reader missed by its own word; key_changes: indices of the first record under each further key;
    erased: records whose bodies the operator had erased; plc: whose states they are; signed: how many of the genuine
    ones the PLC itself signed as they are, None where the trust file has no key of it; read: of how many, since a state
    that says that the PLC was lost is nobody's to sign; succeeds: origin and size of the log that this one goes on for.
    """

    origin: str
    role: LogRole
    size: int
    confirmed: int
    genuine: int
    states: int
    anchors: int
    waiting_since_ns: int | None
    missed: int = 0
    key_changes: tuple[int, ...] = ()
    erased: int = 0
    plc: str | None = None
    signed: int | None = None
    read: int = 0
    succeeds: tuple[str, int] | None = None

    @property
    def pending(self) -> int:
        return self.size - self.confirmed


@dataclass(frozen=True, slots=True)
class Report:
    """What a check concludes: the verdict, every finding, and how far each log was proved.

    replayed: twin records that were run again; agreed: scans of which two readers say the same; changes: of what a
    person may set, that logged commands explain; commands: that a gateway knew of; blocks: anchors that were checked;
    kept: records, by origin and index, whose bodies are still there under a tombstone; further: how far each further
    chain goes; witnesses: how many are trusted; witnessed: how far they cosigned each log.
    """

    verdict: Verdict
    findings: tuple[Finding, ...]
    standings: tuple[Standing, ...]
    replayed: int
    blocks: int
    height: int | None
    gas: int
    agreed: int = 0
    commands: int = 0
    changes: int = 0
    kept: tuple[tuple[str, int], ...] = ()
    further: tuple[FurtherStanding, ...] = ()
    witnesses: int = 0
    witnessed: tuple[Witnessed, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """Everything that was checked, for those who want to look at one record.

    devices: by origin of the log that they were read into, PLCs that sign.
    """

    report: Report
    # Not in the repr: asyncio.run makes one of what it returns.
    logs: Mapping[str, CheckedLog] = field(repr=False)
    chain: CheckedChain
    devices: Mapping[str, CheckedDevice] = field(repr=False)


def check(trust: Trust, evidence: Evidence, make_model: ModelMaker, work: Work = ALONE) -> Checked:
    """Check everything that the trust file names. What could not be read is a finding, not an exception."""
    while True:
        try:
            return _check(trust, evidence, make_model, work)
        except LogChanged as error:
            # It was whole when its check began, and another check has to go on from it.
            lost = LogEvidence(error.origin, problem=error.problem)
            evidence = replace(evidence, logs={**evidence.logs, error.origin: lost})


def _check(trust: Trust, evidence: Evidence, make_model: ModelMaker, work: Work) -> Checked:
    chain = check_chain(trust.chain, evidence)
    further, found_further = check_further(trust, evidence)
    findings = [*chain.findings, *found_further]
    agreed: dict[str, tuple[int, ...]] = {}
    logs: dict[str, CheckedLog] = {}
    # Receipts first, which hold checkpoints of all others; then twins: what one noted of its source is a mirror of the
    # source's leaf hashes.
    order = {LogRole.RECEIPTS: 0, LogRole.TWIN: 1}
    for trusted in sorted(trust.logs, key=lambda log: order.get(log.role, 2)):
        found = evidence.logs.get(trusted.origin, LogEvidence(trusted.origin, problem="there is no such log"))
        mirror = Noted(list(logs.values()), trusted.origin)
        first = chain.anchored.get(trusted.origin, [])
        anchored = [*first, *anchored_there(further, trusted.origin)]
        revoked = [one for one in trust.revoked if one.key.name == trusted.origin]
        receipts = [log for log in logs.values() if log.trusted.role is LogRole.RECEIPTS]
        shown = receipted(receipts, trusted.origin)
        log = check_log(trusted, trust.simulated, found, anchored, mirror, work, trust.root, revoked, shown)
        logs[trusted.origin] = log
        # What is proved rests on the first chain; the others bear witness against a log, and are listed beside it.
        agreed[log.origin], sizes = log.agreed, {one.size for one in first}
        log.agreed = tuple(size for size in log.agreed if size in sizes)
    replayed, readers = 0, (LogRole.GATEWAY, LogRole.READER)
    for trusted in trust.logs:
        log = logs[trusted.origin]
        findings += [*log.located, *log.findings]
        if trusted.role in readers:
            findings += check_silence(log, trust.heartbeat_ns)
        if trusted.role is LogRole.TWIN and trusted.follows in logs:
            outcome = check_twin(trust, log, logs[trusted.follows], make_model)
            replayed += outcome.records
            findings += outcome.findings
    findings += check_successors(trust, logs)
    broken = {one.origin for one in findings if one.what in (What.FORKED, What.ROLLED_BACK)}
    blocks = check_blocks(trust, evidence, logs, chain, broken)
    findings = [one for one in findings if one not in blocks.explained] + blocks.findings
    devices = check_devices(trust, logs.values(), work.crew)
    findings += [one for device in devices.values() for one in device.findings]
    whole = [log for log in logs.values() if log.origin not in broken]
    said = check_readers(trust, whole, evidence.reading_ns, devices)
    findings += said.findings
    witnessed = check_witnesses(
        trust, evidence.logs, {origin: log for origin, log in logs.items() if origin not in broken}
    )
    findings += witnessed.findings
    standings = tuple(
        _standing(trusted, logs[trusted.origin], chain, said.missed.get(trusted.origin, 0), devices.get(trusted.origin))
        for trusted in trust.logs
    )
    needed = {*readers, LogRole.TWIN}
    findings += [_unanchored(one) for one in standings if one.confirmed == 0 and one.role in needed]
    graves = graves_of(logs.values(), {one.origin: one.confirmed for one in standings})
    erasures = explain_erased(fold(findings), logs, graves)
    folded = bodies_in_runs(erasures.findings)
    standings = tuple(replace(one, erased=erasures.erased.get(one.origin, 0)) for one in standings)
    report = Report(
        verdict=_verdict(folded),
        findings=tuple(folded),
        standings=standings,
        replayed=replayed,
        blocks=chain.anchors,
        height=chain.height,
        gas=chain.gas,
        agreed=said.agreed,
        commands=said.commands,
        changes=said.changes,
        kept=erasures.kept,
        further=standings_of(further, agreed),
        witnesses=witnessed.trusted,
        witnessed=witnessed.logs,
    )
    return Checked(report, logs, chain, devices)


def _standing(
    trusted: TrustedLog, log: CheckedLog, chain: CheckedChain, missed: int, device: CheckedDevice | None
) -> Standing:
    seen = chain.confirmed.get(trusted.origin, 0)
    confirmed = max((size for size in log.agreed if size <= seen), default=0)
    waiting = (
        found.body.receive_time_ns for found in log.of(Kind.STATE, since=confirmed) if isinstance(found.body, State)
    )
    return Standing(
        origin=trusted.origin,
        role=trusted.role,
        size=log.size,
        confirmed=confirmed,
        genuine=log.count(0, confirmed),
        states=log.count(0, confirmed, Kind.STATE),
        anchors=len(chain.anchored.get(trusted.origin, [])),
        waiting_since_ns=min(waiting, default=None),
        missed=missed,
        key_changes=tuple(change.first for change in log.keys.changes),
        plc=trusted.reads,
        signed=None if device is None else device.signed_below(confirmed),
        read=0 if device is None else device.states.below(confirmed),
        succeeds=_before(log),
    )


def _before(log: CheckedLog) -> tuple[str, int] | None:
    first = log.genuine.get(0)
    before = first.body.predecessor if first is not None and isinstance(first.body, Genesis) else None
    return None if before is None else (before.origin, before.size)


def _unanchored(standing: Standing) -> Finding:
    detail = "no confirmed anchor covers any of its records yet"
    return Finding(What.UNANCHORED, Layer.ANCHOR, standing.origin, detail, Verdict.INCONCLUSIVE, standing.origin)


def _verdict(findings: Sequence[Finding]) -> Verdict:
    for verdict in (Verdict.FALSIFIED, Verdict.INCONCLUSIVE):
        if any(one.verdict is verdict for one in findings):
            return verdict
    return Verdict.GENUINE
