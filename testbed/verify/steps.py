"""Checks the journal of a chain against itself: what its steps say counts only where their proofs hold."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from testbed.chain import ethrlp
from testbed.chain.proofs import header_fields, verify_receipt, verify_slot, verify_transaction
from testbed.chain.registry import commitment, decode_anchor, read_transaction
from testbed.chain.steps import Anchoring, Mined, Step
from testbed.core.errors import InvalidData
from testbed.core.finding import Finding, Layer, What
from testbed.verify.trust import TrustedChain, slot_of


class Proven(NamedTuple):
    """A mined step whose proofs hold. settled: by the journal's word its block is not taken back any more; sender: the
    account that sent it.
    """

    mined: Mined
    anchoring: Anchoring | None
    settled: bool
    sender: str


@dataclass(slots=True)
class CheckedSteps:
    """What the journal proves: every mined step whose proofs hold, and of all anchors how many and their gas.

    doubtful: origins whose newest step proves nothing, so that what their slot should hold is not known; unproven: of
    these, the ones whose newest anchor has no proof, as the node had none to give any more.
    """

    proven: list[Proven] = field(default_factory=list)
    accepted: list[tuple[Anchoring, Mined]] = field(default_factory=list)
    doubtful: set[str] = field(default_factory=set)
    unproven: dict[str, Step] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def check_steps(trusted: TrustedChain, steps: Sequence[Step], *, own_node: bool) -> CheckedSteps:
    """Check every step that was mined. own_node: a block of the bench's own node holds one transaction."""
    result = CheckedSteps()
    for step in steps:
        if step.mined is None:
            continue
        anchoring = step.intent.anchored
        if anchoring is not None and step.anchors and not step.proved and not own_node:
            # The next anchor of the log proves this one with it, as the contract saw that the log only grew.
            result.doubtful.add(anchoring.origin)
            result.unproven[anchoring.origin] = step
            continue
        try:
            _check_claims(step, step.mined, own_node=own_node)
            if step.mined.succeeded:
                sender = _prove(trusted, step, step.mined, own_node=own_node)
                result.proven.append(Proven(step.mined, anchoring, step.settled, sender))
        except InvalidData as error:
            where = f"step {step.intent.number} of the journal, block {step.mined.height}"
            result.findings.append(Finding(What.SUBSTITUTED, Layer.ANCHOR, where, f"its proofs do not hold: {error}"))
            result.doubtful |= {anchoring.origin} if anchoring is not None else set()
            continue
        if anchoring is not None and step.mined.succeeded:
            result.accepted.append((anchoring, step.mined))
            result.doubtful.discard(anchoring.origin)
            result.unproven.pop(anchoring.origin, None)
    return result


def _check_claims(step: Step, mined: Mined, *, own_node: bool) -> None:
    """Raises InvalidData where the journal says more than its proofs: old values, gas, or a failure that was none."""
    anchoring = step.intent.anchored
    if anchoring is not None:
        call = decode_anchor(read_transaction(step.sent).data)
        old = (anchoring.old_size, anchoring.old_root, anchoring.old_time)
        if (call.old_size, call.old_root, call.old_time) != old:
            raise InvalidData("the transaction names other old values")
    if own_node:
        verify_receipt(header_fields(mined.header), mined.receipt)
        fields = ethrlp.decode(mined.receipt[1:], "receipt")
        # The block's one transaction used all of its cumulative gas.
        if isinstance(fields, bytes) or fields[1] != ethrlp.integer(mined.gas_used):
            raise InvalidData("the receipt names other gas")


def _prove(trusted: TrustedChain, step: Step, mined: Mined, *, own_node: bool) -> str:
    """Who sent it. Raises InvalidData unless header, transaction, receipt and slot of a step belong together.

    Where others send as well, header and slot speak.
    """
    header = header_fields(mined.header)
    if header.hash != mined.block_hash or header.number != mined.height or header.timestamp != mined.timestamp:
        raise InvalidData("the header is not that of the block")
    anchoring, transaction = step.intent.anchored, read_transaction(step.sent)
    right = trusted.everybody
    if anchoring is not None:
        right = frozenset(one.lower() for one in trusted.accounts(anchoring.origin, anchoring.size))
    if transaction.hash != mined.tx_hash or transaction.sender.lower() not in right:
        raise InvalidData("the transaction is not the submitter's")
    if own_node:
        verify_transaction(header, step.sent)
        verify_receipt(header, mined.receipt)
    if anchoring is None:
        return transaction.sender
    call = decode_anchor(transaction.data)
    if (call.origin, call.size, call.root) != (anchoring.origin, anchoring.size, anchoring.root):
        raise InvalidData("the transaction anchors something else")
    if (transaction.to or "").lower() != trusted.contract.lower():
        raise InvalidData("the transaction goes to another contract")
    if mined.slot_proof is None:
        raise InvalidData("there is no proof of the slot")
    slot = slot_of(transaction.sender, anchoring.origin)
    proof = verify_slot(header, trusted.contract, slot, mined.slot_proof)
    if proof.value != commitment(anchoring.size, anchoring.root, header.timestamp):
        raise InvalidData("the slot under the header holds something else")
    if proof.code_hash != trusted.code_hash:
        raise InvalidData("the contract under the header has other code")
    return transaction.sender
