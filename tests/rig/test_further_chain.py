"""A further chain goes at a pace of its own: the role never waits for it, and tells what it waits for."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from testbed.core.errors import UsageError
from testbed.rig.bench import load_bench
from testbed.rig.default import default_text
from testbed.rig.networks import look_at_network
from testbed.rig.roles.chain_anchor import ChainAnchor
from testbed.rig.roles.further import Further
from tests.anchor.others import CHAIN_ID, SOURCE, Bench, network


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with network(tmp_path / "node") as url:
        made = Bench(tmp_path, url)
        await made.start()
        yield made
        await made.end()


def further_of(bench: Bench) -> Further:
    return Further("public", ChainAnchor(bench.node, bench.sender, bench.anchorer, lambda: True), waits=False)


async def until(further: Further, size: int) -> None:
    deadline = time.monotonic() + 20
    while further.chain.anchored.get(SOURCE.name, 0) < size:
        assert time.monotonic() < deadline, further.problem
        await further.step()
        await asyncio.sleep(0.01)


async def test_a_network_without_blocks_holds_nobody_up(bench: Bench) -> None:
    await bench.others.call("evm_setAutomine", False)
    bench.commit()
    further = further_of(bench)
    begun = time.monotonic()
    for _ in range(20):
        await further.step()
        await asyncio.sleep(0)
    assert time.monotonic() - begun < bench.terms.within_s
    assert further.chain.anchored == {}
    while not further.problem:
        await asyncio.sleep(0.01)
        await further.step()
    assert "waits for a block" in further.problem
    await bench.others.call("evm_mine")
    # When the role ends, what is under way is brought home.
    await further.stop()
    assert further.problem == ""
    assert (await bench.check()).confirmed == {SOURCE.name: 1}


async def test_rounds_go_on_by_themselves(bench: Bench) -> None:
    further = further_of(bench)
    for size in (1, 2):
        bench.commit()
        await until(further, size)
    await further.stop()
    assert (await bench.check()).confirmed == {SOURCE.name: 2}


async def test_the_doctor_says_what_the_anchor_lacks(bench: Bench, tmp_path: Path) -> None:
    head, _, tail = default_text().partition("[chain]\n")
    rest = tail.partition("\n\n")[2]
    for chain_id in (CHAIN_ID, CHAIN_ID + 1):
        file = tmp_path / f"bench-{chain_id}.toml"
        chain = f'[chain]\nkind = "url"\nurl = "{bench.url}"\nchain_id = {chain_id}\n\n'
        file.write_text(f"{head}{chain}{rest}", encoding="utf-8")
    right = load_bench(tmp_path / f"bench-{CHAIN_ID}.toml")
    said = await look_at_network(right, right.chain)
    assert "anvil" in said
    other = load_bench(tmp_path / f"bench-{CHAIN_ID + 1}.toml")
    with pytest.raises(UsageError, match=f"is chain {CHAIN_ID}, not {CHAIN_ID + 1}"):
        await look_at_network(other, other.chain)
