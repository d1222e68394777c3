"""What logs say of the chain: receipts, which prove blocks, and beacons, which name them."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from testbed.chain.proofs import header_fields
from testbed.chain.receipts import ProvenReceipt
from testbed.chain.registry import commitment
from testbed.core.bodies import AnchorReceipt, Beacon, Genesis, State
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData
from testbed.core.finding import Finding, Layer, What
from testbed.verify.beacons import beacons_of, check_beacons
from testbed.verify.chain import CheckedChain
from testbed.verify.dated import check_dates
from testbed.verify.evidence import Evidence
from testbed.verify.log import CheckedLog
from testbed.verify.receipts import check_receipts
from testbed.verify.trust import LogRole, Trust


@dataclass(frozen=True, slots=True)
class CheckedBlocks:
    """findings; explained: those of the chain that follow from one of these."""

    findings: list[Finding]
    explained: list[Finding]


def check_blocks(
    trust: Trust, evidence: Evidence, logs: Mapping[str, CheckedLog], chain: CheckedChain, broken: Collection[str]
) -> CheckedBlocks:
    """What receipts and beacons say of blocks. Where chain or journal are a finding, that speaks for what follows.

    broken: origins of logs that were forked or cut back: what is false in their beacons is not the chain's.
    """
    known = {number: set(hashes) for number, hashes in chain.hashes.items()}
    for number, header in evidence.chain.blocks.items() if evidence.chain is not None else ():
        known.setdefault(number, set()).add(header.hash)
    sound = all(one.what not in (What.REWRITTEN, What.BEHIND, What.UNREACHABLE) for one in chain.findings)
    seen = evidence.chain if sound else None
    findings: list[Finding] = []
    proved: list[ProvenReceipt] = []
    keys = {origin: one.keys for origin, one in logs.items()}
    others = [log for log in logs.values() if log.origin not in broken]
    for log in logs.values():
        if log.trusted.role is LogRole.RECEIPTS:
            borne_out = _borne_out(log, others)
            found, of_log = check_receipts(
                log, trust.chain, keys, chain.accepted, seen, borne_out, settled=evidence.settled
            )
            findings += found
            proved += of_log
    for one in proved:
        known.setdefault(one.height, set()).add(one.block_hash)
    beacons: list[Finding] = []
    own_node = evidence.journal_head is not None and evidence.journal_head.node_version is not None
    for log in others:
        beacons += check_beacons(log, trust.chain, known, seen.height if seen is not None else None)
        if log.trusted.reads is not None and not (_is_simulated(log) and not own_node):
            findings += _check_dates(trust, log, chain)
    return CheckedBlocks([*findings, *_alike(beacons)], _explained(evidence, chain, findings, proved))


def _is_simulated(log: CheckedLog) -> bool:
    """Whether a virtual clock drove it: blocks of a network of others have the time of the wall."""
    first = log.genuine.get(0)
    return first is not None and isinstance(first.body, Genesis) and first.body.simulated


def _borne_out(receipts: CheckedLog, logs: Sequence[CheckedLog]) -> Callable[[bytes], bool]:
    """Whether another log than that of the receipts names a block, or one that stands on it."""

    @cache
    def named() -> set[bytes]:
        parents = dict(_headers(receipts))
        found: set[bytes] = set()
        for log in logs:
            for _, beacon in beacons_of(log) if log is not receipts else ():
                block: bytes | None = beacon.block_hash
                while block is not None and block not in found:
                    found.add(block)
                    block = parents.get(block)
        return found

    return lambda block_hash: block_hash in named()


def _headers(receipts: CheckedLog) -> Iterator[tuple[bytes, bytes]]:
    """(hash, parent's hash) of each block that a receipt shows."""
    for record in receipts.of(Kind.RECEIPT):
        if isinstance(record.body, AnchorReceipt):
            try:
                header = header_fields(record.body.header)
            except InvalidData:
                continue
            yield header.hash, header.parent_hash


def _alike(beacons: Sequence[Finding]) -> list[Finding]:
    """Logs that name the same block, which is not to be found, are one finding."""
    alike: dict[str, list[Finding]] = {}
    for one in beacons:
        alike.setdefault(one.detail.partition(";")[0], []).append(one)
    return [
        replace(first, detail="; so does ".join([first.detail, *(one.where for one in more)]))
        for first, *more in alike.values()
    ]


def _explained(
    evidence: Evidence, chain: CheckedChain, findings: Sequence[Finding], proved: Sequence[ProvenReceipt]
) -> list[Finding]:
    """Slots that hold what the last receipt proves: then it is the journal that was cut off, and that is a finding."""
    cut_off = any(one.what is What.ROLLED_BACK and one.layer is Layer.ANCHOR for one in findings)
    if not cut_off or evidence.chain is None:
        return []
    last = {one.origin: commitment(one.size, one.root, one.time) for one in proved}
    right = {origin for origin, slot in evidence.chain.slots.items() if last.get(origin) == slot}
    return [one for one in chain.findings if one.what is What.SUBSTITUTED and one.origin in right]


def _check_dates(trust: Trust, log: CheckedLog, chain: CheckedChain) -> list[Finding]:
    blocks = ((size, chain.held.get((log.origin, size))) for size in sorted(log.agreed))
    anchors = [(size, mined.timestamp) for size, mined in blocks if mined is not None]
    records = ((one.index, one.body) for one in log.of(Kind.STATE, Kind.BEACON) if isinstance(one.body, State | Beacon))
    return check_dates(log.origin, records, chain.times, anchors, trust.agreement.skew_ns)
