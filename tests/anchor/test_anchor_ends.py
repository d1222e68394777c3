"""How the anchor goes on after an end, its own or its node's: the blocks come out as if there had been none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testbed.chain.artifact import load_artifact
from testbed.chain.devnode import DevNode
from testbed.chain.rpc import Node
from testbed.core.errors import ChainError

if TYPE_CHECKING:
    from tests.anchor.conftest import Bench


async def test_a_node_that_lost_its_blocks_is_rebuilt(bench: Bench, dev: DevNode, uninterrupted: list[bytes]) -> None:
    assert await bench.start() == 0
    for name in ("source", "twin"):
        await bench.round(name)
    await dev.stop()
    again = await bench.fresh_node()
    try:
        assert await bench.start() == 3
        assert await bench.start() == 0
        for name in ("source", "twin"):
            await bench.round(name)
        assert bench.hashes() == uninterrupted
        async with Node(again.url) as node:
            found = [await node.block(height) for height in range(1, 6)]
        assert [block.hash for block in found if block] == uninterrupted
        assert (await bench.check()).findings == []
    finally:
        await again.stop()


async def test_a_node_that_is_replaced_while_the_anchor_runs(
    bench: Bench, dev: DevNode, uninterrupted: list[bytes]
) -> None:
    await bench.start()
    for name in ("source", "twin"):
        await bench.round(name)
    await dev.stop()
    port = int(dev.url.rpartition(":")[2])
    again = await bench.fresh_node(port=port)
    try:
        before = bench.journal_file.read_bytes()
        await bench.node.close()
        with pytest.raises(ChainError):
            await bench.round("source")
        assert (bench.journal_file.read_bytes(), await bench.height()) == (before, 0)
        assert await bench.submitter.catch_up(load_artifact()) == 3
        await bench.anchorer.step()
        await bench.round("twin")
        assert bench.hashes() == uninterrupted
    finally:
        await again.stop()


@pytest.mark.parametrize("dies", ["before", "behind"])
@pytest.mark.parametrize("at", ["deployment", "anchor"])
@pytest.mark.parametrize("node_too", [False, True], ids=["node stays", "node dies too"])
async def test_a_killed_anchor_finishes_what_it_began(
    bench: Bench, dev: DevNode, uninterrupted: list[bytes], dies: str, at: str, node_too: bool
) -> None:
    names = ["source", "twin", "source", "twin"]
    if at == "deployment":
        with pytest.raises(bench.killed):
            await bench.start(dies)
    else:
        await bench.start()
        await bench.round(names.pop(0))
        bench.node.dies = dies
        with pytest.raises(bench.killed):
            await bench.round(names.pop(0))
    assert bench.newest().mined is None
    mined = len(bench.hashes())
    assert await bench.height() == mined + (dies == "behind")
    again = dev
    if node_too:
        await dev.stop()
        again = await bench.fresh_node()
    try:
        assert await bench.start() == (mined if node_too else 0)
        assert bench.newest().mined is not None
        for name in names:
            await bench.round(name)
        assert bench.hashes() == uninterrupted
        assert (await bench.check()).findings == []
    finally:
        await again.stop()
