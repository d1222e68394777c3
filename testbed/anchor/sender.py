"""What every sender of anchors does, on the bench's own node as on a network of others: ask the contract, sign, submit.

How a transaction comes into a block, and what is done when it does not, differs: `submitter` and `network`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from testbed.chain.artifact import Artifact
from testbed.chain.journal import Journal
from testbed.chain.registry import (
    ANCHOR_FEES,
    AnchorCall,
    Fees,
    anchor_calldata,
    anchor_transaction,
    contract_address,
    deploy_transaction,
    explain,
)
from testbed.chain.rpc import Node, Reverted
from testbed.chain.steps import Anchoring, Mined, Step
from testbed.chain.succession import AnchoredHead
from testbed.core.errors import ChainError, NodeUnreachable, Rejected


class Sender(ABC):
    """The journal's one writer."""

    def __init__(self, node: Node, journal: Journal, key: bytes) -> None:
        self.journal = journal
        self._node = node
        self._key = key

    @property
    def heads(self) -> Mapping[str, AnchoredHead]:
        """What the contract holds, by origin."""
        return self.journal.reached.heads

    @abstractmethod
    async def catch_up(self, artifact: Artifact) -> int:
        """Bring node and journal together, and deploy the contract where there is none yet.

        Returns how many blocks were built again. Raises ChainError where the chain holds what the journal does not.
        """

    async def tend(self) -> None:  # noqa: B027  # on the bench's own node nothing is under way
        """See to what is under way, before more is sent. Raises ChainError."""

    async def anchor(self, origin: str, size: int, root: bytes, note: bytes, proof: list[bytes]) -> Step:
        """Anchor one checkpoint; returns when it is mined and the journal has it.

        Raises Rejected when the contract refuses it, and then nothing was sent; StoreError while a step is open.
        """
        self.journal.check_ready()
        head, old = self.journal.head, self.heads.get(origin, AnchoredHead())
        call = AnchorCall(origin, old.size, old.root, old.time, size, root, tuple(proof))
        calldata = anchor_calldata(call)
        try:
            await self._node.simulate(self.journal.reached.submitter, head.contract, calldata)
        except Reverted as error:
            raise Rejected(
                f"the contract refuses size {size} of {origin}: {explain(error.data)}", "run `testbed verify`"
            ) from error
        nonce = await self._node.nonce(self.journal.reached.submitter)
        fees = await self._fees(ANCHOR_FEES, head.contract, calldata)
        raw = anchor_transaction(self._key, head.chain_id, nonce, head.contract, call, fees)
        return await self._submit(raw, Anchoring(origin, old.size, old.root, old.time, size, root, note))

    async def _deploy(self, artifact: Artifact, fees: Fees) -> None:
        """The journal's first step. Raises ChainError where the contract would stand at another address."""
        head = self.journal.head
        nonce = await self._node.nonce(self.journal.reached.submitter)
        if contract_address(head.submitter, nonce) != head.contract:
            raise self._foreign(
                f"at {head.contract} stands no contract, and the submitter's nonce is {nonce} already, so it would be"
                " deployed elsewhere"
            )
        await self._submit(deploy_transaction(self._key, head.chain_id, nonce, artifact.bytecode, fees), None)

    @abstractmethod
    async def _fees(self, least: Fees, to: str | None, data: bytes) -> Fees:
        """What a transaction may cost. to: None for a deployment."""

    @abstractmethod
    async def _submit(self, raw: bytes, anchoring: Anchoring | None) -> Step:
        """Write it down, send it, and write down what came of it."""

    async def _check_chain(self) -> None:
        """Raises ChainError unless the node is of the journal's chain."""
        head = self.journal.head
        if await self._node.chain_id() != head.chain_id:
            raise ChainError(f"{self._node.url} is not chain {head.chain_id}", "point [chain] at the bench's own node")
        genesis = await self._node.block(0)
        if genesis is None and head.node_version is None:
            raise NodeUnreachable(
                f"{self._node.url} does not show its genesis block", "name a node that keeps all blocks"
            )
        if genesis is None or genesis.hash != head.genesis_hash:
            raise self._foreign("its genesis block is another one")

    async def _check_code(self, artifact: Artifact) -> None:
        head = self.journal.head
        if await self._node.code(head.contract) != artifact.runtime:
            raise self._foreign(f"at {head.contract} stands other code than the contract's")

    async def _same_block(self, mined: Mined) -> None:
        block = await self._node.block(mined.height)
        if block is None or block.hash != mined.block_hash:
            raise self._foreign(f"block {mined.height} is not the one that the journal holds")

    def _foreign(self, what: str) -> ChainError:
        return ChainError(
            f"{self._node.url} is not the chain of this bench: {what}",
            "run `testbed verify` to see what was rewritten; the node is left as it is",
        )
