"""A sample of the campaign of mutations on a short bench, so that its machinery keeps up: `make deep PART=mutations` is
all of it.
"""

import pytest

from tests.deep.mutations.catalogue import CELLS
from tests.deep.mutations.cell import Cell, Draft
from tests.deep.mutations.facts import Facts
from tests.deep.mutations.ground import Recipe, grounds
from tests.deep.mutations.nodes import on_disk
from tests.deep.mutations.running import Tally, drawn, run, table, written

SHORT = Recipe("short", 128, 64, 21, (3, 60, 125))
"""The twin's log has more than a full tile."""

SEED = 5
JUDGED = 5
"""One cell of so many is judged, of those that need a node one of four times as many."""


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> list[Facts]:
    return [Facts(ground) for ground in grounds(tmp_path_factory.mktemp("mutations"), [SHORT])]


def needs_a_node(cell: Cell) -> bool:
    return cell.fits is on_disk or "chain" in cell.layer or "slot" in cell.operation or "blocks" in cell.operation


def test_every_cell_draws_a_mutation_that_changes_something(facts: list[Facts]) -> None:
    fitting = [cell for cell in CELLS if any(cell.fits(one) for one in facts)]
    # Some need a log that is longer than this bench has any.
    assert len(fitting) > 0.9 * len(CELLS)
    for cell in fitting:
        plans = drawn(cell, facts, SEED, 2)
        assert written(plans) == written(drawn(cell, facts, SEED, 2)), cell.name
        for one, plan in () if needs_a_node(cell) else plans:
            draft = Draft(one.ground)
            plan.change(draft)
            assert draft.evidence() != one.ground.evidence, f"{cell.name}: {plan.said}"


def test_a_sample_of_the_cells_is_found_as_expected(facts: list[Facts]) -> None:
    quick, slow = ([cell for cell in CELLS if needs_a_node(cell) is node] for node in (False, True))
    sample = [*quick[::JUDGED], *slow[:: 4 * JUDGED]]
    tallies = [run(drawn(cell, facts, SEED, 1), Tally(cell.name)) for cell in sample]
    assert [f"{tally.cell}: {one}" for tally in tallies for one in tally.wrong] == []
    assert sum(tally.count for tally in tallies) > 0.9 * len(sample)
    assert f"{len(sample)} cells" in table(tallies)


def test_a_finding_that_is_not_made_is_noticed(facts: list[Facts]) -> None:
    (cell,) = (one for one in CELLS if one.name == "store: bodies / change a value / bytes only")
    ((ground, plan),) = drawn(cell, facts, SEED, 1)
    missed = plan.expected.misses(plan.expected.verdict, ())
    assert "not found: altered, store: record" in missed
    assert run([(ground, plan)], Tally(cell.name), by=lambda *_: (plan.expected.verdict, ())).wrong
