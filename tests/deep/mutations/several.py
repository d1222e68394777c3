"""Two or three mutations in one bench, by different people in different places: each cause is named, nothing else."""

from collections.abc import Callable, Sequence
from random import Random

from testbed.core.finding import Verdict
from tests.deep.mutations import bundles, frames, keyed, nodes, published, rows, signing, tiles
from tests.deep.mutations.cell import BYTES, Cell, Draft, Plan
from tests.deep.mutations.expected import Expected, Kind
from tests.deep.mutations.facts import Facts
from tests.deep.mutations.ground import OPERATOR, READER
from tests.deep.mutations.nodes import on_disk

_OWN = ("flip a bit", "change a value", "insert", "delete", "truncate")
"""Operations that leave all but one record where it is: what else is damaged in that log can be told apart."""


def together(*plans: Plan) -> Plan:
    """All of them, one after another; each finding that is expected of one of them, and no other."""

    def change(draft: Draft) -> None:
        for one in plans:
            one.change(draft)

    order = (Verdict.FALSIFIED, Verdict.INCONCLUSIVE, Verdict.GENUINE)
    verdict = min((one.expected.verdict for one in plans), key=order.index)
    sought = tuple(sought for one in plans for sought in one.expected.sought)
    return Plan(" — and ".join(one.said for one in plans), change, Expected(Kind.FOUND, sought, verdict))


def logs_of(plan: Plan) -> set[str]:
    return {one.origin for one in plan.expected.sought}


def places_of(plan: Plan) -> set[int]:
    return {one.index for one in plan.expected.sought if one.index is not None}


def drawn(facts: Facts, rng: Random, cells: Sequence[Cell], fits: Callable[[Plan], bool]) -> Plan:
    """A plan of one of the cells that is to be found, and fits to the others."""
    possible = [cell for cell in cells if cell.fits(facts)]
    while True:
        plan = rng.choice(possible).plan(facts, rng)
        if plan.expected.kind is Kind.FOUND and fits(plan):
            return plan


_STORES = rows.CELLS
_FILES = (*published.CELLS, *tiles.CELLS, *bundles.CELLS)
_BY_BYTES = tuple(cell for cell in (*_STORES, *_FILES) if cell.attacker == BYTES)


def _elsewhere(facts: Facts, rng: Random, taken: set[str]) -> Plan:
    return drawn(facts, rng, _BY_BYTES, lambda one: not taken & logs_of(one))


def _in_logs(count: int) -> Callable[[Facts, Random], Plan]:
    """So many logs, one mutation in each."""

    def plan(facts: Facts, rng: Random) -> Plan:
        plans: list[Plan] = []
        while len(plans) < count:
            plans.append(_elsewhere(facts, rng, {origin for one in plans for origin in logs_of(one)}))
        return together(*plans)

    return plan


def _in_one_log(others: Sequence[Cell]) -> Callable[[Facts, Random], Plan]:
    """One record of a store, and what the same log publishes or signs, at another place."""
    single = [cell for cell in _STORES if cell.operation in _OWN]

    def plan(facts: Facts, rng: Random) -> Plan:
        first = drawn(facts, rng, single, lambda _: True)

        def fits(one: Plan) -> bool:
            return logs_of(one) == logs_of(first) and not places_of(one) & places_of(first)

        return together(first, drawn(facts, rng, [cell for cell in others if cell.operation in _OWN], fits))

    return plan


def _key_and_bytes(facts: Facts, rng: Random) -> Plan:
    """Who holds one log's key, and somebody at another log that does not bear witness to it."""
    first = drawn(facts, rng, keyed.CELLS, lambda one: len(logs_of(one)) == 1)
    others = {READER, OPERATOR} - logs_of(first)
    return together(first, drawn(facts, rng, _BY_BYTES, lambda one: logs_of(one) <= others))


def _chain_and_bytes(chain: Sequence[Cell]) -> Callable[[Facts, Random], Plan]:
    def plan(facts: Facts, rng: Random) -> Plan:
        first = drawn(facts, rng, chain, lambda _: True)
        return together(first, drawn(facts, rng, _BY_BYTES, lambda _: True))

    return plan


def _frames_and_bytes(facts: Facts, rng: Random) -> Plan:
    first = drawn(facts, rng, frames.CELLS, lambda one: len(logs_of(one)) == 1)
    return together(first, drawn(facts, rng, _BY_BYTES, lambda one: logs_of(one) == {OPERATOR}))


def _mirror_and_bytes(facts: Facts, rng: Random) -> Plan:
    """A witness' files, and a log that it keeps."""
    mirrors = [cell for cell in signing.CELLS if cell.attacker == BYTES and "move" not in cell.operation]
    first = drawn(facts, rng, mirrors, lambda one: "" not in logs_of(one))
    return together(first, drawn(facts, rng, _BY_BYTES, lambda one: not logs_of(one) & logs_of(first)))


_LAYER = "several at once"
_SLOTS = tuple(cell for cell in nodes.CELLS if cell.layer == "chain: slots" and cell.operation != "insert")
_BLOCKS = tuple(cell for cell in nodes.CELLS if cell.layer == "chain: blocks" and cell.operation != "take away")


def _on_disk_and_seen(facts: Facts) -> bool:
    return on_disk(facts) and signing.witnessed(facts)


CELLS = [
    Cell(_LAYER, "two logs", BYTES, _in_logs(2)),
    Cell(_LAYER, "three logs", BYTES, _in_logs(3)),
    Cell(_LAYER, "a record and a tile", BYTES, _in_one_log(tiles.CELLS)),
    Cell(_LAYER, "a record and a bundle", BYTES, _in_one_log(bundles.CELLS)),
    Cell(_LAYER, "a record and a checkpoint", BYTES, _in_one_log([c for c in published.CELLS if c.attacker == BYTES])),
    Cell(_LAYER, "a signed log and a record", "role's key, and bytes", _key_and_bytes),
    Cell(_LAYER, "a signed frame and a record", "role's key, and bytes", _frames_and_bytes),
    Cell(_LAYER, "a slot and a record", BYTES, _chain_and_bytes(_SLOTS), on_disk),
    Cell(_LAYER, "blocks and a record", BYTES, _chain_and_bytes(_BLOCKS), on_disk),
    Cell(_LAYER, "a mirror and a record", BYTES, _mirror_and_bytes, _on_disk_and_seen),
]
