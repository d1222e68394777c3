"""What an anchor costs, in gas, on a real node: by the size of the log and by how many records one anchor covers.

An anchor carries a consistency proof, whose length grows with the logarithm of the log and varies with its size, so
each line is over a run of consecutive anchors. The deployment is not counted.
"""

import asyncio
import hashlib
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from testbed.chain.artifact import load_artifact
from testbed.chain.devnode import DevNode
from testbed.chain.registry import (
    AnchorCall,
    address_of,
    anchor_transaction,
    contract_address,
    deploy_transaction,
)
from testbed.chain.rpc import Node
from testbed.merkle.tree import Tree

KEY = bytes([0x11]) * 32
CHAIN_ID = 31337
START_S = 1_700_000_000
SIZES = (1_000, 1_000_000)
BATCHES = (1, 256)
ANCHORS = 64
"""How many anchors a line is taken over."""


def main() -> None:
    """Print the table."""
    print(f"{'leaves':>9} {'batch':>6} {'gas per anchor: min':>20} {'median':>8} {'max':>8} {'per record':>11}")
    for size in SIZES:
        last = size + max(BATCHES) * ANCHORS
        tree = Tree(hashlib.sha256(index.to_bytes(8, "big")).digest() for index in range(last))
        for batch in BATCHES:
            gas = asyncio.run(measure(tree, size, batch))
            median = statistics.median(gas)
            print(f"{size:>9,} {batch:>6} {min(gas):>20,} {median:>8,.0f} {max(gas):>8,} {median / batch:>11,.1f}")


async def measure(tree: Tree, size: int, batch: int) -> list[int]:
    """Gas of each anchor after the one that took the log to `size` leaves; every one adds `batch` leaves."""
    used: list[int] = []
    submitter = address_of(KEY)
    contract = contract_address(submitter, 0)
    with tempfile.TemporaryDirectory() as folder:
        dev = await DevNode.start(Path(folder), CHAIN_ID, START_S, submitter)
        try:
            async with Node(dev.url) as node:
                time_s = START_S + 1
                await _mine(node, deploy_transaction(KEY, CHAIN_ID, 0, load_artifact().bytecode), time_s)
                for nonce, (old, new) in enumerate(_steps(size, batch), start=1):
                    call = AnchorCall(
                        origin="bench.example/source",
                        old_size=old,
                        old_root=tree.root(old) if old else bytes(32),
                        old_time=time_s if old else 0,
                        size=new,
                        root=tree.root(new),
                        proof=tuple(tree.consistency_path(old, new)) if old else (),
                    )
                    time_s += 1
                    used.append(await _mine(node, anchor_transaction(KEY, CHAIN_ID, nonce, contract, call), time_s))
        finally:
            await dev.stop()
    return used[1:]


def _steps(size: int, batch: int) -> Iterator[tuple[int, int]]:
    yield 0, size
    for old in range(size, size + batch * ANCHORS, batch):
        yield old, old + batch


async def _mine(node: Node, raw: bytes, time_s: int) -> int:
    await node.set_next_timestamp(time_s)
    receipt = await node.wait_for_receipt(await node.send(raw))
    if not receipt.succeeded:
        raise RuntimeError("the contract refused an anchor")
    return receipt.gas_used
