"""A node that hangs and a disk that is full: the anchor stops or waits, trusts nothing half-done, and goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testbed.chain.artifact import load_artifact
from testbed.chain.devnode import DevNode
from testbed.core.errors import NodeUnreachable, StoreError

if TYPE_CHECKING:
    from tests.anchor.conftest import Bench

# What an anchor asks of its node, in order; a method that is asked twice stands twice.
REQUESTS = (
    "eth_call",
    "eth_getTransactionCount",
    "eth_getBlockByNumber",
    "evm_setNextBlockTimestamp",
    "eth_sendRawTransaction",
    "eth_getTransactionReceipt",
    "eth_getBlockByNumber",
    "eth_getProof",
)


async def test_what_an_anchor_asks_of_its_node(bench: Bench) -> None:
    await bench.start()
    asked: list[str] = []
    bench.node.hook = asked.append
    await bench.round("source")
    # It may have to ask for the receipt more than once.
    assert list(dict.fromkeys(asked)) == list(dict.fromkeys(REQUESTS))


@pytest.mark.parametrize("at", range(len(REQUESTS)), ids=[f"{n} {name}" for n, name in enumerate(REQUESTS)])
async def test_a_node_that_hangs_is_waited_for(bench: Bench, dev: DevNode, uninterrupted: list[bytes], at: int) -> None:
    bench.timeout_s = 0.5
    await bench.start()
    await bench.round("source")
    method, which = REQUESTS[at], REQUESTS[: at + 1].count(REQUESTS[at])
    asked: list[str] = []

    def hang(name: str) -> None:
        asked.append(name)
        if name == method and asked.count(name) == which:
            stop(dev.pid)

    bench.node.hook = hang
    try:
        with pytest.raises(NodeUnreachable) as raised:
            await bench.round("twin")
        assert raised.value.mend
        with pytest.raises(NodeUnreachable):
            await bench.submitter.catch_up(load_artifact())
    finally:
        os.kill(dev.pid, signal.SIGCONT)
    bench.node.hook = None
    await caught_up(bench)
    await bench.anchorer.step()
    for name in ("source", "twin"):
        await bench.round(name)
    assert bench.hashes() == uninterrupted
    assert (await bench.check()).findings == []


def stop(pid: int) -> None:
    """Stop every thread of a process; the signal alone takes its time, and an answer may come meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + 20
    while any(state(thread) != "T" for thread in Path(f"/proc/{pid}/task").iterdir()):
        assert time.monotonic() < deadline


def state(thread: Path) -> str:
    """The letter behind the name, proc(5)."""
    return (thread / "stat").read_text(encoding="utf-8").rpartition(") ")[2][:1]


async def caught_up(bench: Bench) -> None:
    """As the role does it: again, while the node does not answer yet."""
    async with asyncio.timeout(20):
        while True:
            try:
                await bench.submitter.catch_up(load_artifact())
                return
            except NodeUnreachable:
                continue


@pytest.mark.parametrize("line", ["intent", "mined"])
async def test_a_disk_that_is_full_stops_the_anchor_which_goes_on_when_there_is_room(
    bench: Bench, uninterrupted: list[bytes], line: str
) -> None:
    await bench.start()
    await bench.round("source")
    assert bench.journal is not None
    before, height, journal = bench.journal_file.read_bytes(), await bench.height(), bench.journal

    def fill(method: str) -> None:
        # From here on each write to the journal meets a full disk.
        if method == {"intent": "eth_call", "mined": "eth_getProof"}[line]:
            full = os.open("/dev/full", os.O_WRONLY)
            os.dup2(full, journal._descriptor)
            os.close(full)

    bench.node.hook = fill
    with pytest.raises(StoreError, match="No space left on device") as raised:
        await bench.round("twin")
    assert "make room" in raised.value.mend
    with pytest.raises(StoreError, match="the journal is closed"):
        await bench.anchorer.step()
    left = bench.journal_file.read_bytes()
    if line == "intent":
        assert (left, await bench.height()) == (before, height), "nothing was sent that is not written down"
    else:
        assert left[: len(before)] == before
        assert left.count(b"\n") == before.count(b"\n") + 1
        assert await bench.height() == height + 1
    assert await bench.start() == 0
    await bench.anchorer.step()
    for name in ("source", "twin"):
        await bench.round(name)
    assert bench.hashes() == uninterrupted
    assert (await bench.check()).findings == []
