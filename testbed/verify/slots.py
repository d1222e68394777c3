"""Checks the contract's slots: each holds what was accepted last of its log, or nothing where nothing was."""

from collections.abc import Sequence

from testbed.chain.proofs import Header, ProvenSlot, verify_absent, verify_slot
from testbed.chain.registry import commitment
from testbed.chain.steps import Step
from testbed.core.errors import InvalidData
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.verify.evidence import ChainEvidence
from testbed.verify.steps import CheckedSteps
from testbed.verify.trust import TrustedChain


def check_slots(
    trusted: TrustedChain, journal: CheckedSteps, steps: Sequence[Step], chain: ChainEvidence, *, own_node: bool
) -> list[Finding]:
    """Of a network of others slots and code count as they are proved under the newest block: what a node says of them
    without a proof is neither right nor wrong.
    """
    findings: list[Finding] = []
    slots, code_hash, unknown = (chain.slots, chain.code_hash, "") if own_node else _proved(trusted, chain)
    if unknown:
        findings.append(_open(What.UNREACHABLE, Layer.CHAIN, f"block {chain.height}", unknown))
    if code_hash is not None and code_hash != trusted.code_hash:
        detail = f"the code at {trusted.contract} hashes to {code_hash.hex()}, not to what is trusted"
        findings.append(Finding(What.SUBSTITUTED, Layer.ANCHOR, f"contract {trusted.contract}", detail))
    # Of an account that another one follows the slot is not looked at any more.
    last = {
        one.anchoring.origin: (one.mined, one.anchoring)
        for one in journal.proven
        if one.anchoring is not None and one.sender.lower() == trusted.newest_account(one.anchoring.origin).lower()
    }
    newest = {
        step.intent.anchored.origin: step for step in steps if step.intent.anchored is not None and not step.dropped
    }
    for origin, found in slots.items():
        mined, anchoring = last.get(origin, (None, None))
        right = bytes(32)
        if mined is not None and anchoring is not None:
            right = commitment(anchoring.size, anchoring.root, mined.timestamp)
        if found == right or origin in journal.doubtful:
            continue
        step = newest.get(origin)
        if step is not None and step.mined is None and step.intent.anchored is not None:
            # Sent, and mined before the journal could say so: the anchor goes on from here when it starts again.
            meant, time = step.intent.anchored, step.intent.timestamp
            if time is not None and found == commitment(meant.size, meant.root, time):
                continue
            if time is None:
                detail = f"step {step.intent.number} of the journal is open: start the anchor once to close it"
                findings.append(_open(What.UNANCHORED, Layer.ANCHOR, f"slot of {origin}", detail))
                continue
        size = anchoring.size if anchoring is not None else 0
        accepted = f"what it accepted in block {mined.height}" if mined is not None else "anything in the journal"
        detail = f"the contract holds {found.hex()}, which is not the commitment to {accepted}"
        if not own_node:
            detail += f": who holds the submitter's key anchored something else; up to size {size} it is this log"
        where = f"slot of {origin}, size {size}"
        findings.append(Finding(What.SUBSTITUTED, Layer.ANCHOR, where, detail, origin=origin))
    for origin, step in journal.unproven.items():
        detail = f"the node had no proof of step {step.intent.number} any more: the log's next anchor has one"
        findings.append(_open(What.MISSING, Layer.ANCHOR, f"slot of {origin}", detail))
    return findings


def _proved(trusted: TrustedChain, chain: ChainEvidence) -> tuple[dict[str, bytes], bytes | None, str]:
    """The slots that are proved under the newest block, the code hash of the contract, and why not everything is."""
    slots: dict[str, bytes] = {}
    code_hash: bytes | None = None
    unknown = ""
    header = chain.blocks.get(chain.height)
    if header is None or header.hash != chain.head:
        return slots, code_hash, "the node does not show its newest block twice"
    for origin, proof in chain.proofs.items():
        try:
            proven = _proved_slot(header, trusted.contract, trusted.newest_slot(origin), proof)
        except InvalidData as error:
            unknown = f"the node does not prove what the contract holds of {origin}: {error}"
            continue
        slots[origin] = bytes(32) if proven is None else proven.value
        code_hash = None if proven is None else proven.code_hash
    return slots, code_hash, unknown


def _proved_slot(header: Header, contract: str, slot: bytes, proof: bytes) -> ProvenSlot | None:
    """What is proved of a slot; None where no contract stands there, which is proved as well. Raises InvalidData."""
    try:
        return verify_slot(header, contract, slot, proof)
    except InvalidData:
        verify_absent(header, contract, proof)
        return None


def _open(what: What, layer: Layer, where: str, detail: str) -> Finding:
    return Finding(what, layer, where, detail, Verdict.INCONCLUSIVE)
