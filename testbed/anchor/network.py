"""Anchoring on a network of others: fees that follow it, transactions that wait their turn, blocks that are taken back.

Nothing here sets a time or mines a block. A transaction that waits for too long is signed again with a higher fee, the
same nonce, as one more version of its step. A step counts as settled once its block stands under as many as the head of
the journal asks for. Until then its block may be taken back: the journal says so, and the same transaction is brought
into a block again. One that was settled and stands no longer is no reorganisation but a rewrite, and the sender stops.
"""

import asyncio
import time
from dataclasses import dataclass

from testbed.anchor.sender import Sender
from testbed.chain.artifact import Artifact
from testbed.chain.journal import Journal
from testbed.chain.proofs import header_fields, verify_slot
from testbed.chain.registry import (
    DEPLOY_FEES,
    Fees,
    commitment,
    fees_of,
    log_id,
    read_transaction,
    slot_key,
    with_fees,
)
from testbed.chain.rpc import Node
from testbed.chain.steps import Anchoring, Dropped, Intent, Mined, Reorganised, Settled, Step, Version
from testbed.chain.wire import Block, Receipt
from testbed.core import failpoints
from testbed.core.clock import Clock
from testbed.core.errors import ChainError, InvalidData, NodeUnreachable, Rejected

GWEI = 10**9
_KEPT = 64
"""Blocks whose state every node has: without a proof from one of these, the question is asked again."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How far a sender goes.

    most_per_gas: the highest fee that it offers, wei per unit of gas; patience_ns: how long a transaction waits before
    its fee is raised, and a block may be missing before it counts as taken back, ns; look_ns: how often it looks after
    what is not settled, ns; within_s: how long one call waits for a block, s of the wall, before it says that it waits.
    """

    most_per_gas: int = 100 * GWEI
    patience_ns: int = 60 * 10**9
    look_ns: int = 10**9
    within_s: float = 20.0


class NetworkSender(Sender):
    """Sends one transaction at a time, and looks after those that are not settled."""

    def __init__(self, node: Node, journal: Journal, key: bytes, clock: Clock, terms: Terms | None = None) -> None:
        super().__init__(node, journal, key)
        self._clock = clock
        self._terms = terms or Terms()
        self._waits_since: tuple[bytes, int] | None = None
        self._gone_since: int | None = None
        self._looked: int | None = None

    async def catch_up(self, artifact: Artifact) -> int:
        """As Sender says. A contract that stands already is taken if its code is the right one."""
        await self._check_chain()
        settled = self.journal.reached.settled.newest
        if settled is not None:
            await self._stands(settled)
        self._looked = None
        await self.tend()
        head = self.journal.head
        if self.journal.reached.steps == 0 and not await self._node.code(head.contract):
            await self._deploy(artifact, await self._fees(DEPLOY_FEES, None, artifact.bytecode))
        await self._check_code(artifact)
        return 0

    async def tend(self) -> None:
        """Notice blocks that were taken back, bring their transactions into blocks again, settle what is deep enough.

        Raises NodeUnreachable while a transaction waits for a block or the node is behind; ChainError where a settled
        block is another one now.
        """
        if not self.journal.reached.recent:
            return
        now = self._clock.now_ns()
        idle = self.journal.reached.open is None and self._looked is not None
        if idle and self._looked is not None and 0 <= now - self._looked < self._terms.look_ns:
            return
        await self._notice()
        while (step := self.journal.reached.open) is not None:
            await self._bring_home(step)
        await self._settle()
        self._looked = now

    async def _notice(self) -> None:
        """Write down the lowest block of a step that is not settled and stands no longer."""
        lost: tuple[Mined, Block | None] | None = None
        for step in reversed(self.journal.reached.recent):
            if step.mined is None:
                continue
            block = await self._node.block(step.mined.height)
            if block is not None and block.hash == step.mined.block_hash:
                break
            if block is None:
                self._wait_for_missing(step.mined)
            lost = (step.mined, block)
        else:
            settled = self.journal.reached.settled.newest
            if lost is not None and settled is not None:
                await self._stands(settled)
        self._gone_since = None
        if lost is not None:
            mined, block = lost
            self.journal.note(Reorganised(mined.number, mined.height, None if block is None else block.hash))

    def _wait_for_missing(self, mined: Mined) -> None:
        """A node that is behind has not got there yet; only when that goes on the block counts as taken back."""
        now = self._clock.now_ns()
        if self._gone_since is None:
            self._gone_since = now
        if now - self._gone_since < self._terms.patience_ns:
            raise NodeUnreachable(
                f"{self._node.url} is behind: it does not have block {mined.height} of the journal", "wait for the node"
            )

    async def _stands(self, settled: Mined) -> None:
        """Raises ChainError unless a settled block stands."""
        if await self._node.block(settled.height) is None:
            raise NodeUnreachable(
                f"{self._node.url} is behind: it does not have block {settled.height} of the journal",
                "wait for the node",
            )
        await self._same_block(settled)

    async def _settle(self) -> None:
        """Settle the steps whose blocks are deep enough."""
        confirmations, last, newest = self.journal.head.confirmations, None, None
        if confirmations == 1:
            return
        height = await self._node.height()
        for step in self.journal.reached.recent:
            if not step.done or (step.mined is not None and height - step.mined.height + 1 < confirmations):
                break
            last, newest = step, step.mined or newest
        if last is None:
            return
        if newest is not None:
            block = await self._node.block(newest.height)
            if block is None or block.hash != newest.block_hash:
                return  # it was taken back just now, which the next look notices
        self.journal.note(Settled(last.intent.number))

    async def _submit(self, raw: bytes, anchoring: Anchoring | None) -> Step:
        parent, newest = await self._newest(), self.journal.reached.newest
        if newest is not None and parent.number < newest.height:
            raise NodeUnreachable(f"{self._node.url} is behind: it ends at block {parent.number}", "wait for the node")
        if newest is not None and parent.number == newest.height and parent.hash != newest.block_hash:
            if self.journal.head.confirmations == 1:
                await self._same_block(newest)
            raise ChainError(f"{self._node.url}: block {parent.number} was exchanged just now", "try again")
        number = self.journal.reached.steps
        self.journal.intent(Intent(number, parent.number + 1, parent.hash, None, raw, anchoring))
        step = self.journal.reached.open
        if step is None:
            raise ChainError(f"{self.journal.path}: step {number} is not open")
        done = await self._bring_home(step)
        if done.mined is not None and not done.mined.succeeded:
            raise Rejected(f"block {done.mined.height}: the contract reverted the transaction", "run `testbed verify`")
        return done

    async def _bring_home(self, step: Step) -> Step:
        """Bring an open step to its end: it may not have been sent, be waiting, be mined, or never be mined.

        Raises NodeUnreachable when that takes too long; the step stays open.
        """
        deadline, pause = time.monotonic() + self._terms.within_s, 0.001
        while True:
            receipt = await self._receipt(step)
            if receipt is not None:
                failpoints.reached("send", failpoints.AFTER, step.intent.number)
                return await self._record(step, receipt)
            if pause == 0.001 or pause > 0.2:
                if await self._is_taken(step):
                    self.journal.note(Dropped(step.intent.number))
                    return step
                step = await self._keep_alive(step)
            if time.monotonic() > deadline:
                what = f"step {step.intent.number} of the journal waits for a block of {self._node.url}"
                raise NodeUnreachable(what, "wait; or raise max_fee_gwei under [chain] where the fee is too low")
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.5)

    async def _receipt(self, step: Step) -> Receipt | None:
        for raw in reversed(step.transactions):
            receipt = await self._node.receipt(read_transaction(raw).hash)
            if receipt is not None:
                return receipt
        return None

    async def _is_taken(self, step: Step) -> bool:
        """Whether another transaction of the account has the step's nonce, in a block that is deep enough.

        A node that merely does not show the receipt would say so as well, so the contract has to show by a proof that
        it holds there what it held before the step.
        """
        account, nonce = self.journal.reached.submitter, read_transaction(step.sent).nonce
        if await self._node.nonce(account) <= nonce:
            return False
        deep = await self._node.height() - self.journal.head.confirmations + 1
        if deep < 0 or await self._node.nonce(account, deep) <= nonce:
            return False
        # Asked once more: it may have been mined between the two questions.
        return await self._receipt(step) is None and await self._had_no_effect(step, deep)

    async def _had_no_effect(self, step: Step, height: int) -> bool:
        head, anchored = self.journal.head, step.intent.anchored
        if anchored is None:
            return not await self._node.code(head.contract)
        before = bytes(32)
        if anchored.old_size:
            before = commitment(anchored.old_size, anchored.old_root, anchored.old_time)
        slot, block = slot_key(log_id(self.journal.reached.submitter, anchored.origin)), await self._node.block(height)
        if block is None:
            return False
        try:
            proof = await self._node.proof(head.contract, slot, hex(height))
            return verify_slot(header_fields(block.header_rlp), head.contract, slot, proof).value == before
        except (Rejected, InvalidData):
            return False

    async def _keep_alive(self, step: Step) -> Step:
        """Send what the node does not know (any more), or raise the fee of what waits for too long."""
        raw, now = step.sent, self._clock.now_ns()
        tx_hash = read_transaction(raw).hash
        if self._waits_since is None or self._waits_since[0] != tx_hash:
            self._waits_since = (tx_hash, now)
        if await self._node.transaction(tx_hash) is None:
            await self._send(step, raw)
        elif now - self._waits_since[1] >= self._terms.patience_ns:
            raised = self._raised(fees_of(raw), await self._fees(fees_of(raw), None, b""))
            if raised is not None:
                dearer = with_fees(self._key, raw, raised)
                self.journal.note(Version(step.intent.number, dearer))
                step = self.journal.reached.open or step
                await self._send(step, dearer)
            self._waits_since = (read_transaction(step.sent).hash, now)
        return step

    async def _send(self, step: Step, raw: bytes) -> None:
        failpoints.reached("send", failpoints.BEFORE, step.intent.number)
        try:
            await self._node.send(raw)
        except Rejected as error:
            tx_hash = read_transaction(raw).hash
            # It may have been mined, or been taken, since it was asked for.
            if await self._node.transaction(tx_hash) is not None or await self._is_taken(step):
                return
            said = error.problem.lower()
            if "insufficient funds" in said:
                mend = f"send ether to {self.journal.reached.submitter}, the account of the anchor"
                raise NodeUnreachable(
                    f"{self._node.url}: the anchor's account cannot pay: {error.problem}", mend
                ) from error
            if "underpriced" in said or "nonce too low" in said or "already known" in said:
                return
            raise

    async def _fees(self, least: Fees, to: str | None, data: bytes) -> Fees:
        """Twice the newest base fee, so that it lasts for some blocks, and what the node holds to be a fair tip."""
        base = (await self._newest()).base_fee
        if base is None:
            raise ChainError(f"{self._node.url} has no base fee", "name a network that has EIP-1559")
        most = self._terms.most_per_gas
        if base >= most:
            mend = "wait, or raise max_fee_gwei under [chain]"
            raise NodeUnreachable(
                f"{self._node.url} asks {base / GWEI:g} gwei a gas, {most / GWEI:g} are allowed", mend
            )
        tip = min(await self._node.tip(), most)
        gas = least.gas
        if data:
            try:
                gas = max(gas, await self._node.estimate(self.journal.reached.submitter, to, data) * 5 // 4)
            except Rejected as error:
                if "insufficient funds" in error.problem.lower():
                    mend = f"send ether to {self.journal.reached.submitter}, the account of the anchor"
                    raise NodeUnreachable(f"{self._node.url}: {error.problem}", mend) from error
        return Fees(gas, min(2 * base + tip, most), tip)

    def _raised(self, old: Fees, now: Fees) -> Fees | None:
        """A quarter more than before at least, as nodes ask for an eighth; None where the limit does not allow that."""
        fee = min(max(now.max_fee_per_gas, old.max_fee_per_gas * 5 // 4 + 1), self._terms.most_per_gas)
        tip = min(max(now.max_priority_fee_per_gas, old.max_priority_fee_per_gas * 5 // 4 + 1), fee)
        enough = 8 * fee >= 9 * old.max_fee_per_gas and 8 * tip >= 9 * old.max_priority_fee_per_gas
        return Fees(old.gas, fee, tip) if enough else None

    async def _record(self, step: Step, receipt: Receipt) -> Step:
        """Write down what came of a step. A reverted transaction was mined as well, and moved no head."""
        block = await self._node.block(receipt.block_number)
        if block is None or block.hash != receipt.block_hash:
            raise ChainError(f"{self._node.url}: block {receipt.block_number} changed while it was read", "try again")
        proof = await self._proof(step.intent.anchored, block) if receipt.succeeded else None
        mined = Mined(
            number=step.intent.number,
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
        settled = self.journal.head.confirmations == 1
        return Step(step.intent, mined, step.versions, settled=settled, reopened=step.reopened)

    async def _proof(self, anchored: Anchoring | None, block: Block) -> bytes | None:
        """The proof of the log's slot under the block; None where there is none to be had any more.

        A later anchor of the same log in the same block leaves none, and so does a node that has pruned that state: the
        next anchor of the log has one, and covers this one. Raises ChainError where it may be had by asking again.
        """
        if anchored is None:
            return None
        head = self.journal.head
        slot = slot_key(log_id(self.journal.reached.submitter, anchored.origin))
        try:
            proof = await self._node.proof(head.contract, slot, hex(block.number))
            proven = verify_slot(header_fields(block.header_rlp), head.contract, slot, proof)
        except (Rejected, InvalidData) as error:
            if await self._node.height() - block.number >= _KEPT:
                return None
            what = f"{self._node.url} does not prove the log's slot in block {block.number}: {error}"
            raise ChainError(what, "try again; or name a node that answers eth_getProof") from error
        held = commitment(anchored.size, anchored.root, block.timestamp)
        return proof if proven.value == held else None

    async def _newest(self) -> Block:
        block = await self._node.block("latest")
        if block is None:
            raise ChainError(f"{self._node.url} has no newest block")
        return block
