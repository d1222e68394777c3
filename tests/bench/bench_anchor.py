"""Anchors a second, each awaited, on a real node: are the last as quick as the first, and what is ours of it?

The submitter writes and syncs its journal, asks the node for nonce, newest block and proof, and sends one transaction
a block. The bare loop hands the very same signed transactions to a second node, each right after ours, and waits for
their receipts. ANCHORS says how many (200 or more); 20000 takes some minutes. The bare node slows down with the machine
as well, so growth that both show is not ours; the tenths tell a trend from a busy moment. Processor time is this
process's, which others on the machine hardly change: if an anchor costs us more than it did, it shows there. Memory is
this process's as well, from the first tenth to the end, divided by the anchors between; reading is that of the whole
journal, as at a start.
"""

import asyncio
import hashlib
import os
import statistics
import tempfile
import time
from array import array
from pathlib import Path

from testbed.anchor.submitter import Submitter
from testbed.chain.artifact import load_artifact
from testbed.chain.devnode import ARGUMENTS, DevNode
from testbed.chain.journal import Journal
from testbed.chain.reading import summarize
from testbed.chain.registry import address_of, contract_address
from testbed.chain.rpc import Node
from testbed.chain.steps import Head, Intent
from testbed.core.checkpoint import Checkpoint
from testbed.core.clock import SystemClock
from testbed.keys.checkpoint import sign_checkpoint
from testbed.keys.ed25519 import SigningKey
from testbed.merkle.growth import growth_path
from testbed.merkle.tree import CompactRange
from tests.bench.measure import of, table

KEY = bytes([0x11]) * 32
CHAIN_ID = 31337
START_S = 1_700_000_000
PART = 100
"""Anchors that the first and the last figure are taken over."""


def main() -> None:
    """Print the table."""
    count = int(os.environ.get("ANCHORS", "2000"))
    with tempfile.TemporaryDirectory() as folder:
        bare, ours, busy, grown = asyncio.run(measure(Path(folder), count))
        started = time.perf_counter()
        steps = summarize(Path(folder) / "journal.jsonl").steps
        reading = time.perf_counter() - started
    rows = []
    parts = {f"first {PART}": slice(PART), f"last {PART} of {count:,}": slice(-PART, None)}
    for name, part in parts.items():
        one = of([1 / seconds for seconds in bare[part]], [1 / seconds for seconds in ours[part]])
        rows.append((name, *one.cells()))
    table(("anchors a second, awaited", "bare node", "ours", "ours / bare"), *rows)
    grew = [statistics.median(seconds[-PART:]) / statistics.median(seconds[:PART]) for seconds in (bare, ours, busy)]
    print(
        f"time of the last {PART} / of the first {PART}: bare {grew[0]:.2f}, ours {grew[1]:.2f}, our processor's"
        f" {grew[2]:.2f}"
    )
    tenth = max(1, count // 10)
    for name, seconds in (("bare", bare), ("ours", ours), ("our processor's", busy)):
        medians = (statistics.median(seconds[at : at + tenth]) for at in range(0, 10 * tenth, tenth))
        print(f"{name}, median of each tenth, ms: {' '.join(f'{1000 * one:.1f}' for one in medians)}")
    print(f"memory: {grown / (count - tenth):.0f} bytes an anchor; journal of {steps:,} blocks read in {reading:.1f} s")


async def measure(folder: Path, count: int) -> tuple[list[float], list[float], list[float], int]:
    """Of each anchor the seconds on the bare node, through the submitter, and of this process's processor time for the
    latter; and bytes that this process grew by.
    """
    account = address_of(KEY)
    nodes = [await DevNode.start(folder / name, CHAIN_ID, START_S, account) for name in ("ours", "bare")]
    try:
        async with Node(nodes[0].url) as node, Node(nodes[1].url) as other:
            genesis = await node.block(0)
            assert genesis is not None  # every chain has one
            head = Head(CHAIN_ID, genesis.hash, await node.version(), ARGUMENTS, account, contract_address(account, 0))
            with Journal.create(folder / "journal.jsonl", head) as journal:
                submitter = Submitter(node, journal, KEY, SystemClock())
                await submitter.catch_up(load_artifact())
                await again(other, newest(journal))
                return await anchored(submitter, journal, other, count)
    finally:
        for one in nodes:
            await one.stop()


async def anchored(
    submitter: Submitter, journal: Journal, other: Node, count: int
) -> tuple[list[float], list[float], list[float], int]:
    """A log that grows by one record from anchor to anchor."""
    key, edge = SigningKey.from_seed("bench.example/source", bytes(32)), CompactRange()
    bare, ours, busy, first = array("d"), array("d"), array("d"), 0
    for size in range(1, count + 1):
        if size == max(1, count // 10):
            first = resident()
        added = hashlib.sha256(size.to_bytes(8, "big")).digest()
        path = growth_path(edge, [added])
        edge.append(added)
        root = edge.root()
        note = sign_checkpoint(Checkpoint(key.name, size, root), key)
        started, used = time.perf_counter(), time.process_time()
        await submitter.anchor(key.name, size, root, note, path)
        mined = time.perf_counter()
        busy.append(time.process_time() - used)
        await again(other, newest(journal))
        ours.append(mined - started)
        bare.append(time.perf_counter() - mined)
    return bare.tolist(), ours.tolist(), busy.tolist(), resident() - first


def resident() -> int:
    """Bytes of memory that this process has, on Linux."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def newest(journal: Journal) -> Intent:
    """What was sent last."""
    if journal.reached.last is None:
        raise RuntimeError("nothing was sent")
    return journal.reached.last.intent


async def again(node: Node, intent: Intent) -> None:
    """The same transaction at the same time, awaited."""
    if intent.timestamp is not None:
        await node.set_next_timestamp(intent.timestamp)
    receipt = await node.wait_for_receipt(await node.send(intent.transaction))
    if not receipt.succeeded:
        raise RuntimeError("the contract refused an anchor")


if __name__ == "__main__":
    main()
