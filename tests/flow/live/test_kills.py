"""Twenty kills at random instants: nothing acknowledged is lost. A thousand: `make deep PART=kills`."""

from pathlib import Path

import pytest

from tests.flow.live.killing import VICTIMS, Killer

pytestmark = pytest.mark.long

KILLS = 20
SEED = 1


def test_twenty_kills_at_random_instants(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tally = Killer(tmp_path / "bench", SEED).run(KILLS)
    with capsys.disabled():
        print(f"\n{tally.table()}")
    assert tally.problems == []
    assert (tally.lost, tally.doubled, tally.reordered) == (0, 0, 0)
    assert sum(tally.kills.values()) == KILLS
    assert set(tally.kills) == set(VICTIMS)
    assert min(tally.records, tally.checkpoints, tally.rebuilt) > 0
