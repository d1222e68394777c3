"""The role `anchor`: from the logs' checkpoints into the contract."""

from collections.abc import Sequence

from testbed.anchor.anchorer import Anchorer
from testbed.anchor.policy import Policy
from testbed.anchor.submitter import Submitter
from testbed.chain.artifact import load_artifact
from testbed.chain.journal import Journal
from testbed.chain.rpc import Node
from testbed.core.clock import Clock
from testbed.core.errors import TestbedError
from testbed.keys.files import read_secret
from testbed.rig.bench import Bench
from testbed.rig.logs import signing_key
from testbed.rig.paths import Paths
from testbed.rig.roles.role import Facts
from testbed.store.sqlite import LogStore


class AnchorRole:
    """Puts checkpoints of the logs into the contract."""

    period_s = 0.1

    def __init__(self, bench: Bench, clock: Clock, url: str) -> None:
        paths = Paths(bench.data)
        self._node = Node(url)
        self._journal = Journal.open(paths.journal)
        key = read_secret(paths.key("anchor"))
        dev_node = bench.chain.kind == "anvil"
        self._submitter = Submitter(self._node, self._journal, key, clock, dev_node=dev_node)
        names = (bench.reader.name, bench.twin.name)
        self._stores: Sequence[LogStore] = [LogStore.read(paths.log(name)) for name in names]
        logs = [(signing_key(bench, name).verifier(), store) for name, store in zip(names, self._stores, strict=True)]
        policy = Policy(bench.anchor.every, int(bench.anchor.within_s * 1e9))
        self._anchorer = Anchorer(self._submitter, logs, policy, clock)
        self.rebuilt = 0
        self._caught_up = False

    async def start(self) -> None:
        await self._catch_up()

    async def step(self, *, flush: bool = False) -> None:
        """One round if one is due, or if there is anything with `flush`. A node that lost blocks is caught up with."""
        if not self._caught_up:
            await self._catch_up()
        try:
            await self._anchorer.step(flush=flush)
        except TestbedError:
            self._caught_up = False
            raise

    async def stop(self) -> None:
        """Anchor what is not anchored yet, then end."""
        try:
            await self.step(flush=True)
        finally:
            await self._node.close()
            self._journal.close()
            for store in self._stores:
                store.close()

    def facts(self) -> Facts:
        heads = {f"anchored {origin}": head.size for origin, head in self._submitter.heads.items()}
        height = max((s.mined.height for s in self._journal.steps[-2:] if s.mined is not None), default=0)
        return {
            "height": height,
            "anchors": self._anchorer.anchors,
            "gas": self._anchorer.gas_used,
            "rebuilt": self.rebuilt,
            **heads,
        }

    async def _catch_up(self) -> None:
        self.rebuilt += await self._submitter.catch_up(load_artifact())
        self._caught_up = True
