"""Receipts of anchors: what a stranger needs to see that the contract accepted a checkpoint, and in which block.

A receipt rests on its block: whether the chain holds that block is another question, which a node, a beacon or a
witness answers.
"""

from dataclasses import dataclass

from testbed.chain.proofs import Header, header_fields, verify_receipt, verify_slot
from testbed.chain.registry import commitment
from testbed.chain.steps import Step
from testbed.core.bodies import AnchorReceipt
from testbed.core.errors import InvalidData, InvalidProof


@dataclass(frozen=True, slots=True)
class ProvenReceipt:
    """What a receipt proves: that the contract held size and root of the origin's checkpoint in this block.

    height, block_hash, time: of the block, time in s since 1970; alone: the transaction's receipt is proved as well, as
    the only one of its block.
    """

    origin: str
    size: int
    root: bytes
    height: int
    block_hash: bytes
    time: int
    alone: bool


def receipt_of(step: Step) -> AnchorReceipt:
    """The receipt of a step by which the contract accepted a checkpoint. Raises InvalidData for any other step.

    origin; checkpoint: the signed note, verbatim; header: RLP; slot_proof: RLP of [account proof nodes, storage proof
    nodes]; receipt_proof: the transaction's receipt (EIP-2718), which gives the receipts root by itself where the block
    holds nothing else; empty where it holds more.
    """
    anchored, mined = step.intent.anchored, step.mined
    if anchored is None or mined is None or mined.slot_proof is None or not step.anchors:
        raise InvalidData(f"step {step.intent.number}: no checkpoint was accepted by it")
    alone = mined.receipt if _is_alone(header_fields(mined.header), mined.receipt) else b""
    return AnchorReceipt(anchored.origin, anchored.note, mined.header, mined.slot_proof, alone)


def check_receipt(
    receipt: AnchorReceipt, contract: str, slot: bytes, code_hash: bytes, size: int, root: bytes
) -> ProvenReceipt:
    """What the receipt proves. size, root: of its checkpoint, which the caller has opened; slot: of its origin's log.

    Raises InvalidData or InvalidProof unless the header's state root proves that the contract with that code holds
    keccak256(size, root, time of the block) in the slot, and a receipt of the transaction is the block's only one.
    """
    header = header_fields(receipt.header)
    proven = verify_slot(header, contract, slot, receipt.slot_proof)
    if proven.code_hash != code_hash:
        raise InvalidProof("the contract under the header has other code")
    if not 0 <= size < 1 << 64 or proven.value != commitment(size, root, header.timestamp):
        raise InvalidProof(f"the slot under the header of block {header.number} holds another checkpoint")
    if receipt.receipt_proof:
        verify_receipt(header, receipt.receipt_proof)
    alone = bool(receipt.receipt_proof)
    return ProvenReceipt(receipt.origin, size, root, header.number, header.hash, header.timestamp, alone)


def _is_alone(header: Header, receipt: bytes) -> bool:
    try:
        verify_receipt(header, receipt)
    except InvalidProof:
        return False
    return True
