"""Anchoring on a network of others: their transactions come before, between and into the same block."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from eth_utils.crypto import keccak

from testbed.chain.reading import read_journal
from testbed.core.finding import Layer, What
from testbed.verify.chain import check_chain
from tests.anchor.others import KEY, OTHER_KEY, SOURCE, Bench, KilledError, flipped, network, of_own_node


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with network(tmp_path / "node") as url:
        made = Bench(tmp_path, url)
        yield made
        await made.end()


async def test_others_send_in_between(bench: Bench) -> None:
    # The submitter's own account was used before, and is used by others meanwhile.
    await bench.mine_other(KEY)
    await bench.start()
    for key in (OTHER_KEY, KEY, OTHER_KEY):
        await bench.mine_other(key)
        bench.commit()
        assert await bench.anchorer.step() == 1
    await bench.start()
    assert [mined.height for mined in bench.mined()] == [2, 4, 6, 8]
    checked = await bench.check()
    assert checked.findings == []
    assert [one.size for one in checked.anchored[SOURCE.name]] == [1, 2, 3]
    # Each block of others confirms what stands below it.
    assert [(await bench.check(n)).confirmed.get(SOURCE.name) for n in (1, 2, 3, 4, 5, 6)] == [3, 2, 2, 1, 1, None]
    await bench.mine_other()
    assert (await bench.check(2)).confirmed == {SOURCE.name: 3}


async def anchor_beside_others(bench: Bench) -> None:
    """An anchor in one block with two transactions of others, one of them before it."""
    await bench.start()
    await bench.others.call("evm_setAutomine", False)
    await bench.send_other()
    await bench.send_other()
    bench.commit()
    _, done = await asyncio.gather(bench.mine_once_pending(3), bench.anchorer.step())
    assert done == 1
    block = await bench.others.block(bench.mined()[-1].height)
    assert block is not None
    assert len(block.transactions) == 3
    assert block.transactions[0] != bench.mined()[-1].tx_hash


async def test_others_stand_in_the_same_block(bench: Bench) -> None:
    await anchor_beside_others(bench)
    checked = await bench.check()
    assert checked.findings == []
    assert checked.confirmed == {SOURCE.name: 1}


async def test_a_journal_of_an_own_node_holds_no_block_of_others(bench: Bench) -> None:
    await anchor_beside_others(bench)
    evidence = await bench.evidence()
    own = of_own_node(evidence, bench.head)
    (finding,) = check_chain(bench.trusted(), own).findings
    assert (finding.what, finding.layer) == (What.SUBSTITUTED, Layer.ANCHOR)


@pytest.mark.parametrize("part", ["header", "slot proof", "transaction", "root", "size"])
async def test_without_its_block_to_itself_an_anchor_is_still_proven(bench: Bench, part: str) -> None:
    await anchor_beside_others(bench)
    evidence = await bench.evidence()
    assert check_chain(bench.trusted(), evidence).findings == []
    step = evidence.journal[-1]
    anchored, mined = step.intent.anchored, step.mined
    assert anchored is not None
    assert mined is not None
    assert mined.slot_proof is not None
    if part == "header":
        step = replace(step, mined=replace(mined, header=flipped(mined.header)))
    elif part == "slot proof":
        step = replace(step, mined=replace(mined, slot_proof=flipped(mined.slot_proof)))
    elif part == "transaction":
        step = replace(step, intent=replace(step.intent, transaction=flipped(step.intent.transaction)))
    elif part == "root":
        step = replace(step, intent=replace(step.intent, anchored=replace(anchored, root=flipped(anchored.root))))
    else:
        step = replace(step, intent=replace(step.intent, anchored=replace(anchored, size=anchored.size ^ 2)))
    changed = replace(evidence, journal=(*evidence.journal[:-1], step))
    checked = check_chain(bench.trusted(), changed)
    assert (checked.findings[0].what, checked.findings[0].layer) == (What.SUBSTITUTED, Layer.ANCHOR)
    assert checked.confirmed == {}


async def test_what_was_not_sent_yet_is_sent_later(bench: Bench) -> None:
    await bench.start()
    bench.node.dies = "before"
    bench.commit()
    with pytest.raises(KilledError):
        await bench.anchorer.step()
    for _ in range(3):
        await bench.mine_other()
    await bench.start()
    last = read_journal(bench.journal_file).steps[-1]
    assert last.mined is not None
    assert (last.intent.height, last.mined.height) == (2, 5)
    bench.commit()
    assert await bench.anchorer.step() == 1
    checked = await bench.check()
    assert checked.findings == []
    assert checked.confirmed == {SOURCE.name: 2}


async def test_what_still_waits_is_not_sent_again(bench: Bench) -> None:
    await bench.start()
    await bench.others.call("evm_setAutomine", False)
    bench.node.dies = "behind"
    bench.commit()
    with pytest.raises(KilledError):
        await bench.anchorer.step()
    assert await bench.pending() == 1
    bench.node.waits.clear()
    sends = bench.node.sends
    started = asyncio.create_task(bench.start())
    await asyncio.wait_for(bench.node.waits.wait(), 20)
    await bench.send_other()
    await bench.mine_once_pending(2)
    await started
    assert bench.node.sends == sends
    assert [mined.height for mined in bench.mined()] == [1, 2]
    assert (await bench.check()).findings == []


async def test_what_was_mined_unseen_is_found(bench: Bench) -> None:
    await bench.start()
    bench.node.dies = "behind"
    bench.commit()
    with pytest.raises(KilledError):
        await bench.anchorer.step()
    await bench.others.wait_for_receipt(keccak(read_journal(bench.journal_file).steps[-1].intent.transaction))
    for _ in range(2):
        await bench.mine_other()
    await bench.start()
    assert [mined.height for mined in bench.mined()] == [1, 2]
    checked = await bench.check(3)
    assert checked.findings == []
    assert checked.confirmed == {SOURCE.name: 1}
