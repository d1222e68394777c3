"""Logs changed by those who hold their key, the submitter's key and the node: journal and chain are made anew as well.

Everything that they hold fits then. What speaks against it are those whose keys they have not: the receipts, which show
old checkpoints and blocks, the beacons, which name blocks, the twin and the witness.
"""

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from testbed.anchor.submitter import Submitter
from testbed.chain.artifact import load_artifact
from testbed.chain.devnode import DevNode
from testbed.chain.journal import Journal
from testbed.chain.receipts import receipt_of
from testbed.chain.rpc import Node
from testbed.chain.steps import Step
from testbed.core.bodies import Beacon
from testbed.core.checkpoint import Checkpoint
from testbed.core.entry import Kind, Row
from testbed.core.finding import Layer, What
from testbed.keys.checkpoint import sign_checkpoint
from testbed.keys.files import read_secret
from testbed.merkle.tree import Tree, leaf_hash
from testbed.record.bodies import encode_body
from testbed.rig.dev_chain import read_dev_chain
from testbed.verify.gather import gather
from tests.deep.mutations.cell import CHAIN, Cell, Draft, Plan
from tests.deep.mutations.expected import Expected, Sought, found, pending
from tests.deep.mutations.facts import Anchor, Facts
from tests.deep.mutations.ground import GATEWAY, OPERATOR, READER, RECEIPTS, TWIN
from tests.deep.mutations.keyed import consequences, other_body
from tests.deep.mutations.nodes import on_disk
from tests.deep.mutations.owned import counted, exact, forks, resigned, with_body


@dataclass(slots=True)
class _At:
    """A clock that stands where it is put. s since 1970."""

    now_s: int = 0

    def now_ns(self) -> int:
        return self.now_s * 10**9

    def monotonic_ns(self) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class Made:
    """How the chain is made anew. rows: of the log that was changed; shift: how far its commits behind `first` moved;
    left_out: steps of the journal that are not made again.
    """

    origin: str
    rows: Sequence[Row]
    first: int
    shift: int = 0
    left_out: frozenset[int] = frozenset()


def rebuild(draft: Draft, made: Made) -> None:
    """Sign the log anew, and anchor it on a chain that is made from its genesis, each block at its old time."""
    asyncio.run(_rebuild(draft, made))


async def _rebuild(draft: Draft, made: Made) -> None:
    ground = draft.ground
    if ground.evidence.journal_head is None:
        raise AssertionError("an honest bench has a journal")
    own, clock = read_dev_chain(ground.paths), _At()
    with tempfile.TemporaryDirectory(prefix="mutations-") as name:
        path = Path(name) / "journal.jsonl"
        process = await DevNode.start(Path(name), own.chain_id, own.genesis_time_s, own.funded)
        try:
            async with Node(process.url) as node:
                with Journal.create(path, ground.evidence.journal_head) as journal:
                    submitter = Submitter(node, journal, read_secret(ground.paths.key("anchor")), clock)
                    await _anchor(draft, made, submitter, clock)
                seen = await gather(ground.trust, {}, path, node, "")
        finally:
            await process.stop()
    draft.chain, draft.chain_problem = seen.chain, seen.chain_problem
    draft.journal, draft.journal_head, draft.journal_problem = seen.journal, seen.journal_head, seen.journal_problem


async def _anchor(draft: Draft, made: Made, submitter: Submitter, clock: _At) -> None:
    """Every step of the journal again, with what the changed log says now."""
    rows = {origin: list(log.rows) for origin, log in draft.ground.evidence.logs.items()}
    rows[made.origin] = list(made.rows)
    trees = {origin: Tree(leaf_hash(row.entry) for row in rows[origin]) for origin in rows}
    logged = 0
    for place, step in enumerate(draft.ground.evidence.journal):
        clock.now_s = step.intent.timestamp or 0
        if step.intent.anchored is None:
            await submitter.catch_up(load_artifact())
            continue
        origin, size = step.intent.anchored.origin, step.intent.anchored.size
        if origin == made.origin:
            size = min(size + (made.shift if size > made.first else 0), len(rows[origin]))
        old = submitter.heads[origin].size if origin in submitter.heads else 0
        if place in made.left_out or size <= old:
            continue
        if made.origin == RECEIPTS == origin:
            trees[origin] = Tree(leaf_hash(row.entry) for row in rows[origin][:size])
        tree = trees[origin]
        note = step.intent.anchored.note
        if origin == made.origin:
            note = sign_checkpoint(Checkpoint(origin, size, tree.root(size)), draft.ground.keys[origin])
        new = await submitter.anchor(origin, size, tree.root(size), note, tree.consistency_path(old, size))
        logged += 1
        if made.origin == RECEIPTS:
            # Whoever holds the receipts' key as well logs the receipts that fit.
            rows[RECEIPTS][logged] = _receipt(rows[RECEIPTS][logged], new)
    draft.put(resigned(draft, made.origin, rows[made.origin], min(made.first, len(rows[made.origin])), made.shift))


def _receipt(row: Row, step: Step) -> Row:
    return with_body(row, encode_body(receipt_of(step)), row.salt)


# What must be found.


def expected(facts: Facts, made: Made, sought: Sequence[Sought] = ()) -> Expected:
    """forks(), but by receipts in place of anchors; and the chain that is another one than the receipts prove."""
    log = facts[made.origin]
    differs = [at for at in range(min(log.size, len(made.rows))) if made.rows[at].entry != log.rows[at].entry]
    held = [_by_receipt(facts, made.origin, one) for one in forks(facts, made.origin, differs, len(made.rows))]
    if held and made.origin != TWIN:
        sought = [one for one in sought if one.layer is Layer.GATEWAY and one.what is What.ALTERED]
    first = next((one for one in log.anchors if one.size > made.first), None)
    chain = [] if first is None else [other_block(facts, first.place, made.origin if held else "")]
    every = [*held, *sought, *chain]
    return found(*every) if every else pending("no anchor covers it, and nobody else has seen it")


def _by_receipt(facts: Facts, origin: str, one: Sought) -> Sought:
    """The same finding where the journal says what its owner wants: the receipts show the old checkpoint."""
    anchor = next((a for a in facts[origin].anchors if one.where.endswith(f"anchored in block {a.block}")), None)
    if anchor is None:
        return one
    where = f"checkpoint of {origin}, size {anchor.size}, in record {anchor.place} of {RECEIPTS}"
    return Sought(one.what, one.layer, where, origin, None, one.said)


def other_block(facts: Facts, place: int, broken: str) -> Sought:
    """The receipt of the first block that is another one. Where a beacon of somebody else names that block, or one that
    stands on it, the chain was rewritten; else receipts stand alone against journal and chain.

    broken: a log that is known to be false, whose beacons say nothing.
    """
    block = facts.ground.evidence.journal[place].intent.height
    named = [
        body.number
        for origin in (GATEWAY, READER)
        for body in (facts[origin].bodies if origin != broken else ())
        if isinstance(body, Beacon)
    ]
    # The i-th receipt is that of the i-th anchor, behind the genesis record.
    where = f"record {place} of {RECEIPTS}"
    if max(named) >= block:
        return Sought(What.REWRITTEN, Layer.CHAIN, where, RECEIPTS, place)
    return Sought(What.SUBSTITUTED, Layer.ANCHOR, where, RECEIPTS, place)


# Operations.

Maker = Callable[[Facts, Random, str], tuple[str, Made, Sequence[Sought]]]


def _covered(facts: Facts, rng: Random, origin: str) -> int:
    """A record under an anchor: any other needs no other chain."""
    return facts[origin].place(rng, facts[origin].confirmed)


def _resalt(facts: Facts, rng: Random, origin: str) -> tuple[str, Made, Sequence[Sought]]:
    log, index = facts[origin], _covered(facts, rng, origin)
    rows = list(log.rows)
    rows[index] = with_body(rows[index], rows[index].body or b"", rng.randbytes(16))
    return f"another salt in record {index}", Made(origin, rows, index), ()


def _change(facts: Facts, rng: Random, origin: str) -> tuple[str, Made, Sequence[Sought]]:
    log, index = facts[origin], _covered(facts, rng, origin)
    done, body = other_body(rng, origin, log.bodies[index])
    rows = list(log.rows)
    rows[index] = with_body(rows[index], encode_body(body), rows[index].salt)
    return f"{done} in record {index}", Made(origin, rows, index), consequences(origin, index, log.bodies[index])


def _rewrite(facts: Facts, rng: Random, origin: str) -> tuple[str, Made, Sequence[Sought]]:
    log = facts[origin]
    first = 0 if rng.random() < 0.3 else _covered(facts, rng, origin)
    rows = [*log.rows[:first], *(with_body(row, row.body or b"", rng.randbytes(16)) for row in log.rows[first:])]
    return f"all records from {first} on with other salts", Made(origin, rows, first), ()


def _delete(facts: Facts, rng: Random, origin: str) -> tuple[str, Made, Sequence[Sought]]:
    log = facts[origin]
    index = log.place(rng, log.confirmed, 3)
    rows = counted([*log.rows[:index], *log.rows[index + 1 :]])
    sought = []
    if origin == TWIN and log.entries[index].kind is Kind.TWIN and index + 2 < log.size:
        where = f"record {index + 1} of {origin}"
        sought = [Sought(What.SKIPPED, Layer.TWIN, where, origin, index + 1)]
    return f"record {index} left out", Made(origin, rows, index, -1), sought


def _cut(facts: Facts, rng: Random, origin: str) -> tuple[str, Made, Sequence[Sought]]:
    """Cut off behind a size that was anchored, or anywhere."""
    log = facts[origin]
    size = rng.choice([log.place(rng, log.confirmed, 3), *(one.size for one in log.anchors[:-1] if one.size > 3)])
    return f"cut off behind {size} records", Made(origin, log.rows[:size], size), ()


def _plan(maker: Maker, origin: str) -> Callable[[Facts, Random], Plan]:
    def plan(facts: Facts, rng: Random) -> Plan:
        said, made, sought = maker(facts, rng, origin)
        whole = f"{origin}: {said}, signed and anchored anew"
        return Plan(whole, lambda draft: rebuild(draft, made), expected(facts, made, sought))

    return plan


def _receipts_too(facts: Facts, rng: Random) -> Plan:
    """Who holds the receipts' key makes receipts that fit. Only beacons are left, and name old blocks."""
    log = facts[RECEIPTS]
    index = log.place(rng, log.confirmed)
    rows = list(log.rows)
    rows[index] = with_body(rows[index], rows[index].body or b"", rng.randbytes(16))
    first = next(one for one in log.anchors if one.size > index)
    made = Made(RECEIPTS, rows, index)
    said = f"{RECEIPTS}: another salt in record {index}, chain and receipts made anew"
    return Plan(said, lambda draft: rebuild(draft, made), _by_beacons(facts, index, first))


def _by_beacons(facts: Facts, index: int, first: Anchor) -> Expected:
    seen = facts[RECEIPTS].witnessed
    if seen:
        # The witness has the receipts as they were; from that block on they are others.
        from_there = [index, *range(first.place, seen)]
        shown = exact(facts, RECEIPTS, sorted(set(from_there)), facts[RECEIPTS].size)
        forked = forks(facts, RECEIPTS, shown, facts[RECEIPTS].size)
    else:
        forked = []
    named = [
        Sought(What.REWRITTEN, Layer.CHAIN, f"record {at} of {GATEWAY}", GATEWAY, at)
        for at, body in enumerate(facts[GATEWAY].bodies)
        if isinstance(body, Beacon) and body.number >= first.block
    ][:1]
    every = [*forked, *named]
    return found(*every) if every else pending("no beacon stands behind that block, and nobody has seen its receipt")


def _left_out(facts: Facts, rng: Random) -> Plan:
    """Whoever holds the submitter's key leaves the last anchors of a log out."""
    origin = rng.choice((GATEWAY, READER, TWIN))
    anchors = facts[origin].anchors
    gone = anchors[-rng.randrange(1, len(anchors)) :]
    made = Made(origin, facts[origin].rows, facts[origin].size, 0, frozenset(one.place for one in gone))

    def apply(draft: Draft) -> None:
        rebuild(draft, made)
        draft.put(draft.ground.evidence.logs[origin])

    said = f"the last {len(gone)} anchor(s) of {origin} left out, the chain made anew"
    return Plan(said, apply, found(other_block(facts, gone[0].place, "")))


_OPERATIONS: dict[str, Maker] = {
    "other salt": _resalt,
    "change a value": _change,
    "delete": _delete,
    "truncate the tail": _cut,
    "rewrite a suffix": _rewrite,
}
_LOGS = {"gateway log": GATEWAY, "reader log": READER, "operator log": OPERATOR, "twin log": TWIN}

CELLS = [
    *(
        Cell(layer, name, CHAIN, _plan(maker, origin), on_disk)
        for layer, origin in _LOGS.items()
        for name, maker in _OPERATIONS.items()
    ),
    Cell("receipts log", "other salt", CHAIN, _receipts_too, on_disk),
    Cell("chain: blocks", "leave anchors out", CHAIN, _left_out, on_disk),
]
