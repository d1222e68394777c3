"""What is anchored, and when; and that it is proven."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testbed.anchor.policy import Policy
from testbed.chain.reading import iterate_steps
from testbed.chain.registry import address_of, contract_address, log_id, slot_key
from testbed.chain.rpc import Node
from testbed.core.errors import Rejected
from testbed.core.finding import Layer, What
from testbed.merkle.tree import Tree, leaf_hash

if TYPE_CHECKING:
    from tests.anchor.conftest import Bench

SECOND = 10**9
SUBMITTER = address_of(bytes([0x11]) * 32)
CONTRACT = contract_address(SUBMITTER, 0)


async def test_every_record_by_itself(bench: Bench) -> None:
    await bench.start()
    for _ in range(3):
        bench.commit("source")
    assert await bench.anchorer.step() == 3
    assert bench.anchored() == [("source", 1), ("source", 2), ("source", 3)]
    assert await bench.anchorer.step() == 0
    assert bench.anchorer.anchors == 3
    assert bench.anchorer.gas_used > 3 * 21_000


async def test_records_in_batches(bench: Bench) -> None:
    bench.policy = Policy(4, 60 * SECOND)
    await bench.start()
    for _ in range(3):
        bench.commit("source")
        assert await bench.anchorer.step() == 0
    for _ in range(6):
        bench.commit("source")
    assert await bench.anchorer.step() == 2
    assert bench.anchored() == [("source", 4), ("source", 8)]
    # What is left waits for its time, or for the end.
    assert await bench.anchorer.step() == 0
    assert await bench.anchorer.step(flush=True) == 1
    assert bench.anchored()[-1] == ("source", 9)


async def test_a_commit_larger_than_a_batch_is_anchored_whole(bench: Bench) -> None:
    bench.policy = Policy(4, 60 * SECOND)
    await bench.start()
    for count in (3, 10, 2, 1, 1):
        bench.commit("source", count)
    await bench.anchorer.step()
    assert bench.anchored() == [("source", 3), ("source", 13), ("source", 17)]


async def test_a_round_anchors_every_log_that_grew(bench: Bench) -> None:
    bench.policy = Policy(3, 60 * SECOND)
    await bench.start()
    bench.commit("source", 3)
    bench.commit("twin")
    assert await bench.anchorer.step() == 2
    assert bench.anchored() == [("source", 3), ("twin", 1)]
    bench.commit("twin", 3)
    assert await bench.anchorer.step() == 1
    assert bench.anchored()[2:] == [("twin", 4)]


async def test_a_record_does_not_wait_longer_than_it_may(bench: Bench) -> None:
    bench.policy = Policy(100, 30 * SECOND)
    await bench.start()
    bench.commit("source")
    assert await bench.anchorer.step() == 0
    bench.clock.advance(30 * SECOND - 1)
    bench.commit("source")
    assert await bench.anchorer.step() == 0
    bench.clock.advance(1)
    assert await bench.anchorer.step() == 1
    assert bench.anchored() == [("source", 2)]
    # The next record's time begins with itself.
    bench.clock.advance(100 * SECOND)
    assert await bench.anchorer.step() == 0
    bench.commit("source")
    assert await bench.anchorer.step() == 0
    bench.clock.advance(30 * SECOND)
    assert await bench.anchorer.step() == 1


async def test_blocks_carry_the_clock_s_time(bench: Bench) -> None:
    await bench.start()
    for _ in range(2):
        await bench.round("source")
    steps = list(iterate_steps(bench.journal_file))
    assert [step.mined.timestamp - 1_700_000_000 for step in steps if step.mined] == [10, 11, 12]
    assert [step.mined.height for step in steps if step.mined] == [1, 2, 3]


async def test_what_was_anchored_is_proven_and_a_flipped_bit_is_not(bench: Bench) -> None:
    await bench.start()
    for name in ("source", "twin", "source"):
        await bench.round(name)
    checked = await bench.check()
    assert checked.findings == []
    assert checked.confirmed == {bench.origins["source"]: 2, bench.origins["twin"]: 1}
    assert checked.anchors == 3
    for name, size in (("source", 2), ("twin", 1)):
        tree = Tree(leaf_hash(row.entry) for row in bench.stores[name].rows())
        newest = checked.anchored[bench.origins[name]][-1]
        assert (newest.size, newest.root) == (size, tree.root(size))
    # The contract's own word, one bit off.
    async with Node(bench.url) as node:
        slot = slot_key(log_id(SUBMITTER, bench.origins["source"]))
        value = await node.storage(CONTRACT, slot)
        await node.set_storage(CONTRACT, slot, value[:-1] + bytes([value[-1] ^ 1]))
    (finding,) = (await bench.check()).findings
    assert (finding.what, finding.layer, finding.origin) == (What.SUBSTITUTED, Layer.ANCHOR, bench.origins["source"])


async def test_anchors_are_confirmed_when_blocks_stand_on_them(bench: Bench) -> None:
    await bench.start()
    for name in ("source", "source", "twin"):
        await bench.round(name)
    assert (await bench.check(2)).confirmed == {bench.origins["source"]: 2}
    assert (await bench.check(3)).confirmed == {bench.origins["source"]: 1}
    assert (await bench.check(9)).confirmed == {}


async def test_what_the_contract_refuses_is_not_sent(bench: Bench) -> None:
    await bench.start()
    bench.commit("source", 2)
    await bench.anchorer.step()
    before, height = bench.journal_file.read_bytes(), await bench.height()
    for size, proof in ((3, []), (3, [bytes(32)] * 2), (2, [])):
        with pytest.raises(Rejected, match="the contract refuses size"):
            await bench.submitter.anchor(bench.origins["source"], size, bytes(32), b"note", proof)
    assert (bench.journal_file.read_bytes(), await bench.height()) == (before, height)
