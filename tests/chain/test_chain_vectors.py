"""Proofs of one language, judged by the other: the contract by Python's trees on a real node, Python by Solidity's."""

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from testbed.chain.artifact import load_artifact
from testbed.chain.registry import (
    AnchorCall,
    address_of,
    anchor_calldata,
    anchor_transaction,
    contract_address,
    deploy_transaction,
    explain,
    log_id,
)
from testbed.chain.rpc import Node, Reverted
from testbed.core.errors import InvalidProof
from testbed.merkle.proofs import verify_consistency, verify_inclusion
from testbed.merkle.tree import Tree, leaf_hash

VECTORS = Path(__file__).parents[2] / "contracts" / "test" / "vectors"
KEY = bytes([0x11]) * 32
SUBMITTER = address_of(KEY)
CONTRACT = contract_address(SUBMITTER, 0)
CHAIN_ID = 31337
_INCLUDED = ("bytes32", "uint64", "bytes32", "uint64", "bytes32", "uint64", "bytes32[]")


@pytest.fixture(scope="module")
def solidity() -> dict[str, Any]:
    """What contracts/test/Vectors.t.sol writes: one tree, its prefixes and its leaves."""
    found: dict[str, Any] = json.loads((VECTORS / "solidity.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def leaves(solidity: dict[str, Any]) -> list[bytes]:
    seed = solidity["seed"].to_bytes(32, "big")
    return [leaf_hash(seed + index.to_bytes(32, "big")) for index in range(solidity["size"])]


def hashes(texts: Sequence[str]) -> list[bytes]:
    return [bytes.fromhex(text.removeprefix("0x")) for text in texts]


def flips(path: Sequence[bytes], *others: bytes) -> list[tuple[list[bytes], list[bytes]]]:
    """(path, others) with one bit flipped: one case for each hash, the bit by its place."""
    cases = []
    for place in range(len(path) + len(others)):
        changed = [*path, *others]
        changed[place] = flipped(changed[place], 37 * place)
        cases.append((changed[: len(path)], changed[len(path) :]))
    return cases


def flipped(data: bytes, bit: int) -> bytes:
    bit %= len(data) * 8
    return bytes(byte ^ (1 << bit % 8 if place == bit // 8 else 0) for place, byte in enumerate(data))


def refused(check: Callable[..., None], *arguments: object) -> bool:
    try:
        check(*arguments)
    except InvalidProof:
        return True
    return False


def test_python_makes_the_trees_that_solidity_makes(solidity: dict[str, Any], leaves: list[bytes]) -> None:
    tree, size = Tree(leaves), solidity["size"]
    assert [tree.root(n) for n in range(1, size + 1)] == hashes(solidity["roots"])
    assert [tree.consistency_path(old, size) for old in range(1, size)] == [*map(hashes, solidity["consistency"])]
    assert [tree.inclusion_path(i, size) for i in range(size)] == [*map(hashes, solidity["inclusion"])]


def test_python_accepts_the_proofs_that_solidity_makes_and_no_flipped_one(
    solidity: dict[str, Any], leaves: list[bytes]
) -> None:
    size, roots = solidity["size"], hashes(solidity["roots"])
    for old, texts in enumerate(solidity["consistency"], start=1):
        path = hashes(texts)
        verify_consistency(old, roots[old - 1], size, roots[-1], path)
        for wrong, (old_root, root) in flips(path, roots[old - 1], roots[-1]):
            assert refused(verify_consistency, old, old_root, size, root, wrong)
    for index, texts in enumerate(solidity["inclusion"]):
        path = hashes(texts)
        verify_inclusion(leaves[index], index, size, path, roots[-1])
        for wrong, (leaf, root) in flips(path, leaves[index], roots[-1]):
            assert refused(verify_inclusion, leaf, index, size, wrong, root)


def test_python_accepts_proofs_of_the_largest_trees_and_no_flipped_one(vector_maker: dict[str, Any]) -> None:
    text = vector_maker["LARGE"].read_text(encoding="utf-8")
    assert text == vector_maker["large_document"]()
    large = json.loads(text)
    for case in [*large["consistency"], *large["gas"]]:
        old, size, path = case["oldSize"], case["newSize"], hashes(case["proof"])
        (old_root, root) = hashes([case["oldRoot"], case["newRoot"]])
        verify_consistency(old, old_root, size, root, path)
        for wrong, (was, now) in flips(path, old_root, root):
            assert refused(verify_consistency, old, was, size, now, wrong)
    for case in large["inclusion"]:
        index, size, path = case["index"], case["size"], hashes(case["proof"])
        (leaf, root) = hashes([case["leafHash"], case["root"]])
        verify_inclusion(leaf, index, size, path, root)
        for wrong, (changed, other) in flips(path, leaf, root):
            assert refused(verify_inclusion, changed, index, size, wrong, other)


async def test_the_contract_on_a_node_accepts_what_python_proves_and_no_flipped_proof(node: Node) -> None:
    """Random growths of one log; at each head, inclusion of random leaves. Each with one bit flipped as well."""
    random_ = random.Random(9162)
    tree = Tree(random_.randbytes(32) for _ in range(3000))
    await node.wait_for_receipt(await node.send(deploy_transaction(KEY, CHAIN_ID, 0, load_artifact().bytecode)))
    head = AnchorCall("bench/random", 0, bytes(32), 0, 0, bytes(32), ())
    sizes = sorted(random_.sample(range(1, tree.size + 1), 12))
    for nonce, size in enumerate(sizes, start=1):
        path = tuple(tree.consistency_path(head.size, size)) if head.size else ()
        call = AnchorCall(head.origin, head.size, head.root, head.old_time, size, tree.root(size), path)
        if head.size:
            for wrong, (root,) in random_.sample(flips(path, call.root), min(4, len(path) + 1)):
                bad = AnchorCall(head.origin, head.size, head.root, head.old_time, size, root, tuple(wrong))
                with pytest.raises(Reverted) as caught:
                    await node.simulate(SUBMITTER, CONTRACT, anchor_calldata(bad))
                assert "the proof does not show" in explain(caught.value.data)
        raw = anchor_transaction(KEY, CHAIN_ID, nonce, CONTRACT, call)
        receipt = await node.wait_for_receipt(await node.send(raw))
        assert receipt.succeeded
        block = await node.block(receipt.block_number)
        assert block is not None
        # From now on `old_time` of the head is its own time.
        head = AnchorCall(head.origin, 0, bytes(32), block.timestamp, size, call.root, ())
        for index in random_.sample(range(size), min(3, size)):
            await check_inclusion(node, tree, head, index)


async def check_inclusion(node: Node, tree: Tree, head: AnchorCall, index: int) -> None:
    path = tree.inclusion_path(index, head.size)
    cases = [(True, tree.leaf(index), path)]
    cases += [(False, leaf, wrong) for wrong, (leaf,) in flips(path, tree.leaf(index))]
    answers = await asyncio.gather(*(included(node, head, leaf, index, proof) for _, leaf, proof in cases))
    assert list(answers) == [right for right, _, _ in cases]


async def included(node: Node, head: AnchorCall, leaf: bytes, index: int, path: Sequence[bytes]) -> bool:
    """What the contract answers to verifyInclusion."""
    selector = keccak(text=f"verifyInclusion({','.join(_INCLUDED)})")[:4]
    values = (log_id(SUBMITTER, head.origin), head.size, head.root, head.old_time, leaf, index, list(path))
    answer = await node.simulate(SUBMITTER, CONTRACT, selector + encode(_INCLUDED, values))
    return bool(int.from_bytes(answer, "big"))
