"""The role `chain`: its state file is a cache that it uses only where the journal agrees, and its node may die."""

import gzip
import json
import os
import signal
from contextlib import closing
from pathlib import Path

import pytest

from testbed.anchor.submitter import Submitter
from testbed.chain.artifact import load_artifact
from testbed.chain.journal import Journal
from testbed.chain.rpc import Node
from testbed.core.clock import VirtualClock
from testbed.core.entropy import SeededEntropy
from testbed.core.errors import ChainError, NodeUnreachable
from testbed.keys.files import read_secret
from testbed.rig.bench import Bench, load_bench
from testbed.rig.default import default_text
from testbed.rig.initialize import initialize
from testbed.rig.paths import Paths
from testbed.rig.roles.chain import ChainRole


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    (tmp_path / "bench.toml").write_text(default_text(), encoding="utf-8")
    made = load_bench(tmp_path / "bench.toml")
    await initialize(made, made.trust_file, VirtualClock(10**18), SeededEntropy(1, "keys"), simulated=False)
    return made


async def test_a_state_that_the_node_does_not_take_is_set_aside(bench: Bench) -> None:
    state = Paths(bench.data).chain_state
    state.write_bytes(b"no state")
    role = ChainRole(bench, port=0)
    try:
        await role.start()
        assert "the node does not take it" in str(role.facts()["note"])
        assert "moved to state.rejected" in str(role.facts()["note"])
        assert state.with_name("state.rejected").read_bytes() == b"no state"
    finally:
        await role.stop()
    assert not state.exists()
    again = ChainRole(bench, port=0)
    try:
        await again.start()
        assert again.facts()["note"] == ""
    finally:
        await again.stop()


async def test_a_state_without_blocks_is_neither_kept_nor_used(bench: Bench) -> None:
    """A node that loads it makes another first block than the journal's."""
    state = Paths(bench.data).chain_state
    role = ChainRole(bench, port=0)
    await role.start()
    assert role.node is not None
    without = await role.node.dump_state()
    await role.stop()
    assert not state.exists()
    state.write_bytes(without)
    again = ChainRole(bench, port=0)
    try:
        await again.start()
        assert "moved to state.rejected" in str(again.facts()["note"])
    finally:
        await again.stop()


async def test_a_state_with_blocks_is_kept(bench: Bench) -> None:
    role = ChainRole(bench, port=0)
    await role.start()
    async with Node(role.url) as node:
        await node.call("evm_mine")
    await role.stop()
    assert Paths(bench.data).chain_state.is_file()


async def test_a_state_whose_accounts_are_those_of_another_block_is_set_aside(bench: Bench) -> None:
    """So a node dumps it that mines meanwhile."""
    role = ChainRole(bench, port=0)
    await role.start()
    paths = Paths(bench.data)
    with closing(Journal.open(paths.journal)) as journal:
        async with Node(role.url) as node:
            submitter = Submitter(node, journal, read_secret(paths.key("anchor")), VirtualClock(10**18))
            await submitter.catch_up(load_artifact())
    await role.stop()

    state = paths.chain_state
    whole = state.read_bytes()
    for torn in (False, True):
        content = json.loads(gzip.decompress(whole))
        account = next(found for found in content["accounts"].values() if found["nonce"] == 1 and found["code"] == "0x")
        account["nonce"] += torn
        state.write_bytes(gzip.compress(json.dumps(content).encode()))
        again = ChainRole(bench, port=0)
        try:
            await again.start()
            assert ("accounts are not those of its newest block" in str(again.facts()["note"])) is torn
            async with Node(again.url) as node:
                assert await node.height() == (0 if torn else 1)
        finally:
            await again.stop()


async def test_a_node_that_died_is_started_again(bench: Bench) -> None:
    role = ChainRole(bench, port=0)
    try:
        await role.start()
        node = role.node
        assert node is not None
        os.kill(node.pid, signal.SIGKILL)
        await node.wait()
        with pytest.raises(NodeUnreachable, match="the development node ended"):
            await role.step()
        with pytest.raises(ChainError, match="does not run yet"):
            role.facts()  # no address that the anchor could speak to while the next node loads its state
        await role.step()
        assert role.facts()["node"] != node.pid
        assert role.node is not None
        assert role.node.running
    finally:
        await role.stop()
