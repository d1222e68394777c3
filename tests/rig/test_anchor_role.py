"""The role `anchor` and the bench's own node: nothing is sent to one that is not what it will be."""

from pathlib import Path

import pytest

from testbed.chain.rpc import Node
from testbed.core.clock import VirtualClock
from testbed.core.entropy import SeededEntropy
from testbed.core.errors import NodeUnreachable
from testbed.rig.bench import RECEIPTS, load_bench
from testbed.rig.default import default_text
from testbed.rig.initialize import initialize
from testbed.rig.logs import Configuration, open_log
from testbed.rig.roles.anchor import AnchorRole
from testbed.rig.roles.chain import ChainRole


async def test_nothing_is_sent_to_a_node_that_is_not_ready(tmp_path: Path) -> None:
    """A node listens before it has loaded its state. What is sent to it then is built on a chain that goes away."""
    (tmp_path / "bench.toml").write_text(default_text(), encoding="utf-8")
    bench = load_bench(tmp_path / "bench.toml")
    clock = VirtualClock(10**18)
    await initialize(bench, bench.trust_file, clock, SeededEntropy(1, "keys"), simulated=False)
    for name in bench.logs:
        if name != RECEIPTS:
            _, store = open_log(bench, name, Configuration(), clock, SeededEntropy(1, name), simulated=False)
            store.close()
    chain = ChainRole(bench, port=0)
    ready = False
    try:
        await chain.start()
        entropy = SeededEntropy(1, "receipts")
        anchor = AnchorRole(bench, clock, entropy, chain.url, simulated=False, ready=lambda: ready)
        async with Node(chain.url) as node:
            with pytest.raises(NodeUnreachable, match="not ready"):
                await anchor.start()
            assert await node.height() == 0
            ready = True
            await anchor.start()
            deployed = await node.height()
            assert deployed > 0
            ready = False
            with pytest.raises(NodeUnreachable, match="not ready"):
                await anchor.step(flush=True)
            assert await node.height() == deployed
            ready = True
            await anchor.step(flush=True)
            assert await node.height() > deployed
        await anchor.stop()
    finally:
        await chain.stop()
