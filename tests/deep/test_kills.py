"""A thousand kills at random instants, over ten benches, verified after every tenth and at the end. Resumable.

What a bench came to stands in .deep/kills; a run that was cut off goes on with the benches that are missing.
"""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.flow.live.killing import Killer, Tally

pytestmark = pytest.mark.deep

BENCHES = 10
KILLS = 100
KEPT = Path(__file__).parents[2] / ".deep" / "kills"


def test_a_thousand_kills_at_random_instants(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    KEPT.mkdir(parents=True, exist_ok=True)
    whole = Tally()
    for seed in range(1, BENCHES + 1):
        kept = KEPT / f"{seed}.json"
        if not kept.exists():
            tally = Killer(tmp_path / str(seed), seed).run(KILLS)
            kept.write_text(json.dumps(asdict(tally)), encoding="utf-8")
            shutil.rmtree(tmp_path / str(seed))
        whole.add(Tally(**json.loads(kept.read_text(encoding="utf-8"))))
        with capsys.disabled():
            print(f"\n  {seed} of {BENCHES} benches\n{whole.table()}", flush=True)
    assert whole.problems == []
    assert (whole.lost, whole.doubled, whole.reordered) == (0, 0, 0)
    assert sum(whole.kills.values()) == BENCHES * KILLS
    shutil.rmtree(KEPT)
