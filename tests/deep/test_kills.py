"""A thousand kills at random instants, over twenty benches, two at a time; verified as they go on, and at the end.

A run that was cut off goes on where it stopped: what each bench came to stands in .deep/kills, and so does a bench in
which something was wrong. Delete that folder to begin anew.
"""

import json
import multiprocessing
import shutil
import tempfile
import time
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.flow.live.killing import Killer, Tally

pytestmark = pytest.mark.deep

BENCHES = 20
KILLS = 50
KEPT = Path(__file__).parents[2] / ".deep" / "kills"
SIDE_BY_SIDE = 2
TELL_S = 30.0
WITHIN_S = 75 * 60


def one_bench(seed: int) -> None:
    """Kill on one bench. It goes unless something is wrong with it; then it stays beside its tally."""
    folder, progress = KEPT / str(seed), KEPT / f"{seed}.kills"
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="testbed-kills-") as name:
        killer = Killer(Path(name) / "bench", seed)
        try:
            killer.run(KILLS, lambda kills: note(progress, kills))
        except (AssertionError, OSError) as error:
            killer.tally.problems.append(f"bench {seed} came to an end: {error!r}")
        if killer.tally.problems:
            shutil.copytree(Path(name), folder)
    (KEPT / f"{seed}.json").write_text(json.dumps(asdict(killer.tally)), encoding="utf-8")
    progress.unlink(missing_ok=True)


def note(progress: Path, kills: int) -> None:
    """How far a bench is, for whoever waits."""
    aside = progress.with_suffix(".new")
    aside.write_text(str(kills), encoding="utf-8")
    aside.replace(progress)


def tallies() -> dict[int, Tally]:
    """What the benches that are done came to."""
    files = {seed: KEPT / f"{seed}.json" for seed in range(1, BENCHES + 1)}
    return {seed: Tally(**json.loads(file.read_text("utf-8"))) for seed, file in files.items() if file.exists()}


def test_a_thousand_kills_at_random_instants(capsys: pytest.CaptureFixture[str]) -> None:
    KEPT.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    with ProcessPoolExecutor(SIDE_BY_SIDE, mp_context=multiprocessing.get_context("spawn")) as pool:
        running: set[Future[None]] = {
            pool.submit(one_bench, seed) for seed in range(1, BENCHES + 1) if seed not in tallies()
        }
        while running:
            done, running = wait(running, TELL_S)
            for future in done:
                future.result()
            under_way = sum(int(file.read_text("utf-8")) for file in KEPT.glob("*.kills"))
            found = tallies()
            kills = sum(sum(tally.kills.values()) for tally in found.values()) + under_way
            problems = sum(len(tally.problems) for tally in found.values())
            with capsys.disabled():
                minutes = (time.monotonic() - begun) / 60
                print(
                    f"\n  {minutes:5.1f} min   {kills} kills   {len(found)} benches done   {problems} problems", end=""
                )
    whole = Tally()
    for tally in tallies().values():
        whole.add(tally)
    with capsys.disabled():
        print(f"\n{whole.table()}", flush=True)
    assert whole.problems == []
    assert (whole.lost, whole.doubled, whole.reordered) == (0, 0, 0)
    assert sum(whole.kills.values()) == BENCHES * KILLS
    assert time.monotonic() - begun < WITHIN_S
