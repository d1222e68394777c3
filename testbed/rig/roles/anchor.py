"""The role `anchor`: from the logs' checkpoints into the contract, and what came of it into the log of receipts."""

from collections.abc import Callable, Sequence

from testbed.anchor.anchorer import Anchorer, ReceiptLog
from testbed.anchor.policy import Policy
from testbed.anchor.sender import Sender
from testbed.anchor.submitter import Submitter
from testbed.chain.journal import Journal
from testbed.chain.rpc import Node
from testbed.core.bodies import Beacon
from testbed.core.clock import Clock
from testbed.core.entropy import Entropy
from testbed.rig.bench import RECEIPTS, Bench
from testbed.rig.bench_file import FurtherChain
from testbed.rig.log_keys import log_keys
from testbed.rig.logs import Configuration, open_log
from testbed.rig.networks import network_sender, submitter_secret
from testbed.rig.paths import Paths
from testbed.rig.roles.chain_anchor import ChainAnchor
from testbed.rig.roles.further import Further
from testbed.rig.roles.role import Facts, Publishing
from testbed.store.sqlite import LogStore


class AnchorRole:
    """Puts checkpoints of the logs into the contract, and into that of every further chain.

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
        names = [name for name in bench.logs if name != RECEIPTS]
        self._stores: Sequence[LogStore] = [LogStore.read(paths.log(name)) for name in names]
        self._logs = [(log_keys(bench, name), store) for name, store in zip(names, self._stores, strict=True)]
        self._receipts, self._store = open_log(
            bench, RECEIPTS, Configuration(), clock, entropy, simulated=simulated, follows_time=False
        )
        self._publishing = Publishing(self._receipts, clock, bench.log.publish_ms * 1_000_000)
        receipts_key = log_keys(bench, RECEIPTS)

        def anchoring(journal: Journal, node: Node, chain: FurtherChain | None) -> ChainAnchor:
            sender: Sender
            key = submitter_secret(paths, "" if chain is None else chain.name)
            if chain is None and bench.chain.kind == "anvil":
                sender = Submitter(node, journal, key, clock)
            else:
                sender = network_sender(chain or bench.chain, node, journal, key, clock)
            pace = chain or bench.anchor
            policy = Policy(pace.every, int(pace.within_s * 1e9))
            receipts = ReceiptLog(receipts_key, self._store, self._receipts if chain is None else None)
            anchorer = Anchorer(sender, self._logs, policy, clock, receipts)
            return ChainAnchor(node, sender, anchorer, ready if chain is None else lambda: True)

        self._first = anchoring(Journal.open(paths.journal), Node(url), None)
        self._further = [
            Further(
                chain.name,
                anchoring(Journal.open(paths.further_journal(chain.name)), Node(chain.url), chain),
                waits=simulated,
            )
            for chain in bench.further_chains
        ]

    async def start(self) -> None:
        await self._first.start()

    async def step(self, *, flush: bool = False) -> None:
        """One round if one is due, or if there is anything with `flush`; further chains have rounds of their own."""
        for further in self._further:
            await further.step()
        await self._first.step(flush=flush)
        self._publishing.step()

    async def stop(self) -> None:
        """Anchor what is not anchored yet, then end."""
        try:
            await self.step(flush=True)
        finally:
            self._receipts.publish()
            for further in self._further:
                await further.stop()
            await self._first.close()
            for store in (*self._stores, self._store):
                store.close()

    @property
    def newest(self) -> Beacon | None:
        """The newest block on record that the chain does not take back any more."""
        return self._first.settled

    def facts(self) -> Facts:
        top = self.newest
        further: Facts = {
            f"anchored on {further.name} {origin}": size
            for further in self._further
            for origin, size in further.chain.anchored.items()
        }
        return {
            "height": 0 if top is None else top.number,
            "block": "" if top is None else top.block_hash.hex(),
            "anchors": self._first.anchors,
            "gas": self._first.gas_used,
            "rebuilt": self._first.rebuilt,
            **{f"anchored {origin}": size for origin, size in self._first.anchored.items()},
            **further,
            **{f"{further.name} waits": further.problem for further in self._further if further.problem},
        }
