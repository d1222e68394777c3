"""One mutation of each cell of the campaign, on a short bench; `make deep PART=mutations` runs all of them."""

import pytest

from tests.deep.mutations.catalogue import CELLS
from tests.deep.mutations.facts import Facts
from tests.deep.mutations.ground import Recipe, grounds
from tests.deep.mutations.running import Tally, drawn, run, table

SHORT = Recipe("short", 128, 64, 21, (3, 60, 125))
"""The twin's log has more than a full tile."""

SEED = 5


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> list[Facts]:
    return [Facts(ground) for ground in grounds(tmp_path_factory.mktemp("mutations"), [SHORT])]


def test_one_mutation_of_each_cell_is_found_as_expected(facts: list[Facts]) -> None:
    tallies = [run(drawn(cell, facts, SEED, 1), Tally(cell.name)) for cell in CELLS]
    assert [f"{tally.cell}: {one}" for tally in tallies for one in tally.wrong] == []
    # Some need a log that is longer than this bench has any.
    fitting = [cell for cell in CELLS if any(cell.fits(one) for one in facts)]
    assert sum(tally.count for tally in tallies) == len(fitting) > 0.9 * len(CELLS)
    assert f"{len(CELLS)} cells" in table(tallies)
