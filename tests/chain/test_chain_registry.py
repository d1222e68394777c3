"""What the project says about the contract, held against the contract itself on a real node."""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.chain.artifact import load_artifact
from testbed.chain.registry import (
    AnchorCall,
    Anchored,
    address_of,
    anchor_calldata,
    anchor_transaction,
    anchored_event,
    commitment,
    contract_address,
    decode_anchor,
    deploy_transaction,
    explain,
    log_id,
    read_transaction,
    slot_key,
)
from testbed.chain.rpc import Node, Reverted
from testbed.core.errors import InvalidData

Replay = Callable[[Node, int], Awaitable[None]]
KEY = bytes([0x11]) * 32
CHAIN_ID = 31337
SIZE = st.integers(0, 2**64 - 1)
HASH = st.binary(min_size=32, max_size=32)
CALLS = st.builds(AnchorCall, st.text(max_size=80), SIZE, HASH, SIZE, SIZE, HASH, st.lists(HASH).map(tuple))


async def test_the_contract_stands_where_it_was_computed(node: Node, replay: Replay, recorded: dict[str, Any]) -> None:
    await replay(node, 1)
    contract = contract_address(address_of(KEY), 0)
    assert contract == recorded["contract"]
    assert await node.code(contract) == load_artifact().runtime
    assert await node.code_hash(contract) == load_artifact().code_hash


async def test_each_anchor_replaces_the_slot_and_tells(
    node: Node, calls: list[AnchorCall], recorded: dict[str, Any]
) -> None:
    submitter, contract = address_of(KEY), recorded["contract"]
    log = log_id(submitter, recorded["origin"])
    await node.wait_for_receipt(await node.send(deploy_transaction(KEY, CHAIN_ID, 0, load_artifact().bytecode)))
    assert await node.storage(contract, slot_key(log)) == bytes(32)
    time = 0
    for nonce, call in enumerate(calls, start=1):
        raw = anchor_transaction(KEY, CHAIN_ID, nonce, contract, replace(call, old_time=time))
        receipt = await node.wait_for_receipt(await node.send(raw))
        assert receipt.succeeded
        block = await node.block(receipt.block_number)
        assert block is not None
        time = block.timestamp
        assert anchored_event(receipt, contract) == Anchored(log, call.size, call.root, time)
        assert anchored_event(receipt, submitter) is None
        assert await node.storage(contract, slot_key(log)) == commitment(call.size, call.root, time)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"root": bytes(32)}, "the proof does not show that 3 leaves are a prefix of the 8"),
        ({"proof": ()}, "the proof does not show that 3 leaves are a prefix of the 8"),
        ({"size": 3}, "a head of 3 leaves does not grow one of 3"),
        ({"old_time": 5}, "the old values do not open the log's slot, which holds"),
        ({"origin": "bench.example/other"}, f"which holds {bytes(32).hex()}"),
    ],
)
async def test_a_wrong_anchor_is_refused_with_its_reason(
    node: Node,
    replay: Replay,
    calls: list[AnchorCall],
    recorded: dict[str, Any],
    change: dict[str, Any],
    reason: str,
) -> None:
    await replay(node, 4)
    submitter, contract = recorded["submitter"], recorded["contract"]
    slot = slot_key(log_id(submitter, recorded["origin"]))
    before = await node.storage(contract, slot)
    assert await node.simulate(submitter, contract, anchor_calldata(calls[3])) == b""
    wrong = replace(calls[3], **change)
    with pytest.raises(Reverted) as caught:
        await node.simulate(submitter, contract, anchor_calldata(wrong))
    assert reason in explain(caught.value.data)
    receipt = await node.wait_for_receipt(await node.send(anchor_transaction(KEY, CHAIN_ID, 4, contract, wrong)))
    assert not receipt.succeeded
    assert anchored_event(receipt, contract) is None
    assert await node.storage(contract, slot) == before


def test_an_unknown_refusal_is_said_to_be_unknown() -> None:
    assert "no data" in explain(b"")
    assert "cannot be read" in explain(bytes.fromhex("00000000")) or "known reason" in explain(bytes(4))


@given(CALLS)
def test_calldata_reads_back(call: AnchorCall) -> None:
    assert decode_anchor(anchor_calldata(call)) == call


@given(CALLS, st.data())
def test_calldata_has_one_form(call: AnchorCall, data: st.DataObject) -> None:
    raw = anchor_calldata(call)
    for wrong in (raw + b"\x00", raw + bytes(32), raw[:-32], raw[: data.draw(st.integers(0, len(raw) - 1))]):
        with pytest.raises(InvalidData):
            decode_anchor(wrong)
    place = data.draw(st.integers(0, len(raw) * 8 - 1))
    with contextlib.suppress(InvalidData):
        assert decode_anchor(flipped(raw, place)) != call


def test_transactions_are_the_same_bytes_each_time_and_name_their_sender(calls: list[AnchorCall]) -> None:
    contract = contract_address(address_of(KEY), 0)
    raw = anchor_transaction(KEY, CHAIN_ID, 1, contract, calls[0])
    assert raw == anchor_transaction(KEY, CHAIN_ID, 1, contract, calls[0])
    found = read_transaction(raw)
    assert (found.sender, found.chain_id, found.nonce, found.to, found.value) == (
        address_of(KEY),
        CHAIN_ID,
        1,
        contract,
        0,
    )
    assert decode_anchor(found.data) == calls[0]
    assert read_transaction(deploy_transaction(KEY, CHAIN_ID, 0, b"\x00")).to is None


@given(st.integers(0, 8 * 100 - 1))
def test_a_flipped_transaction_is_not_the_senders(place: int) -> None:
    raw = deploy_transaction(KEY, CHAIN_ID, 7, bytes(20))
    try:
        found = read_transaction(flipped(raw, place % (len(raw) * 8)))
    except InvalidData:
        return
    assert found.sender != address_of(KEY)


def test_no_transaction_in_other_bytes() -> None:
    for wrong in (b"", b"\x02", b"\x02\xc0", b"\x02\x80", deploy_transaction(KEY, 1, 0, b"") + b"\x00"):
        with pytest.raises(InvalidData):
            read_transaction(wrong)


def flipped(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place // 8] ^= 1 << place % 8
    return bytes(changed)
