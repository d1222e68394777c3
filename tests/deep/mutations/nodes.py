"""The chain by whoever runs its node: slots and code in its state, blocks rebuilt otherwise.

Each mutation has a node of its own, started from a copy of the bench's state file, or from its genesis where blocks are
made again; what it answers is read as an auditor reads it.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random

from testbed.chain.devnode import DevNode
from testbed.chain.registry import commitment, deploy_transaction, log_id, read_transaction, slot_key
from testbed.chain.rpc import Node
from testbed.chain.steps import Step, encode_line
from testbed.core.finding import Layer, Verdict, What
from testbed.keys.files import read_secret
from testbed.rig.dev_chain import read_dev_chain
from testbed.verify.gather import gather
from tests.deep.mutations.cell import BYTES, KEY, Cell, Draft, Plan
from tests.deep.mutations.expected import Expected, Sought, found, neutral
from tests.deep.mutations.facts import Facts
from tests.deep.mutations.ground import ORIGINS, RECEIPTS, Ground

Work = Callable[[Node], Awaitable[None]]


def on_disk(facts: Facts) -> bool:
    return facts.ground.on_disk


def answered(draft: Draft, work: Work, *, state: bool, later: int = 0, steps: Sequence[Step] | None = None) -> None:
    """What a node says once `work` is done with it. state: it starts from the bench's; later: its genesis, by so many
    s; steps: what the journal has, where it is another one.
    """
    asyncio.run(_answered(draft, work, state=state, later=later, steps=steps))


async def _answered(draft: Draft, work: Work, *, state: bool, later: int, steps: Sequence[Step] | None) -> None:
    ground = draft.ground
    with tempfile.TemporaryDirectory(prefix="mutations-") as name:
        folder, journal = Path(name), ground.paths.journal
        if steps is not None:
            journal = folder / "journal.jsonl"
            journal.write_bytes(_lines(ground, steps))
        kept = await asyncio.to_thread(shutil.copyfile, ground.paths.chain_state, folder / "state") if state else None
        own = read_dev_chain(ground.paths)
        node = await DevNode.start(folder, own.chain_id, own.genesis_time_s + later, own.funded, state=kept)
        try:
            async with Node(node.url) as asked:
                await work(asked)
                seen = await gather(ground.trust, {}, journal, asked, "")
        finally:
            await node.stop()
    draft.chain, draft.chain_problem = seen.chain, seen.chain_problem
    draft.journal, draft.journal_head, draft.journal_problem = seen.journal, seen.journal_head, seen.journal_problem


def _lines(ground: Ground, steps: Sequence[Step]) -> bytes:
    if ground.evidence.journal_head is None:
        raise AssertionError("an honest bench has a journal")
    lines = [encode_line(ground.evidence.journal_head)]
    for step in steps:
        lines += [encode_line(step.intent), *([encode_line(step.mined)] if step.mined is not None else [])]
    return b"".join(lines)


# Slots.


def _slot_of(ground: Ground, origin: str) -> bytes:
    return slot_key(log_id(ground.trust.chain.submitter, origin))


def holds(facts: Facts, origin: str, before: int = 0) -> bytes:
    """What the contract held of a log after its last anchor, or so many before that."""
    step = facts.ground.evidence.journal[facts[origin].anchors[-1 - before].place]
    if step.intent.anchored is None or step.mined is None:
        raise AssertionError("an anchor was accepted")
    return commitment(step.intent.anchored.size, step.intent.anchored.root, step.mined.timestamp)


def slot_wrong(facts: Facts, *origins: str) -> Expected:
    return found(
        *(
            Sought(What.SUBSTITUTED, Layer.ANCHOR, f"slot of {origin}, size {facts[origin].confirmed}", origin)
            for origin in origins
        )
    )


def _slots(said: str, facts: Facts, values: dict[str, bytes], expected: Expected) -> Plan:
    contract = facts.ground.trust.chain.contract

    async def work(node: Node) -> None:
        for origin, value in values.items():
            await node.set_storage(contract, _slot_of(facts.ground, origin), value)

    return Plan(said, lambda draft: answered(draft, work, state=True), expected)


def _slot(change: Callable[[Facts, Random, str], tuple[str, bytes]]) -> Callable[[Facts, Random], Plan]:
    def plan(facts: Facts, rng: Random) -> Plan:
        origin = rng.choice(ORIGINS)
        done, value = change(facts, rng, origin)
        return _slots(f"slot of {origin}: {done}", facts, {origin: value}, slot_wrong(facts, origin))

    return plan


def _flipped_slot(facts: Facts, rng: Random, origin: str) -> tuple[str, bytes]:
    at, value = rng.randrange(32), holds(facts, origin)
    return "a bit of it", value[:at] + bytes([value[at] ^ 1 << rng.randrange(8)]) + value[at + 1 :]


def _other_slot(_: Facts, rng: Random, __: str) -> tuple[str, bytes]:
    return "another value", rng.randbytes(32)


def _empty_slot(_: Facts, __: Random, ___: str) -> tuple[str, bytes]:
    return "emptied", bytes(32)


def _older_slot(facts: Facts, rng: Random, origin: str) -> tuple[str, bytes]:
    before = rng.randrange(1, len(facts[origin].anchors))
    return f"as it was {before} anchor(s) before", holds(facts, origin, before)


def _foreign_slot(facts: Facts, rng: Random, origin: str) -> tuple[str, bytes]:
    other = rng.choice([one for one in ORIGINS if one != origin])
    return f"what is held of {other}", holds(facts, other)


def _swapped_slots(facts: Facts, rng: Random) -> Plan:
    one, other = rng.sample(ORIGINS, 2)
    values = {one: holds(facts, other), other: holds(facts, one)}
    return _slots(f"slots of {one} and {other} exchanged", facts, values, slot_wrong(facts, one, other))


def _strange_slot(facts: Facts, rng: Random) -> Plan:
    origin = f"somebody/{rng.randrange(10**6)}"
    why = "a slot of a log that no auditor trusts: anybody may anchor logs of their own in the contract"
    return _slots(f"slot of {origin} made up", facts, {origin: rng.randbytes(32)}, neutral(why))


def _code(facts: Facts, rng: Random) -> Plan:
    contract = facts.ground.trust.chain.contract
    code = rng.choice((b"", b"\x00", rng.randbytes(rng.randrange(1, 400))))

    async def work(node: Node) -> None:
        await node.call("anvil_setCode", contract, "0x" + code.hex())

    expected = found(Sought(What.SUBSTITUTED, Layer.ANCHOR, f"contract {contract}"))
    return Plan(f"{len(code)} bytes of other code", lambda draft: answered(draft, work, state=True), expected)


# Blocks.


async def send(node: Node, step: Step, not_before: int = 0) -> None:
    """Send a step's transaction again as it was, its block at the same time, unless that has passed."""
    await node.set_next_timestamp(max(step.intent.timestamp or 0, not_before))
    await node.wait_for_receipt(await node.send(step.intent.transaction))


def rewritten(step: Step) -> Expected:
    return found(Sought(What.REWRITTEN, Layer.CHAIN, f"block {step.intent.height}"))


def some_step(facts: Facts, rng: Random) -> int:
    count = len(facts.ground.evidence.journal)
    return rng.choice((0, 1, count - 1, rng.randrange(count), rng.randrange(count)))


def _shorter(facts: Facts, rng: Random) -> Plan:
    steps = facts.ground.evidence.journal
    count = rng.choice((0, 1, len(steps) - 1, rng.randrange(len(steps))))

    async def work(node: Node) -> None:
        for step in steps[:count]:
            await send(node, step)

    sought = Sought(What.BEHIND, Layer.CHAIN, f"block {count}")
    expected = found(sought, verdict=Verdict.INCONCLUSIVE)
    return Plan(f"the first {count} blocks alone", lambda draft: answered(draft, work, state=False), expected)


def _shorter_with_journal(facts: Facts, rng: Random) -> Plan:
    """A backup of node and journal, both genuine: the receipts prove what has come since."""
    steps = facts.ground.evidence.journal
    count = rng.randrange(1, len(steps))
    index = sum(step.intent.anchored is not None for step in steps[:count]) + 1

    async def work(node: Node) -> None:
        for step in steps[:count]:
            await send(node, step)

    expected = found(Sought(What.ROLLED_BACK, Layer.ANCHOR, f"record {index} of {RECEIPTS}", RECEIPTS, index))
    said = f"node and journal as they were at block {count}"
    return Plan(said, lambda draft: answered(draft, work, state=False, steps=steps[:count]), expected)


def _later(facts: Facts, rng: Random) -> Plan:
    steps = facts.ground.evidence.journal
    at, by = some_step(facts, rng), rng.choice((1, 60, 3600))
    time = (steps[at].intent.timestamp or 0) + by

    async def work(node: Node) -> None:
        for place, step in enumerate(steps):
            await send(node, step, time if place >= at else 0)

    return Plan(
        f"block {steps[at].intent.height} {by} s later",
        lambda draft: answered(draft, work, state=False),
        rewritten(steps[at]),
    )


def _one_more(facts: Facts, rng: Random) -> Plan:
    steps = facts.ground.evidence.journal
    at = rng.choice((len(steps), some_step(facts, rng)))

    async def work(node: Node) -> None:
        for step in steps[:at]:
            await send(node, step)
        await node.set_next_timestamp(steps[max(0, at - 1)].intent.timestamp or 0)
        await node.call("evm_mine")
        for step in steps[at:]:
            await send(node, step)

    why = "a block above all that journal, receipts and beacons name, in which nothing was done"
    expected = neutral(why) if at == len(steps) else rewritten(steps[at])
    return Plan(f"an empty block before step {at}", lambda draft: answered(draft, work, state=False), expected)


def _another_transaction(facts: Facts, rng: Random) -> Plan:
    """Whoever holds the submitter's key has it sign something else for that block."""
    steps = facts.ground.evidence.journal
    at = some_step(facts, rng)

    async def work(node: Node) -> None:
        key = read_secret(facts.ground.paths.key("anchor"))
        for place, step in enumerate(steps):
            raw = step.intent.transaction
            if place == at:
                raw = deploy_transaction(key, facts.ground.trust.chain.chain_id, read_transaction(raw).nonce, b"\x00")
            await node.set_next_timestamp(step.intent.timestamp or 0)
            await node.wait_for_receipt(await node.send(raw))

    said = f"another transaction in block {steps[at].intent.height}"
    return Plan(said, lambda draft: answered(draft, work, state=False), rewritten(steps[at]))


def _other_genesis(facts: Facts, rng: Random) -> Plan:
    later = rng.randrange(1, 1000)
    steps = facts.ground.evidence.journal

    async def work(node: Node) -> None:
        for step in steps[: rng.randrange(3)]:
            await send(node, step, (steps[0].intent.timestamp or 0) + later)

    expected = found(Sought(What.REWRITTEN, Layer.CHAIN, "block 0"))
    said = f"a chain whose genesis is {later} s later"
    return Plan(said, lambda draft: answered(draft, work, state=False, later=later), expected)


def _away(_: Facts, __: Random) -> Plan:
    def apply(draft: Draft) -> None:
        draft.chain, draft.chain_problem = None, "no node answers"

    expected = found(Sought(What.UNREACHABLE, Layer.CHAIN, "chain"), verdict=Verdict.INCONCLUSIVE)
    return Plan("no node", apply, expected)


_SLOTS, _BLOCKS = "chain: slots", "chain: blocks"


def _twice_anchored(facts: Facts) -> bool:
    return on_disk(facts) and all(len(log.anchors) > 1 for log in facts.logs.values())


CELLS = [
    Cell(_SLOTS, "flip a bit", BYTES, _slot(_flipped_slot), on_disk),
    Cell(_SLOTS, "change a value", BYTES, _slot(_other_slot), on_disk),
    Cell(_SLOTS, "delete", BYTES, _slot(_empty_slot), on_disk),
    Cell(_SLOTS, "roll back", BYTES, _slot(_older_slot), _twice_anchored),
    Cell(_SLOTS, "move across logs", BYTES, _slot(_foreign_slot), on_disk),
    Cell(_SLOTS, "swap", BYTES, _swapped_slots, on_disk),
    Cell(_SLOTS, "insert", BYTES, _strange_slot, on_disk),
    Cell("chain: code", "replace", BYTES, _code, on_disk),
    Cell(_BLOCKS, "truncate the tail", BYTES, _shorter, on_disk),
    Cell(_BLOCKS, "roll back, with the journal", BYTES, _shorter_with_journal, on_disk),
    Cell(_BLOCKS, "change a time", BYTES, _later, on_disk),
    Cell(_BLOCKS, "insert", BYTES, _one_more, on_disk),
    Cell(_BLOCKS, "replace a transaction", KEY, _another_transaction, on_disk),
    Cell(_BLOCKS, "another genesis", BYTES, _other_genesis, on_disk),
    Cell(_BLOCKS, "take away", BYTES, _away),
]
