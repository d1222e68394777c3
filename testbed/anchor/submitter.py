"""The submitter on the bench's own node: one transaction a block, one at a time, each written down before it is sent.

A killed node is rebuilt from the journal: the same signed transactions at the same timestamps give the same block
hashes. A killed submitter sends its last intent again as it was written.
"""

from testbed.anchor.sender import Sender
from testbed.chain.artifact import Artifact
from testbed.chain.journal import Journal
from testbed.chain.registry import DEPLOY_FEES, Fees, log_id, read_transaction, slot_key
from testbed.chain.rpc import Node
from testbed.chain.steps import Anchoring, Intent, Mined, Step
from testbed.chain.wire import Receipt
from testbed.core import failpoints
from testbed.core.clock import Clock
from testbed.core.errors import ChainError, Rejected


class Submitter(Sender):
    """Sets the time of every block, and rebuilds a node that lost blocks."""

    def __init__(self, node: Node, journal: Journal, key: bytes, clock: Clock) -> None:
        super().__init__(node, journal, key)
        self._clock = clock

    async def catch_up(self, artifact: Artifact) -> int:
        """Bring node and journal together, and deploy the contract where there is none yet.

        Returns how many blocks were built again. Raises ChainError where the chain holds what the journal does not.
        """
        await self._check_chain()
        rebuilt = await self._rebuild()
        if self.journal.reached.steps == 0:
            await self._deploy(artifact, DEPLOY_FEES)
        await self._check_code(artifact)
        return rebuilt

    async def _fees(self, least: Fees, to: str | None, data: bytes) -> Fees:  # noqa: ARG002  # always the same bytes
        return least

    async def _submit(self, raw: bytes, anchoring: Anchoring | None) -> Step:
        parent = await self._node.block("latest")
        if parent is None:
            raise ChainError(f"{self._node.url} has no newest block")
        top = self.journal.top
        if top is not None and parent.hash != top[1]:
            raise self._foreign(f"its newest block is {parent.number}, another one than {top[0]} of the journal")
        timestamp = max(parent.timestamp, self._clock.now_ns() // 10**9)
        intent = Intent(self.journal.reached.steps, parent.number + 1, parent.hash, timestamp, raw, anchoring)
        self.journal.intent(intent)
        return await self._record(intent, await self._send(intent))

    async def _send(self, intent: Intent) -> Receipt:
        if intent.timestamp is not None:
            await self._node.set_next_timestamp(intent.timestamp)
        failpoints.reached("send", failpoints.BEFORE, intent.number)
        receipt = await self._node.wait_for_receipt(await self._node.send(intent.transaction))
        failpoints.reached("send", failpoints.AFTER, intent.number)
        return receipt

    async def _record(self, intent: Intent, receipt: Receipt) -> Step:
        """Write down what came of an intent. A reverted transaction was mined as well, and moved no head."""
        block = await self._node.block(receipt.block_number)
        if block is None or block.hash != receipt.block_hash:
            raise ChainError(f"{self._node.url}: block {receipt.block_number} changed while it was read", "try again")
        head, proof = self.journal.head, None
        if intent.anchored is not None:
            slot = slot_key(log_id(head.submitter, intent.anchored.origin))
            # A pruning node proves the newest block only, so the proof is taken before the next transaction.
            proof = await self._node.proof(head.contract, slot, hex(block.number))
        mined = Mined(
            number=intent.number,
            height=block.number,
            block_hash=block.hash,
            header=block.header_rlp,
            timestamp=block.timestamp,
            gas_used=receipt.gas_used,
            tx_hash=receipt.tx_hash,
            slot_proof=proof,
            receipt=receipt.encoded,
        )
        self.journal.mined(mined)
        if not receipt.succeeded:
            raise Rejected(f"block {block.number}: the contract reverted the transaction", "run `testbed verify`")
        return Step(intent, mined)

    async def _rebuild(self) -> int:
        """Send again what the node lost, see that every block comes out the same, finish what was begun."""
        reached = self.journal.reached
        height, rebuilt = await self._node.height(), 0
        if reached.newest is not None and reached.newest.height > height:
            rebuilt = await self._send_lost(height)
        elif reached.newest is not None:
            await self._same_block(reached.newest)
        if reached.last is not None and reached.last.mined is None:
            await self._finish(reached.last.intent)
        top = reached.newest.height if reached.newest is not None else 0
        if await self._node.height() > top:
            raise self._foreign(f"it has blocks above {top}, the last one of the journal")
        return rebuilt

    async def _send_lost(self, height: int) -> int:
        """Send every block above `height` again. The node must hold the journal's block at that height."""
        held, lost = None, 0
        for step in self.journal.steps():
            if step.mined is not None and step.mined.height <= height:
                held = step.mined
            elif step.mined is not None:
                if held is not None and lost == 0:
                    await self._same_block(held)
                await self._send(step.intent)
                await self._same_block(step.mined)
                lost += 1
        return lost

    async def _finish(self, intent: Intent) -> None:
        """Bring the last intent to its end: it may not have been sent, be waiting, or be mined."""
        tx_hash = read_transaction(intent.transaction).hash
        # In this order: a transaction that is mined meanwhile has its receipt then.
        height = await self._node.height()
        receipt = await self._node.receipt(tx_hash)
        if receipt is None and height >= intent.height:
            raise self._foreign(f"block {intent.height} is not made of the journal's transaction")
        if receipt is None and await self._node.transaction(tx_hash) is not None:
            receipt = await self._node.wait_for_receipt(tx_hash)
        if receipt is None:
            try:
                receipt = await self._send(intent)
            except Rejected:
                # A node that hung may take just now what it was handed before; then it refuses it a second time.
                if await self._node.transaction(tx_hash) is None:
                    raise
                receipt = await self._node.wait_for_receipt(tx_hash)
        await self._record(intent, receipt)
