"""A whole campaign: every cell, two at a time, kept on disk as it goes, so that a run that was cut off goes on.

Below its folder: benches/, which are simulated first; expected/, by cell what is going to be done and must be found,
written before anything is judged; done/, by cell how it came out so far.
"""

import hashlib
import json
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.deep.mutations.catalogue import CELLS
from tests.deep.mutations.cell import Cell
from tests.deep.mutations.facts import Facts
from tests.deep.mutations.ground import RECIPES, grounds, make
from tests.deep.mutations.running import Tally, drawn, run, written

SAVED_S = 5.0
"""How often the progress of a cell is written down, s."""

_facts: list[Facts] = []
"""The benches, in a worker process: read once."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """folder: where it is kept; seed: draws the mutations; count: of each cell."""

    folder: Path
    seed: int
    count: int

    def expected(self, cell: Cell) -> Path:
        return self.folder / "expected" / f"{_slug(cell)}.jsonl"

    def done(self, cell: Cell) -> Path:
        return self.folder / "done" / f"{_slug(cell)}.json"


def run_all(campaign: Campaign, cells: Sequence[Cell], side_by_side: int, tell: Callable[[str], None]) -> list[Tally]:
    """Judge every mutation of these cells; `tell` hears how far it is."""
    for name in ("expected", "done"):
        (campaign.folder / name).mkdir(parents=True, exist_ok=True)
    for recipe in RECIPES:
        make(campaign.folder / "benches" / recipe.name, recipe)
    begun = time.monotonic()
    with ProcessPoolExecutor(
        side_by_side, multiprocessing.get_context("spawn"), _load, (campaign.folder / "benches",)
    ) as pool:
        left: dict[Future[Tally], Cell] = {pool.submit(one_cell, campaign, cell.name): cell for cell in cells}
        tallies: dict[str, Tally] = {}
        while left:
            finished, _ = wait(left, return_when=FIRST_COMPLETED)
            for future in finished:
                del left[future]
                tally = tallies[future.result().cell] = future.result()
                each = tally.seconds / max(tally.count, 1)
                minutes = (time.monotonic() - begun) / 60
                tell(
                    f"{len(tallies):4} of {len(cells)} cells, {minutes:5.1f} min: {tally.cell}: {tally.count} at"
                    f" {each:.2f} s, {len(tally.wrong)} wrong"
                )
    return [tallies[cell.name] for cell in cells]


def one_cell(campaign: Campaign, name: str) -> Tally:
    """In a worker: go on with a cell where it stopped, unless what is expected of it has changed since."""
    cell = next(one for one in CELLS if one.name == name)
    plans = drawn(cell, _facts, campaign.seed, campaign.count)
    text, expected, done = written(plans), campaign.expected(cell), campaign.done(cell)
    tally = Tally(cell.name)
    if expected.exists() and expected.read_text("utf-8") == text and done.exists():
        tally = Tally(**json.loads(done.read_text("utf-8")))
    else:
        done.unlink(missing_ok=True)
        expected.write_text(text, encoding="utf-8")
    saved = time.monotonic()

    def save(now: Tally) -> None:
        nonlocal saved
        if time.monotonic() - saved > SAVED_S:
            _write(done, now)
            saved = time.monotonic()

    run(plans, tally, save)
    _write(done, tally)
    return tally


def _load(folder: Path) -> None:
    _facts[:] = [Facts(ground) for ground in grounds(folder)]


def _write(path: Path, tally: Tally) -> None:
    aside = path.with_suffix(".new")
    aside.write_text(json.dumps(asdict(tally)), encoding="utf-8")
    aside.replace(path)


def _slug(cell: Cell) -> str:
    words = "".join(letter if letter.isalnum() else "-" for letter in cell.name)
    return f"{words}-{hashlib.sha256(cell.name.encode()).hexdigest()[:6]}"
