"""A seeded campaign of mutations: in each cell of layer, operation and attacker, what must be found is found, nothing
else; and a million honest records without one finding.

A run that was cut off goes on where it stopped: what is done stands in .deep/mutations. Delete that folder to begin
anew. In the environment, MUTATIONS is how many a cell has, SEED which ones, CELLS a part of the names of cells.
"""

import os
from pathlib import Path

import pytest

from tests.deep.mutations.campaign import Campaign, run_all
from tests.deep.mutations.catalogue import CELLS
from tests.deep.mutations.running import table

pytestmark = pytest.mark.deep

SEED = int(os.environ.get("SEED", "1"))
MUTATIONS = int(os.environ.get("MUTATIONS", "100"))
KEPT = Path(__file__).parents[2] / ".deep" / "mutations" / str(SEED)
SIDE_BY_SIDE = 2


def test_every_mutation_is_found_as_it_was_written_down_before(capsys: pytest.CaptureFixture[str]) -> None:
    cells = [cell for cell in CELLS if os.environ.get("CELLS", "") in cell.name]

    def tell(line: str) -> None:
        with capsys.disabled():
            print(f"\n  {line}", end="", flush=True)

    tallies = run_all(Campaign(KEPT, SEED, MUTATIONS), cells, SIDE_BY_SIDE, tell)
    with capsys.disabled():
        print(f"\n\n{table(tallies)}", flush=True)
    wrong = [f"{tally.cell}: {one}" for tally in tallies for one in tally.wrong]
    assert not wrong, "\n".join(wrong[:50])
    assert all(tally.count >= MUTATIONS for tally in tallies)
