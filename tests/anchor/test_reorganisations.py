"""A network takes blocks back: what was anchored in them is anchored again, and the journal says what happened."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from testbed.chain.reading import read_tail
from testbed.chain.receipts import receipt_of
from testbed.chain.registry import commitment, deploy_transaction, fees_of, log_id, read_transaction, slot_key
from testbed.core.bodies import AnchorReceipt
from testbed.core.entry import Kind
from testbed.core.errors import ChainError, NodeUnreachable
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.record.bodies import decode_body
from tests.anchor.others import KEY, OTHER_KEY, SOURCE, SUBMITTER, Bench, KilledError, network

CONFIRMATIONS = 3


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Its contract is settled, in block 1. Not settled: the anchors of one record in block 5, and of the log of
    receipts in block 6.
    """
    async with network(tmp_path / "node") as url:
        made = Bench(tmp_path, url, CONFIRMATIONS, receipts=True)
        await made.start()
        await mine(made, CONFIRMATIONS)
        await made.round()
        yield made
        await made.end()


async def mine(bench: Bench, count: int) -> None:
    """Blocks with transactions of somebody else."""
    for _ in range(count):
        await bench.mine_other()


async def take_back(bench: Bench, depth: int, *again: tuple[bytes, int]) -> None:
    """Others for the newest blocks, empty but for transactions that are in the given places `again`."""
    await bench.others.call("anvil_reorg", depth, [["0x" + raw.hex(), place] for raw, place in again])


def seen(findings: list[Finding]) -> list[tuple[What, Layer, Verdict]]:
    return [(one.what, one.layer, one.verdict) for one in findings]


def receipts(bench: Bench) -> list[AnchorReceipt]:
    bodies = [decode_body(Kind.RECEIPT, row.body or b"") for row in bench.receipt_store.rows(1)]
    return [body for body in bodies if isinstance(body, AnchorReceipt)]


async def settle(bench: Bench) -> None:
    """Enough blocks for everything that is mined, and a look at it."""
    await mine(bench, CONFIRMATIONS)
    await bench.anchorer.step()


async def is_sound(bench: Bench) -> None:
    """The journal reads back as it was written, everything is anchored and confirmed, and the contract holds it."""
    await bench.anchorer.step(flush=True)
    await settle(bench)
    checked = await bench.check()
    assert checked.findings == []
    assert checked.confirmed[SOURCE.name] == bench.log.size
    assert bench.journal is not None
    tail = read_tail(bench.journal_file)
    assert (tail.steps, tail.last) == (bench.journal.reached.steps, bench.journal.reached.last)
    head = bench.journal.reached.heads[SOURCE.name]
    slot = slot_key(log_id(SUBMITTER, SOURCE.name))
    assert await bench.others.storage(bench.contract, slot) == commitment(head.size, head.root, head.time)
    proved = [step for step in bench.steps() if step.proved and step.settled]
    assert receipts(bench) == [receipt_of(step) for step in proved]


async def test_an_anchor_that_is_dropped_is_sent_again(bench: Bench) -> None:
    _, before, _ = bench.mined()
    await take_back(bench, 2)
    assert seen((await bench.check()).findings) == [(What.BEHIND, Layer.CHAIN, Verdict.INCONCLUSIVE)]
    await bench.anchorer.step()
    (line,) = bench.lines("reorganised")
    assert (line["number"], line["height"]) == (before.number, before.height)
    _, after, _ = bench.mined()
    assert (after.number, after.tx_hash) == (before.number, before.tx_hash)
    assert after.block_hash != before.block_hash
    checked = await bench.check()
    assert (checked.findings, checked.confirmed) == ([], {})
    await is_sound(bench)


async def test_an_anchor_that_moves_to_another_block_is_followed_and_not_sent(bench: Bench) -> None:
    before, sends = bench.steps()[-1], bench.node.sends
    await mine(bench, 1)
    await take_back(bench, 2, (before.sent, 1))
    await bench.anchorer.step()
    after = bench.steps()[2]
    assert before.mined is not None
    assert after.mined is not None
    assert (after.mined.height, bench.node.sends) == (before.mined.height + 1, sends)
    await is_sound(bench)


async def test_what_built_on_an_anchor_that_moved_is_anchored_anew(bench: Bench) -> None:
    """The contract's slot holds the time of the block: the anchor behind it names the old one, and is refused."""
    await bench.round()
    await take_back(bench, 3)
    block = await bench.others.block("latest")
    assert block is not None
    await bench.others.call("evm_setNextBlockTimestamp", block.timestamp + 100)
    await bench.anchorer.step(flush=True)
    steps = [step for step in bench.steps() if step.intent.anchored and step.intent.anchored.origin == SOURCE.name]
    assert [step.intent.anchored.size for step in steps if step.intent.anchored] == [1, 2, 2]
    assert [step.mined is not None and step.mined.succeeded for step in steps] == [True, False, True]
    await is_sound(bench)


async def test_a_receipt_comes_when_its_anchor_is_settled(bench: Bench) -> None:
    assert receipts(bench) == []
    await bench.anchorer.step()
    assert receipts(bench) == []
    await mine(bench, 1)
    assert await bench.anchorer.step() == 0
    (receipt,) = receipts(bench)
    assert receipt.header == bench.mined()[1].header
    assert [line["number"] for line in bench.lines("settled")] == [0, 1]


async def test_a_settled_block_that_is_taken_back_is_a_rewrite(bench: Bench) -> None:
    await settle(bench)
    assert (await bench.check()).findings == []
    await take_back(bench, CONFIRMATIONS + 1)
    before = bench.journal_file.read_bytes()
    with pytest.raises(ChainError, match="is not the one that the journal holds"):
        await bench.start()
    assert bench.journal_file.read_bytes() == before
    assert seen((await bench.check()).findings) == [(What.REWRITTEN, Layer.CHAIN, Verdict.FALSIFIED)]


@pytest.mark.parametrize("dies", ["before", "behind"])
async def test_a_kill_while_it_is_brought_back_heals(bench: Bench, dies: str) -> None:
    await take_back(bench, 1)
    bench.node.dies = dies
    with pytest.raises(KilledError):
        await bench.anchorer.step()
    assert len(bench.lines("reorganised")) == 1
    assert read_tail(bench.journal_file).last != bench.steps()[0]
    await bench.start()
    assert len(bench.lines("reorganised")) == 1
    await is_sound(bench)


async def test_a_node_that_is_behind_is_waited_for(bench: Bench) -> None:
    """The chain is shorter, which a node that follows late shows as well: not before it lasts are blocks given up."""
    snapshot = await bench.others.call("evm_snapshot")
    await bench.round()
    await bench.others.call("evm_revert", snapshot)
    before = bench.journal_file.read_bytes()
    with pytest.raises(NodeUnreachable, match="is behind"):
        await bench.anchorer.step()
    assert bench.journal_file.read_bytes() == before
    assert seen((await bench.check()).findings) == [(What.BEHIND, Layer.CHAIN, Verdict.INCONCLUSIVE)]
    bench.clock.advance(bench.terms.patience_ns)
    await bench.anchorer.step()
    (line,) = bench.lines("reorganised")
    assert (line["number"], line["block_hash"]) == (3, None)
    await is_sound(bench)


async def pause_mining(bench: Bench) -> None:
    await bench.others.call("evm_setAutomine", False)


async def test_a_fee_is_raised_when_a_transaction_waits_for_too_long(bench: Bench) -> None:
    await pause_mining(bench)
    bench.commit()
    for _ in range(2):
        with pytest.raises(NodeUnreachable, match="waits for a block"):
            await bench.anchorer.step()
    assert bench.lines("version") == []
    for _ in range(2):
        bench.clock.advance(bench.terms.patience_ns)
        with pytest.raises(NodeUnreachable, match="waits for a block"):
            await bench.anchorer.step()
    step = bench.steps()[-1]
    fees = [fees_of(raw) for raw in step.transactions]
    assert len(fees) == 3
    for low, high in pairwise(fees):
        assert high.max_fee_per_gas >= 1.25 * low.max_fee_per_gas
        assert high.max_priority_fee_per_gas >= 1.25 * low.max_priority_fee_per_gas
    assert len({read_transaction(raw).nonce for raw in step.transactions}) == 1
    assert await bench.pending() == 1
    await bench.others.call("evm_mine")
    assert await bench.anchorer.step() == 0
    assert bench.steps()[-1].sent == step.transactions[-1]
    await bench.others.call("evm_setAutomine", True)
    await is_sound(bench)


async def test_an_older_version_may_be_the_one_that_is_mined(bench: Bench) -> None:
    await pause_mining(bench)
    bench.commit()
    with pytest.raises(NodeUnreachable):
        await bench.anchorer.step()
    # The process ends between writing the dearer version down and sending it.
    bench.clock.advance(bench.terms.patience_ns)
    bench.node.dies = "before"
    with pytest.raises(KilledError):
        await bench.anchorer.step()
    assert len(bench.steps()[-1].transactions) == 2
    await bench.others.call("evm_mine")
    await bench.start()
    step = bench.steps()[-1]
    assert step.sent == step.intent.transaction
    await bench.others.call("evm_setAutomine", True)
    await is_sound(bench)


async def test_no_more_is_offered_than_is_allowed(bench: Bench) -> None:
    bench.terms = replace(bench.terms, most_per_gas=3 * 10**9)
    await bench.start()
    await pause_mining(bench)
    bench.commit()
    with pytest.raises(NodeUnreachable):
        await bench.anchorer.step()
    for _ in range(6):
        bench.clock.advance(bench.terms.patience_ns)
        with pytest.raises(NodeUnreachable):
            await bench.anchorer.step()
    fees = [fees_of(raw) for raw in bench.steps()[-1].transactions]
    assert all(fee.max_fee_per_gas <= 3 * 10**9 for fee in fees)
    await bench.others.call("evm_mine")
    await bench.others.call("evm_setAutomine", True)
    await bench.anchorer.step()
    await bench.others.call("anvil_setNextBlockBaseFeePerGas", hex(4 * 10**9))
    await bench.others.call("evm_mine")
    steps = len(bench.steps())
    bench.commit()
    with pytest.raises(NodeUnreachable, match="are allowed"):
        await bench.anchorer.step()
    assert len(bench.steps()) == steps


async def test_a_nonce_that_went_to_another_transaction_is_given_up(bench: Bench) -> None:
    await pause_mining(bench)
    bench.commit()
    with pytest.raises(NodeUnreachable):
        await bench.anchorer.step()
    step = bench.steps()[-1]
    fees = fees_of(step.sent)
    dearer = replace(fees, max_fee_per_gas=20 * 10**9, max_priority_fee_per_gas=10 * 10**9)
    # Somebody with the same account pays more for something else.
    other = deploy_transaction(KEY, bench.chain_id, read_transaction(step.sent).nonce, b"\x00", dearer)
    await bench.others.send(other)
    await bench.others.call("evm_mine")
    with pytest.raises(NodeUnreachable):
        await bench.anchorer.step()
    assert bench.lines("dropped") == []
    await bench.others.call("evm_setAutomine", True)
    await mine(bench, CONFIRMATIONS)
    assert await bench.anchorer.step() >= 1
    assert [line["number"] for line in bench.lines("dropped")] == [step.intent.number]
    await is_sound(bench)


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_the_network_does_the_log_is_anchored_in_the_end(bench: Bench, seed: int) -> None:
    """Records, blocks of others, kills, and reorganisations that are not deeper than what is not settled."""
    drawn = random.Random(seed)
    for _ in range(30):
        match drawn.choice(("commit", "mine", "take back", "kill", "step")):
            case "commit":
                bench.commit()
            case "mine":
                await mine(bench, 1)
            case "take back":
                await take_back(bench, drawn.randint(1, CONFIRMATIONS - 1))
            case "kill":
                bench.node.dies = drawn.choice(("before", "behind"))
                with suppress(KilledError):
                    await bench.anchorer.step()
                await restart(bench)
            case _:
                await step(bench)
    await restart(bench)
    await is_sound(bench)


async def step(bench: Bench) -> None:
    try:
        await bench.anchorer.step()
    except ChainError:
        # As the role does: it catches up, and tries again.
        await restart(bench)


async def restart(bench: Bench) -> None:
    for attempt in range(5):
        try:
            await bench.start()
            return
        except ChainError:
            if attempt == 4:
                raise
            bench.clock.advance(bench.terms.patience_ns)


async def test_blocks_at_an_interval_with_others_in_them(tmp_path: Path) -> None:
    async with network(tmp_path / "node", 556, "--block-time=1", "--mixed-mining") as url:
        bench = Bench(tmp_path, url, CONFIRMATIONS, receipts=True, chain_id=556)
        bench.terms = replace(bench.terms, within_s=10.0)
        try:
            await bench.start()
            bench.commit()
            hashes = [await bench.send_other(OTHER_KEY) for _ in range(3)]
            _, done = await asyncio.gather(
                asyncio.gather(*(bench.others.wait_for_receipt(one) for one in hashes)), bench.anchorer.step()
            )
            assert done >= 1
            assert (await bench.check()).findings == []
        finally:
            await bench.end()
