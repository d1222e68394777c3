"""Headers, slots and receipts are judged by their hashes, whoever hands them over."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.chain import ethrlp, wire
from testbed.chain.artifact import load_artifact
from testbed.chain.proofs import Header, header_fields, verify_receipt, verify_slot, verify_transaction
from testbed.chain.registry import commitment, decode_anchor, log_id, read_transaction, slot_key
from testbed.chain.rpc import Node
from testbed.core.errors import ChainError, InvalidData, InvalidProof

Replay = Callable[[Node, int], Awaitable[None]]
SEED = st.integers(0, 2**31)


def header_of(block: dict[str, Any]) -> Header:
    return header_fields(bytes.fromhex(block["header"]))


def proof_of(block: dict[str, Any]) -> bytes:
    return bytes.fromhex(block["proof"])


def slot_of(recorded: dict[str, Any]) -> bytes:
    return slot_key(log_id(recorded["submitter"], recorded["origin"]))


def test_the_headers_are_a_chain_from_genesis(recorded: dict[str, Any]) -> None:
    before = bytes.fromhex(recorded["genesis_hash"])
    for height, block in enumerate(recorded["blocks"], start=1):
        header = header_of(block)
        assert header.parent_hash == before
        assert (header.number, header.timestamp, header.hash.hex()) == (height, block["timestamp"], block["hash"])
        before = header.hash


def test_the_slot_holds_what_was_anchored(recorded: dict[str, Any]) -> None:
    slot = slot_of(recorded)
    for block in recorded["blocks"]:
        header = header_of(block)
        proven = verify_slot(header, recorded["contract"], slot, proof_of(block))
        assert proven.code_hash == load_artifact().code_hash
        transaction = read_transaction(bytes.fromhex(block["transaction"]))
        assert transaction.sender == recorded["submitter"]
        if transaction.to is None:
            assert proven.value == bytes(32)
        else:
            call = decode_anchor(transaction.data)
            assert proven.value == commitment(call.size, call.root, header.timestamp)


def test_each_block_holds_its_one_receipt_and_transaction(recorded: dict[str, Any]) -> None:
    blocks = recorded["blocks"]
    for block, other in zip(blocks, [*blocks[1:], blocks[0]], strict=True):
        header = header_of(block)
        verify_receipt(header, bytes.fromhex(block["receipt"]))
        verify_transaction(header, bytes.fromhex(block["transaction"]))
        with pytest.raises(InvalidProof):
            verify_receipt(header, bytes.fromhex(other["receipt"]))
        with pytest.raises(InvalidProof):
            verify_transaction(header, bytes.fromhex(other["transaction"]))


def test_a_proof_for_another_block_slot_or_contract_fails(recorded: dict[str, Any]) -> None:
    slot, blocks = slot_of(recorded), recorded["blocks"]
    header, proof = header_of(blocks[2]), proof_of(blocks[2])
    verify_slot(header, recorded["contract"], slot, proof)
    for wrong in (
        (header_of(blocks[3]), recorded["contract"], slot, proof),
        (header, recorded["submitter"], slot, proof),
        (header, recorded["contract"], slot, proof_of(blocks[3])),
    ):
        with pytest.raises(InvalidProof):
            verify_slot(*wrong)
    # The same nodes show that no other slot holds anything.
    assert verify_slot(header, recorded["contract"], bytes(32), proof).value == bytes(32)


def test_a_proof_with_a_node_less_or_more_fails(recorded: dict[str, Any]) -> None:
    slot, block = slot_of(recorded), recorded["blocks"][2]
    right = ethrlp.decode(proof_of(block), "proof")
    assert not isinstance(right, bytes)
    for place in (0, 1):
        nodes = right[place]
        assert not isinstance(nodes, bytes)
        for wrong in (nodes[:-1], nodes[1:], [*nodes, b"\x80"], [*nodes, nodes[-1]], []):
            lists = [wrong, right[1]] if place == 0 else [right[0], wrong]
            with pytest.raises(InvalidProof):
                verify_slot(header_of(block), recorded["contract"], slot, ethrlp.encode(lists))
    verify_slot(header_of(block), recorded["contract"], slot, ethrlp.encode(right))


@given(st.integers(0, 4), SEED)
def test_one_flipped_bit_of_a_slot_proof_fails(recorded: dict[str, Any], which: int, seed: int) -> None:
    block = recorded["blocks"][which]
    with pytest.raises(InvalidProof):
        verify_slot(header_of(block), recorded["contract"], slot_of(recorded), flipped(proof_of(block), seed))


@given(st.integers(0, 4), SEED, st.sampled_from(["receipt", "transaction"]))
def test_one_flipped_bit_of_a_receipt_or_transaction_fails(
    recorded: dict[str, Any], which: int, seed: int, what: str
) -> None:
    block = recorded["blocks"][which]
    raw = flipped(bytes.fromhex(block[what]), seed)
    with pytest.raises(InvalidProof):
        (verify_receipt if what == "receipt" else verify_transaction)(header_of(block), raw)


@given(st.integers(0, 4), SEED)
def test_one_flipped_bit_of_a_header_is_another_block(recorded: dict[str, Any], which: int, seed: int) -> None:
    block = recorded["blocks"][which]
    try:
        header = header_fields(flipped(bytes.fromhex(block["header"]), seed))
    except InvalidData:
        return
    assert header.hash.hex() != block["hash"]


@given(st.integers(0, 4), st.binary(min_size=1, max_size=40))
def test_a_header_has_one_form(recorded: dict[str, Any], which: int, tail: bytes) -> None:
    raw = bytes.fromhex(recorded["blocks"][which]["header"])
    for wrong in (raw + tail, raw[: -len(tail)], tail):
        with pytest.raises(InvalidData):
            header_fields(wrong)


def test_a_header_with_odd_fields_is_none(recorded: dict[str, Any]) -> None:
    raw = bytes.fromhex(recorded["blocks"][0]["header"])
    items = ethrlp.decode(raw, "header")
    assert not isinstance(items, bytes)
    assert header_fields(ethrlp.encode(items)).number == 1
    for place, value in (
        (0, bytes(31)),
        (3, bytes(33)),
        (8, b"\x00\x01"),
        (11, b"\x01" * 33),
        (2, b""),
        (4, [b"", b""]),
    ):
        wrong = [*items[:place], value, *items[place + 1 :]]
        with pytest.raises(InvalidData):
            header_fields(ethrlp.encode(wrong))


def test_deeply_nested_bytes_are_refused_and_not_followed() -> None:
    nested = b"\xc0"
    for _ in range(3000):
        nested = ethrlp_list(nested)
    with pytest.raises(InvalidData):
        header_fields(nested)


@pytest.mark.parametrize(
    "proof",
    [
        b"",
        b"\x80",
        b"\xc0",
        b"\xc2\xc0\x80",
        b"\xc2\x80\xc0",
        b"\xc3\xc1\xc0\xc0",
        b"\xc3\xc0\xc0\xc0",
        b"\xc2\xc0\xc0",
    ],
)
def test_other_bytes_than_two_lists_of_nodes_fail(recorded: dict[str, Any], proof: bytes) -> None:
    block = recorded["blocks"][1]
    with pytest.raises(InvalidProof):
        verify_slot(header_of(block), recorded["contract"], slot_of(recorded), proof)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        {"accountProof": ["0x80"]},
        {"accountProof": ["0x80"], "storageProof": []},
        {"accountProof": ["0x80"], "storageProof": [{"proof": []}, {"proof": []}]},
        {"accountProof": ["0x80"], "storageProof": [None]},
        {"accountProof": ["0x80"], "storageProof": [{}]},
        {"accountProof": ["80"], "storageProof": [{"proof": []}]},
        {"accountProof": [1], "storageProof": [{"proof": []}]},
        {"accountProof": "0x80", "storageProof": [{"proof": []}]},
        {"accountProof": ["0x80"], "storageProof": [{"proof": ["0x8"]}]},
    ],
)
def test_an_answer_that_is_no_proof_of_one_slot_is_not_taken(answer: object) -> None:
    assert wire.slot_proof({"accountProof": ["0x80"], "storageProof": [{"proof": []}]}) == bytes.fromhex("c4c28180c0")
    with pytest.raises(ChainError):
        wire.slot_proof(answer)


async def test_a_slot_overwritten_behind_the_chains_back_shows(
    node: Node, replay: Replay, recorded: dict[str, Any]
) -> None:
    await replay(node, 2)
    contract, slot = recorded["contract"], slot_of(recorded)
    block = await node.block("latest")
    assert block is not None
    header = header_fields(block.header_rlp)
    before = verify_slot(header, contract, slot, await node.proof(contract, slot))
    await node.set_storage(contract, slot, flipped(before.value, 0))
    assert await node.storage(contract, slot) != before.value
    with pytest.raises(InvalidProof):
        verify_slot(header, contract, slot, await node.proof(contract, slot))


def flipped(data: bytes, seed: int) -> bytes:
    place = seed % (len(data) * 8)
    changed = bytearray(data)
    changed[place // 8] ^= 1 << place % 8
    return bytes(changed)


def ethrlp_list(payload: bytes) -> bytes:
    """RLP of a list whose items are encoded already."""
    if len(payload) < 56:
        return bytes([0xC0 + len(payload)]) + payload
    size = ethrlp.integer(len(payload))
    return bytes([0xF7 + len(size)]) + size + payload
