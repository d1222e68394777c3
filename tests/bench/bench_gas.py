"""What an anchor costs, in gas, on a real node: by the size of the log and by how many records one anchor covers.

An anchor carries a consistency proof, whose length grows with the logarithm of the log and varies with its size, so
each line is over a run of consecutive sizes. Trees of a billion leaves are not built: the proofs are those of
tests/chain/make_vectors.py, with made-up roots for every subtree that the proof does not enter. The deployment and the
first anchor of each log are not counted; what a transaction costs by itself (21,000, and its data) is.
"""

import asyncio
import math
import runpy
import statistics
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

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

KEY = bytes([0x11]) * 32
SUBMITTER = address_of(KEY)
CONTRACT = contract_address(SUBMITTER, 0)
CHAIN_ID = 31337
START_S = 1_700_000_000
SIZES = (10**3, 10**6, 10**9)
BATCHES = (1, 256, 65_536)
ANCHORS = 64
"""How many anchors a line is taken over."""
LIMIT = 68_000
"""Gas that an anchor from a million leaves may cost, in the median."""

Growth = Callable[[int, int, int, bool], tuple[bytes, bytes, list[bytes]]]
GROWTH = cast("Growth", runpy.run_path(str(Path(__file__).parents[1] / "chain" / "make_vectors.py"))["large_growth"])


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: gas of each anchor, hashes of each proof."""

    size: int
    batch: int
    gas: list[int]
    proofs: list[int]

    @property
    def median(self) -> float:
        return statistics.median(self.gas)


def main() -> None:
    """Print the table, the growth with the size of the log, and whether the limit holds."""
    lines = asyncio.run(measure_all())
    print(f"{'leaves':>13} {'batch':>6} {'gas: min':>9} {'median':>7} {'max':>7} {'per record':>11} {'proof':>7}")
    for line in lines:
        gas, proof = line.gas, f"{statistics.mean(line.proofs) * 32:,.0f} B"
        figures = f"{min(gas):>9,} {line.median:>7,.0f} {max(gas):>7,} {line.median / line.batch:>11,.1f} {proof:>7}"
        print(f"{line.size:>13,} {line.batch:>6} {figures}")
    for batch in BATCHES:
        same = [line for line in lines if line.batch == batch]
        doublings = math.log2(same[-1].size / same[0].size)
        more = (same[-1].median - same[0].median) / doublings
        hashes = (statistics.mean(same[-1].proofs) - statistics.mean(same[0].proofs)) / doublings
        print(f"batch {batch:>6}: {more:,.0f} gas and {32 * hashes:.0f} B of proof more for each doubling of the log")
    million = [line for line in lines if line.size == 10**6]
    worst = max(million, key=lambda line: line.median)
    kept = "kept" if worst.median <= LIMIT else "NOT KEPT"
    print(
        f"limit at 1,000,000 leaves: {LIMIT:,} in the median; highest {worst.median:,.0f}, batch {worst.batch}: {kept}"
    )


async def measure_all() -> list[Line]:
    """Every line, on one node."""
    async with _deployed() as node:
        miner = _Miner(node)
        return [await measure(miner, size, batch) for size in SIZES for batch in BATCHES]


async def measure(miner: "_Miner", size: int, batch: int) -> Line:
    """Each anchor takes a log of its own, from `size` plus some batches, one batch further."""
    line = Line(size, batch, [], [])
    for number in range(ANCHORS):
        old = size + number * batch
        old_root, root, path = GROWTH(old, 0, old + batch, True)
        origin = f"bench/{size:010}/{batch:06}/{number:02}"[-20:]
        time_s, _ = await miner.anchor(AnchorCall(origin, 0, bytes(32), 0, old, old_root, ()))
        call = AnchorCall(origin, old, old_root, time_s, old + batch, root, tuple(path))
        line.gas.append((await miner.anchor(call))[1])
        line.proofs.append(len(path))
    return line


class _Miner:
    """Sends one transaction a block."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._nonce, self._time_s = 1, START_S + 1

    async def anchor(self, call: AnchorCall) -> tuple[int, int]:
        """Timestamp of the block, s, and gas used."""
        raw = anchor_transaction(KEY, CHAIN_ID, self._nonce, CONTRACT, call)
        self._nonce, self._time_s = self._nonce + 1, self._time_s + 1
        return self._time_s, await mine(self._node, raw, self._time_s)


async def mine(node: Node, raw: bytes, time_s: int) -> int:
    """Gas used by a transaction in a block of its own."""
    await node.set_next_timestamp(time_s)
    receipt = await node.wait_for_receipt(await node.send(raw))
    if not receipt.succeeded:
        raise RuntimeError("the contract refused an anchor")
    return receipt.gas_used


@asynccontextmanager
async def _deployed() -> AsyncIterator[Node]:
    """A fresh node with the contract."""
    with tempfile.TemporaryDirectory() as folder:
        dev = await DevNode.start(Path(folder), CHAIN_ID, START_S, SUBMITTER)
        try:
            async with Node(dev.url) as node:
                await mine(node, deploy_transaction(KEY, CHAIN_ID, 0, load_artifact().bytecode), START_S + 1)
                yield node
        finally:
            await dev.stop()
