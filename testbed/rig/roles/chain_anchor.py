"""Anchoring on one chain: its node, its journal and its rounds. The role `anchor` has one for each chain."""

from collections.abc import Callable

from testbed.anchor.anchorer import Anchorer
from testbed.anchor.sender import Sender
from testbed.chain.artifact import load_artifact
from testbed.chain.rpc import Node
from testbed.core.bodies import Beacon
from testbed.core.errors import NodeUnreachable, TestbedError


class ChainAnchor:
    """ready: whether the node may be spoken to: the bench's own one answers before it is what it will be."""

    def __init__(self, node: Node, sender: Sender, anchorer: Anchorer, ready: Callable[[], bool]) -> None:
        self._node = node
        self._sender = sender
        self._anchorer = anchorer
        self._ready = ready
        self._caught_up = False
        self.rebuilt = 0

    async def start(self) -> None:
        """Bring node and journal together. Raises ChainError, StoreError."""
        self._must_be_ready()
        self.rebuilt += await self._sender.catch_up(load_artifact())
        self._caught_up = True

    async def step(self, *, flush: bool = False) -> None:
        """One round if one is due, or if there is anything with `flush`. A node that lost blocks is caught up with."""
        if not self._caught_up:
            await self.start()
        try:
            self._must_be_ready()
            await self._anchorer.step(flush=flush)
        except TestbedError:
            self._caught_up = False
            raise

    async def close(self) -> None:
        await self._node.close()
        self._sender.journal.close()

    @property
    def settled(self) -> Beacon | None:
        """The newest block on record that the chain does not take back any more."""
        reached = self._sender.journal.reached
        newest = reached.settled.newest
        return None if newest is None else Beacon(reached.head.chain_id, newest.height, newest.block_hash)

    @property
    def anchored(self) -> dict[str, int]:
        """Size that the contract has accepted, by origin."""
        return {origin: head.size for origin, head in self._sender.heads.items()}

    @property
    def anchors(self) -> int:
        """Of this run."""
        return self._anchorer.anchors

    @property
    def gas_used(self) -> int:
        """Of this run."""
        return self._anchorer.gas_used

    def _must_be_ready(self) -> None:
        if not self._ready():
            raise NodeUnreachable(f"{self._node.url} is not ready", "wait for the role chain")
