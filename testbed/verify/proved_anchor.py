"""What an evidence file shows of the chain, without a node: the anchor over a record, and the block before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from testbed.chain.proofs import Header, header_fields
from testbed.chain.receipts import ProvenReceipt
from testbed.core.bodies import AnchorReceipt, Beacon
from testbed.core.errors import InvalidData, InvalidProof
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.keys.evidence_file import ProvedAnchor, ProvedRecord
from testbed.merkle.proofs import verify_consistency
from testbed.record.bodies import encode_body
from testbed.verify.opened import OpenedRecord, Opener, refusal
from testbed.verify.receipts import prove_receipt
from testbed.verify.trace import After
from testbed.verify.trust import LogRole, Trust, TrustedChain


@dataclass(frozen=True, slots=True)
class AnchoredRecord:
    """An anchor that covers a record. receipt: the record of the receipts' log, None where no such log is trusted."""

    proven: ProvenReceipt
    header: Header
    receipt: OpenedRecord | None


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """What a node of the auditor's choice said. problem: why it said nothing, "" where it did.

    genesis, block: hashes of block 0 and of the one at the anchor's height, None where it has none there.
    """

    url: str
    problem: str = ""
    chain_id: int = 0
    genesis: bytes = b""
    height: int = 0
    block: bytes | None = None


def check_anchor(anchor: ProvedAnchor, subject: OpenedRecord, trust: Trust, opener: Opener) -> AnchoredRecord | Finding:
    """The anchor, where all of it holds by itself: signature, slot, receipt, and one tree with the subject's."""
    where = f"anchor over record {subject.index} of {subject.origin}"
    try:
        accepted = opener.checkpoint(anchor.checkpoint, subject.origin).checkpoint
        body = AnchorReceipt(subject.origin, anchor.checkpoint, anchor.header, anchor.slot_proof, anchor.receipt_proof)
        receipt = _receipt_record(anchor, body, trust, opener)
    except InvalidData as error:
        return refusal(where, subject.origin, None, error)
    try:
        proven = prove_receipt(body, trust.chain, accepted)
    except InvalidData as error:
        detail = f"it does not prove what it says: {error}"
        return Finding(What.SUBSTITUTED, Layer.ANCHOR, where, detail, origin=subject.origin)
    if subject.index >= accepted.size:
        return refusal(where, subject.origin, None, InvalidProof(f"size {accepted.size} does not cover it"))
    older, newer = sorted((accepted, subject.checkpoint), key=lambda one: one.size)
    try:
        verify_consistency(older.size, older.root, newer.size, newer.root, anchor.path)
    except InvalidProof as error:
        return refusal(where, subject.origin, None, error)
    return AnchoredRecord(proven, header_fields(anchor.header), receipt)


def _receipt_record(anchor: ProvedAnchor, body: AnchorReceipt, trust: Trust, opener: Opener) -> OpenedRecord | None:
    """The record that holds the receipt, in the receipts' log that is trusted; raises InvalidData for any other."""
    logs = [log.origin for log in trust.logs if log.role is LogRole.RECEIPTS]
    if not logs:
        return None
    record = ProvedRecord(anchor.entry, anchor.salt, encode_body(body), anchor.proof)
    if record.place[0] not in logs:
        raise InvalidProof(f"{record.place[0]} is not a log of receipts that the trust file names")
    found = opener.record(record)
    if found.entry.source != body.origin:
        raise InvalidProof(f"its receipt speaks of {found.entry.source}")
    return found


def check_chain_word(trusted: TrustedChain, found: AnchoredRecord, node: NodeAnswer | None) -> list[Finding]:
    """Whether somebody says that the anchor's block stands on the chain: a node, else the receipts' log."""
    height, where = found.proven.height, f"block {found.proven.height}"
    if node is None:
        if found.receipt is None:
            return [_open(where, "the trust file names no log of receipts, and no node was asked: use --node URL")]
        if trusted.confirmations > 1:
            detail = f"the trust file asks for {trusted.confirmations} confirmations, which only a node can say"
            return [_open(where, f"{detail}: use --node URL")]
        return []
    if node.problem:
        return [_open(where, f"{node.url} was asked: {node.problem}")]
    if (node.chain_id, node.genesis) != (trusted.chain_id, trusted.genesis):
        said = f"{node.url} is on chain {node.chain_id} with genesis {node.genesis.hex()}, which is not the trusted one"
        return [_open(where, said)]
    if node.block is None:
        detail = f"{node.url} ends at block {node.height}"
        return [Finding(What.BEHIND, Layer.CHAIN, where, detail, Verdict.INCONCLUSIVE)]
    if node.block != found.proven.block_hash:
        said = f"{node.url} has block {node.block.hex()} there; the anchor, whose header and proofs hold, is of block"
        return [Finding(What.REWRITTEN, Layer.CHAIN, where, f"{said} {found.proven.block_hash.hex()}")]
    if node.height - height + 1 < trusted.confirmations:
        detail = f"{node.height - height + 1} of {trusted.confirmations} confirmations"
        return [Finding(What.UNANCHORED, Layer.CHAIN, where, detail, Verdict.INCONCLUSIVE)]
    return []


def _open(where: str, detail: str) -> Finding:
    return Finding(What.UNREACHABLE, Layer.CHAIN, where, detail, Verdict.INCONCLUSIVE)


def logged_after(
    records: Sequence[OpenedRecord],
    subject: OpenedRecord,
    blocks: Sequence[bytes],
    anchored: AnchoredRecord,
    trusted: TrustedChain,
) -> tuple[After | None, list[Finding]]:
    """The block that the newest beacon before the subject names, and what is wrong with it.

    blocks: headers, RLP, from that block up to the parent of the anchor's: linked, or refused.
    """
    before = [one for one in records if one.origin == subject.origin and one.index < subject.index]
    beacons = [(one, one.body) for one in before if isinstance(one.body, Beacon)]
    where = f"blocks before record {subject.index} of {subject.origin}"
    if not beacons:
        return None, [_stray(where, "they are there without the beacon that names one")] if blocks else []
    record, beacon = beacons[-1]
    wrong = ""
    if beacon.chain_id != trusted.chain_id:
        wrong = f"it names chain {beacon.chain_id}, and {trusted.chain_id} is trusted"
    elif beacon.number >= anchored.proven.height:
        wrong = (
            f"it names block {beacon.number}, and what stands behind it was anchored in block {anchored.proven.height}"
        )
    if wrong:
        place = f"record {record.index} of {record.origin}"
        return None, [Finding(What.REWRITTEN, Layer.CHAIN, place, wrong, origin=record.origin, index=record.index)]
    if not blocks:
        return After(beacon.number, None), []
    try:
        headers = [header_fields(block) for block in blocks]
    except InvalidData as error:
        return None, [_stray(where, str(error))]
    chain = [*headers, anchored.header]
    linked = all(
        (below.hash, below.number + 1) == (above.parent_hash, above.number) for below, above in pairwise(chain)
    )
    if not linked or (headers[0].hash, headers[0].number) != (beacon.block_hash, beacon.number):
        return None, [_stray(where, "the headers do not lead from the beacon's block to the anchor's")]
    return After(beacon.number, headers[0].timestamp), []


def _stray(where: str, detail: str) -> Finding:
    return Finding(What.ALTERED, Layer.EVIDENCE, where, detail)
