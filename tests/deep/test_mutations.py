"""A seeded campaign of mutations: in each cell of layer, operation and attacker, what must be found is found, nothing
else; a hundred of them by the command line; and a million honest records without one finding.

A run that was cut off goes on where it stopped: what is done stands in .deep/mutations. Delete that folder to begin
anew. In the environment, MUTATIONS is how many a cell has, SEED which ones, CELLS a part of the names of cells,
COMMANDS how many are typed, RECORDS how many honest ones there are.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deep.mutations.campaign import Campaign, be_honest, mutate, type_commands
from tests.deep.mutations.catalogue import CELLS
from tests.deep.mutations.running import table

pytestmark = pytest.mark.deep


def asked(name: str, usual: int) -> int:
    return int(os.environ.get(name, usual))


KEPT = Path(__file__).parents[2] / ".deep" / "mutations" / str(asked("SEED", 1))
CAMPAIGN = Campaign(KEPT, asked("SEED", 1), asked("MUTATIONS", 100), 2)

Tell = Callable[[str], None]


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    def told(line: str) -> None:
        with capsys.disabled():
            print(f"\n  {line}", end="", flush=True)

    return told


def test_every_mutation_is_found_as_it_was_written_down_before(tell: Tell) -> None:
    names = [cell.name for cell in CELLS if os.environ.get("CELLS", "") in cell.name]
    tallies = mutate(CAMPAIGN, names, tell)
    tell(f"\n{table(tallies)}\n")
    wrong = [f"{tally.cell}: {one}" for tally in tallies for one in tally.wrong]
    assert not wrong, "\n".join(wrong[:50])
    assert all(tally.count >= CAMPAIGN.count for tally in tallies)


def test_the_command_line_says_the_same(tell: Tell) -> None:
    count = asked("COMMANDS", 100)
    tally = type_commands(CAMPAIGN, count, tell)
    assert not tally.wrong, "\n".join(tally.wrong[:50])
    assert tally.count >= count


def test_nothing_is_found_in_a_million_honest_records(tell: Tell) -> None:
    records = asked("RECORDS", 1_000_000)
    benches = be_honest(CAMPAIGN, records, tell)
    assert [one for one in benches if one.wrong] == []
    assert sum(one.records for one in benches) >= records
