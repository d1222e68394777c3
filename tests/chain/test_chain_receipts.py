"""A receipt proves its anchor to a stranger who has nothing but it and what he trusts; one bit off, it does not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.chain import ethrlp
from testbed.chain.artifact import load_artifact
from testbed.chain.proofs import header_fields
from testbed.chain.receipts import ProvenReceipt, check_receipt, receipt_of
from testbed.chain.registry import decode_anchor, log_id, read_transaction, slot_key
from testbed.chain.steps import Anchoring, Intent, Mined, Step
from testbed.core.bodies import AnchorReceipt
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData
from testbed.record.bodies import decode_body, encode_body

NOTE = b"the signed note, verbatim"
SEED = st.integers(0, 2**31)
ANCHORS = st.integers(1, 4)


def step_of(recorded: dict[str, Any], which: int) -> Step:
    block = recorded["blocks"][which]
    raw, header_rlp = bytes.fromhex(block["transaction"]), bytes.fromhex(block["header"])
    header, transaction = header_fields(header_rlp), read_transaction(raw)
    anchored = None
    if transaction.to is not None:
        call = decode_anchor(transaction.data)
        anchored = Anchoring(call.origin, call.old_size, call.old_root, call.old_time, call.size, call.root, NOTE)
    proof = bytes.fromhex(block["proof"]) if anchored is not None else None
    return Step(
        Intent(which, header.number, header.parent_hash, header.timestamp, raw, anchored),
        Mined(
            number=which,
            height=header.number,
            block_hash=header.hash,
            header=header_rlp,
            timestamp=header.timestamp,
            gas_used=block["gas_used"],
            tx_hash=transaction.hash,
            slot_proof=proof,
            receipt=bytes.fromhex(block["receipt"]),
        ),
    )


def checked(recorded: dict[str, Any], which: int, receipt: AnchorReceipt, **other: Any) -> ProvenReceipt:  # noqa: ANN401
    anchored = step_of(recorded, which).intent.anchored
    assert anchored is not None
    right: dict[str, Any] = {
        "contract": recorded["contract"],
        "slot": slot_key(log_id(recorded["submitter"], receipt.origin)),
        "code_hash": load_artifact().code_hash,
        "size": anchored.size,
        "root": anchored.root,
    }
    return check_receipt(receipt, **{**right, **other})


@pytest.mark.parametrize("which", [1, 2, 3, 4])
def test_a_receipt_proves_its_anchor(recorded: dict[str, Any], which: int) -> None:
    step = step_of(recorded, which)
    receipt = receipt_of(step)
    assert step.mined is not None
    assert step.intent.anchored is not None
    anchored, mined = step.intent.anchored, step.mined
    assert (receipt.origin, receipt.checkpoint) == (recorded["origin"], NOTE)
    assert checked(recorded, which, receipt) == ProvenReceipt(
        recorded["origin"], anchored.size, anchored.root, which + 1, mined.block_hash, mined.timestamp, alone=True
    )
    body = encode_body(receipt)
    assert decode_body(Kind.RECEIPT, body) == receipt


def flipped(data: bytes, seed: int) -> bytes:
    changed = bytearray(data)
    changed[seed % len(data)] ^= 1 << seed % 8
    return bytes(changed)


@given(ANCHORS, SEED)
def test_one_flipped_bit_of_its_proofs_proves_nothing(recorded: dict[str, Any], which: int, seed: int) -> None:
    receipt = receipt_of(step_of(recorded, which))
    for wrong in (
        replace(receipt, slot_proof=flipped(receipt.slot_proof, seed)),
        replace(receipt, receipt_proof=flipped(receipt.receipt_proof, seed)),
    ):
        with pytest.raises(InvalidData):
            checked(recorded, which, wrong)


@given(ANCHORS, SEED)
def test_one_flipped_bit_of_its_header_is_another_block(recorded: dict[str, Any], which: int, seed: int) -> None:
    receipt = receipt_of(step_of(recorded, which))
    try:
        proven = checked(recorded, which, replace(receipt, header=flipped(receipt.header, seed)))
    except InvalidData:
        return
    assert proven.block_hash.hex() != recorded["blocks"][which]["hash"]


@given(ANCHORS, SEED, st.sampled_from(["slot", "code_hash", "root"]))
def test_one_flipped_bit_of_what_is_trusted_proves_nothing(
    recorded: dict[str, Any], which: int, seed: int, part: str
) -> None:
    receipt = receipt_of(step_of(recorded, which))
    anchored = step_of(recorded, which).intent.anchored
    assert anchored is not None
    right = {
        "slot": slot_key(log_id(recorded["submitter"], receipt.origin)),
        "code_hash": load_artifact().code_hash,
        "root": anchored.root,
    }[part]
    with pytest.raises(InvalidData):
        checked(recorded, which, receipt, **{part: flipped(right, seed)})


@given(ANCHORS, st.integers(-(2**70), 2**70))
def test_another_size_proves_nothing(recorded: dict[str, Any], which: int, size: int) -> None:
    step = step_of(recorded, which)
    assert step.intent.anchored is not None
    if size != step.intent.anchored.size:
        with pytest.raises(InvalidData):
            checked(recorded, which, receipt_of(step), size=size)


def test_another_log_s_contract_s_or_block_s_receipt_proves_nothing(recorded: dict[str, Any]) -> None:
    receipt, other = receipt_of(step_of(recorded, 2)), receipt_of(step_of(recorded, 3))
    with pytest.raises(InvalidData):
        checked(recorded, 2, replace(receipt, origin="bench.example/other"))
    with pytest.raises(InvalidData):
        checked(recorded, 2, receipt, contract=recorded["submitter"])
    for wrong in (
        other,
        replace(receipt, header=other.header),
        replace(receipt, slot_proof=other.slot_proof),
        replace(receipt, receipt_proof=other.receipt_proof),
    ):
        with pytest.raises(InvalidData):
            checked(recorded, 2, wrong)


def test_without_its_block_to_itself_a_receipt_goes_without_the_transaction_s(recorded: dict[str, Any]) -> None:
    step = step_of(recorded, 2)
    assert step.mined is not None
    # As on a network of others: more than this one under the receipts root.
    fields = ethrlp.decode(step.mined.header, "header")
    header = ethrlp.encode([*fields[:5], bytes(32), *fields[6:]])
    beside = replace(step, mined=replace(step.mined, header=header, block_hash=header_fields(header).hash))
    receipt = receipt_of(beside)
    assert receipt.receipt_proof == b""
    assert not checked(recorded, 2, receipt).alone
    with pytest.raises(InvalidData):
        checked(recorded, 2, replace(receipt, receipt_proof=step.mined.receipt))


def failed(step: Step) -> Step:
    assert step.mined is not None
    fields = ethrlp.decode(step.mined.receipt[1:], "receipt")
    receipt = step.mined.receipt[:1] + ethrlp.encode([b"", *fields[1:]])
    return replace(step, mined=replace(step.mined, receipt=receipt))


@pytest.mark.parametrize(
    "without",
    [
        failed,
        lambda step: replace(step, mined=None),
        lambda step: replace(step, intent=replace(step.intent, anchored=None)),
        lambda step: replace(step, mined=replace(step.mined, slot_proof=None)),
        lambda step: replace(step, mined=replace(step.mined, receipt=b"")),
    ],
)
def test_only_an_anchor_has_a_receipt(recorded: dict[str, Any], without: Callable[[Step], Step]) -> None:
    step = step_of(recorded, 3)
    assert step.anchors
    receipt_of(step)
    with pytest.raises(InvalidData):
        receipt_of(without(step))
