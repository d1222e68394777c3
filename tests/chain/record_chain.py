"""Plays a short chain on a fresh development node and writes down all that it answers.

`tests/vectors/chain.json` is what it gave once; it has to give the same on every machine. Run it to write the file
anew: `python tests/chain/record_chain.py`.
"""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from testbed.chain.artifact import load_artifact
from testbed.chain.devnode import DevNode
from testbed.chain.registry import (
    AnchorCall,
    address_of,
    anchor_transaction,
    contract_address,
    deploy_transaction,
    log_id,
    slot_key,
)
from testbed.chain.rpc import Node

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "tests" / "vectors" / "chain.json"
PROOFS = ROOT / "contracts" / "test" / "vectors" / "rfc9162.json"
KEY = bytes([0x11]) * 32
CHAIN_ID = 31337
START_S = 1_700_000_000
ORIGIN = "bench.example/source"
SIZES = (1, 2, 3, 8)


def calls() -> list[AnchorCall]:
    """First heads of the test tree. The block of call i has the timestamp START_S + 2 + i."""
    cases = json.loads(PROOFS.read_text(encoding="utf-8"))["consistency"]
    found = {(case["oldSize"], case["newSize"]): case for case in cases}
    first = found[1, 2]
    made = [AnchorCall(ORIGIN, 0, bytes(32), 0, 1, _bytes(first["oldRoot"]), ())]
    for i in range(1, len(SIZES)):
        case = found[SIZES[i - 1], SIZES[i]]
        proof = tuple(_bytes(node) for node in case["proof"])
        made.append(
            AnchorCall(
                ORIGIN, SIZES[i - 1], _bytes(case["oldRoot"]), START_S + 1 + i, SIZES[i], _bytes(case["newRoot"]), proof
            )
        )
    return made


async def record(folder: Path) -> dict[str, Any]:
    """The chain as a JSON document: genesis, then the deployment and one block for each call."""
    submitter = address_of(KEY)
    contract = contract_address(submitter, 0)
    slot = slot_key(log_id(submitter, ORIGIN))
    raws = [deploy_transaction(KEY, CHAIN_ID, 0, load_artifact().bytecode)]
    raws += [anchor_transaction(KEY, CHAIN_ID, n, contract, call) for n, call in enumerate(calls(), start=1)]
    dev = await DevNode.start(folder, CHAIN_ID, START_S, submitter)
    try:
        async with Node(dev.url) as node:
            genesis = await node.block(0)
            assert genesis is not None
            blocks = []
            for i, raw in enumerate(raws):
                await node.set_next_timestamp(START_S + 1 + i)
                receipt = await node.wait_for_receipt(await node.send(raw))
                block = await node.block(receipt.block_number)
                assert block is not None
                blocks.append(
                    {
                        "gas_used": receipt.gas_used,
                        "hash": block.hash.hex(),
                        "header": block.header_rlp.hex(),
                        "proof": (await node.proof(contract, slot)).hex(),
                        "receipt": receipt.encoded.hex(),
                        "timestamp": block.timestamp,
                        "transaction": raw.hex(),
                    }
                )
    finally:
        await dev.stop()
    return {
        "blocks": blocks,
        "chain_id": CHAIN_ID,
        "contract": contract,
        "genesis_hash": genesis.hash.hex(),
        "origin": ORIGIN,
        "submitter": submitter,
    }


def document(recorded: dict[str, Any]) -> str:
    return json.dumps(recorded, indent=1, sort_keys=True) + "\n"


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder_name:
        RECORD.write_text(document(asyncio.run(record(Path(folder_name)))), encoding="utf-8")
