"""Attacks on the chain, by whoever runs the node: another value in a slot, another transaction in a block."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from testbed.attacks.target import Expected, Falsified, TargetChain
from testbed.chain.devnode import DevNode
from testbed.chain.reading import iterate_steps, read_tail
from testbed.chain.registry import deploy_transaction, log_id, read_transaction, slot_key
from testbed.chain.rpc import Node
from testbed.chain.steps import Step
from testbed.core.errors import UsageError
from testbed.core.finding import Layer, What
from testbed.store.files import write_atomic


async def change_slot(chain: TargetChain, origin: str) -> Falsified:
    """Overwrite the contract's slot of a log in the node's state."""
    head = read_tail(chain.journal).head
    sizes = [
        s.intent.anchored.size for s in _anchors(chain) if s.intent.anchored and s.intent.anchored.origin == origin
    ]
    if not sizes:
        raise UsageError(f"{origin} was not anchored yet", "run the bench longer")
    slot = slot_key(log_id(head.submitter, origin))
    async with _node(chain, with_state=True) as (process, node):
        value = await node.storage(head.contract, slot)
        await node.set_storage(head.contract, slot, value[:-1] + bytes([value[-1] ^ 1]))
        write_atomic(chain.state, await process.dump_state())
    where = f"slot of {origin}, size {sizes[-1]}"
    return Falsified(
        f"the contract's {where}, was overwritten", (Expected(What.SUBSTITUTED, Layer.ANCHOR, where, origin),)
    )


async def rewrite_chain(chain: TargetChain, height: int) -> Falsified:
    """Build the chain anew with another transaction of the submitter at `height`, and the old ones above it."""
    steps = _anchors(chain, everything=True)
    if height not in [step.mined.height for step in steps if step.mined is not None and step.intent.anchored]:
        raise UsageError(f"block {height} holds no anchor", "choose the number of a block that does")
    async with _node(chain, with_state=False) as (process, node):
        for step in steps:
            transaction = step.intent.transaction
            if step.mined is not None and step.mined.height == height:
                nonce = read_transaction(transaction).nonce
                transaction = deploy_transaction(chain.key, chain.chain_id, nonce, b"\x00")
            if step.intent.timestamp is not None:
                await node.set_next_timestamp(step.intent.timestamp)
            await node.wait_for_receipt(await node.send(transaction))
        write_atomic(chain.state, await process.dump_state())
    done = f"block {height} was rewritten with another transaction, and the chain rebuilt above it"
    return Falsified(done, (Expected(What.REWRITTEN, Layer.CHAIN, f"block {height}"),))


def anchored_heights(chain: TargetChain, origin: str) -> list[int]:
    """Numbers of the blocks that hold anchors of a log, rising."""
    return [
        step.mined.height
        for step in _anchors(chain)
        if step.mined is not None and step.intent.anchored is not None and step.intent.anchored.origin == origin
    ]


def _anchors(chain: TargetChain, *, everything: bool = False) -> list[Step]:
    steps = [step for step in iterate_steps(chain.journal) if step.mined is not None]
    return [step for step in steps if everything or step.intent.anchored is not None]


@asynccontextmanager
async def _node(chain: TargetChain, *, with_state: bool) -> AsyncIterator[tuple[DevNode, Node]]:
    if with_state and not chain.state.is_file():
        raise UsageError(f"{chain.state}: the node left no state", "run the bench once and stop it with Ctrl-C")
    process = await DevNode.start(
        chain.folder, chain.chain_id, chain.genesis_time_s, chain.funded, state=chain.state if with_state else None
    )
    try:
        async with Node(process.url) as node:
            yield process, node
    finally:
        await process.stop()
