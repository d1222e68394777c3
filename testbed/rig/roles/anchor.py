"""The role `anchor`: from the logs' checkpoints into the contract, and what came of it into the log of receipts."""

from collections.abc import Callable, Sequence

from testbed.anchor.anchorer import Anchorer, ReceiptLog
from testbed.anchor.policy import Policy
from testbed.anchor.submitter import Submitter
from testbed.chain.artifact import load_artifact
from testbed.chain.journal import Journal
from testbed.chain.rpc import Node
from testbed.core.bodies import Beacon
from testbed.core.clock import Clock
from testbed.core.entropy import Entropy
from testbed.core.errors import NodeUnreachable, TestbedError
from testbed.keys.files import read_secret
from testbed.rig.bench import RECEIPTS, Bench
from testbed.rig.log_keys import log_keys
from testbed.rig.logs import Configuration, open_log
from testbed.rig.paths import Paths
from testbed.rig.roles.role import Facts, Publishing
from testbed.store.sqlite import LogStore


class AnchorRole:
    """Puts checkpoints of the logs into the contract.

    ready: whether the node at `url` may be spoken to: the bench's own one answers before it is what it will be.
    """

    period_s = 0.1

    def __init__(
        self,
        bench: Bench,
        clock: Clock,
        entropy: Entropy,
        url: str,
        *,
        simulated: bool,
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        paths = Paths(bench.data)
        self._ready = ready
        self._chain_id = bench.chain.chain_id
        self._node = Node(url)
        self._journal = Journal.open(paths.journal)
        key = read_secret(paths.key("anchor"))
        dev_node = bench.chain.kind == "anvil"
        self._submitter = Submitter(self._node, self._journal, key, clock, dev_node=dev_node)
        names = [name for name in bench.logs if name != RECEIPTS]
        self._stores: Sequence[LogStore] = [LogStore.read(paths.log(name)) for name in names]
        logs = [(log_keys(bench, name), store) for name, store in zip(names, self._stores, strict=True)]
        self._receipts, self._store = open_log(
            bench, RECEIPTS, Configuration(), clock, entropy, simulated=simulated, follows_time=False
        )
        self._publishing = Publishing(self._receipts, clock, bench.log.publish_ms * 1_000_000)
        policy = Policy(bench.anchor.every, int(bench.anchor.within_s * 1e9))
        receipts = ReceiptLog(log_keys(bench, RECEIPTS), self._store, self._receipts)
        self._anchorer = Anchorer(self._submitter, logs, policy, clock, receipts)
        self.rebuilt = 0
        self._caught_up = False

    async def start(self) -> None:
        await self._catch_up()

    async def step(self, *, flush: bool = False) -> None:
        """One round if one is due, or if there is anything with `flush`. A node that lost blocks is caught up with."""
        if not self._caught_up:
            await self._catch_up()
        try:
            self._must_be_ready()
            await self._anchorer.step(flush=flush)
        except TestbedError:
            self._caught_up = False
            raise
        self._publishing.step()

    async def stop(self) -> None:
        """Anchor what is not anchored yet, then end."""
        try:
            await self.step(flush=True)
        finally:
            self._receipts.publish()
            await self._node.close()
            self._journal.close()
            for store in (*self._stores, self._store):
                store.close()

    @property
    def newest(self) -> Beacon | None:
        """The newest block on record."""
        top = self._journal.top
        return None if top is None else Beacon(self._chain_id, *top)

    def facts(self) -> Facts:
        heads = {f"anchored {origin}": head.size for origin, head in self._submitter.heads.items()}
        top = self.newest
        return {
            "height": 0 if top is None else top.number,
            "block": "" if top is None else top.block_hash.hex(),
            "anchors": self._anchorer.anchors,
            "gas": self._anchorer.gas_used,
            "rebuilt": self.rebuilt,
            **heads,
        }

    def _must_be_ready(self) -> None:
        if not self._ready():
            raise NodeUnreachable(f"{self._node.url} is not ready", "wait for the role chain")

    async def _catch_up(self) -> None:
        self._must_be_ready()
        self.rebuilt += await self._submitter.catch_up(load_artifact())
        self._caught_up = True
