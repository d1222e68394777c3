"""A whole campaign, kept on disk as it goes, so that a run that was cut off goes on.

Below its folder: benches/, which are simulated first; expected/, by cell what is going to be done and must be found,
written before anything is judged; done/, by cell how it came out so far; honest/, what each honest bench came to.
"""

import hashlib
import json
import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from tests.deep.mutations import command
from tests.deep.mutations.catalogue import CELLS
from tests.deep.mutations.cell import Plan
from tests.deep.mutations.facts import Facts
from tests.deep.mutations.ground import RECIPES, grounds, make
from tests.deep.mutations.honest import Honest, one_bench
from tests.deep.mutations.running import Judged, Tally, drawn, judge, run, written

SAVED_S = 5.0
"""How often the progress of a cell is written down, s."""
BY_COMMAND = "command line"
PART = 10
"""Mutations by command line that are done in one go."""

Tell = Callable[[str], None]
T = TypeVar("T")

_facts: list[Facts] = []
"""The benches, in a worker process: read once."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """folder: where it is kept; seed: draws the mutations; count: of each cell; side_by_side: processes."""

    folder: Path
    seed: int
    count: int
    side_by_side: int


def mutate(campaign: Campaign, names: Sequence[str], tell: Tell) -> list[Tally]:
    """Judge every mutation of the cells of these names; `tell` hears how far it is."""
    _prepare(campaign)
    tallies: dict[str, Tally] = {}
    begun = time.monotonic()
    for tally in _each(campaign, one_cell, names):
        tallies[tally.cell] = tally
        each = tally.seconds / max(tally.count, 1)
        tell(
            f"{len(tallies):4} of {len(names)} cells, {(time.monotonic() - begun) / 60:5.1f} min: {tally.cell}:"
            f" {tally.count} at {each:.2f} s, {len(tally.wrong)} wrong"
        )
    return [tallies[name] for name in names]


def type_commands(campaign: Campaign, count: int, tell: Tell) -> Tally:
    """So many mutations by the command line."""
    _prepare(campaign)
    whole = Tally(BY_COMMAND)
    for tally in _each(campaign, one_part, range(-(-count // PART))):
        for kind, seen in tally.kinds.items():
            whole.kinds[kind] = whole.kinds.get(kind, 0) + seen
        whole.wrong += tally.wrong
        whole.seconds += tally.seconds
        tell(f"{whole.count:4} of {count} by the command line, {len(whole.wrong)} wrong")
    return whole


def be_honest(campaign: Campaign, records: int, tell: Tell) -> list[Honest]:
    """Honest benches until so many records were proved."""
    folder = campaign.folder / "honest"
    folder.mkdir(parents=True, exist_ok=True)
    done: dict[int, Honest] = {}
    for file in folder.glob("*.json"):
        one = Honest(**json.loads(file.read_text("utf-8")))
        done[one.number] = one
    begun = time.monotonic()
    with ProcessPoolExecutor(campaign.side_by_side, multiprocessing.get_context("spawn")) as pool:
        left: set[Future[Honest]] = set()
        number = 0
        while left or sum(one.records for one in done.values()) < records:
            while len(left) < campaign.side_by_side and sum(one.records for one in done.values()) < records:
                if number not in done:
                    left.add(pool.submit(one_bench, campaign.seed, number))
                number += 1
            finished, left = wait(left, return_when=FIRST_COMPLETED) if left else (set(), left)
            for future in finished:
                one = future.result()
                done[one.number] = one
                _write(folder / f"{one.number}.json", asdict(one))
            proved = sum(one.records for one in done.values())
            wrong = sum(bool(one.wrong) for one in done.values())
            minutes = (time.monotonic() - begun) / 60
            tell(f"{proved:8} records of {len(done)} honest benches proved, {minutes:5.1f} min, {wrong} wrong")
    return [done[number] for number in sorted(done)]


def one_cell(campaign: Campaign, name: str) -> Tally:
    """In a worker: go on with a cell where it stopped."""
    cell = next(one for one in CELLS if one.name == name)
    return _go_on(campaign, name, drawn(cell, _facts, campaign.seed, campaign.count), judge)


def one_part(campaign: Campaign, number: int) -> Tally:
    """In a worker: the next ten by the command line."""
    plans = command.drawn(_facts, campaign.seed, (number + 1) * PART)[number * PART :]
    return _go_on(campaign, f"{BY_COMMAND} {number}", plans, command.judge)


def _go_on(
    campaign: Campaign, name: str, plans: Sequence[tuple[Facts, Plan]], by: Callable[[Facts, Plan], Judged]
) -> Tally:
    """Judge what was not judged yet, unless what is expected has changed since: then all of it."""
    text = written(plans)
    expected, done = campaign.folder / "expected" / f"{_slug(name)}.jsonl", _done(campaign, name)
    tally = Tally(name)
    if expected.exists() and text.startswith(expected.read_text("utf-8")) and done.exists():
        tally = Tally(**json.loads(done.read_text("utf-8")))
    else:
        done.unlink(missing_ok=True)
    expected.write_text(text, encoding="utf-8")
    saved = time.monotonic()

    def save(now: Tally) -> None:
        nonlocal saved
        if time.monotonic() - saved > SAVED_S:
            _write(done, asdict(now))
            saved = time.monotonic()

    run(plans, tally, save, by)
    _write(done, asdict(tally))
    return tally


def _prepare(campaign: Campaign) -> None:
    for name in ("expected", "done"):
        (campaign.folder / name).mkdir(parents=True, exist_ok=True)
    for recipe in RECIPES:
        make(campaign.folder / "benches" / recipe.name, recipe)


def _each(campaign: Campaign, job: Callable[[Campaign, T], Tally], what: Iterable[T]) -> Iterator[Tally]:
    """What the job came to for each, in the order in which they end."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(campaign.side_by_side, context, _load, (campaign.folder / "benches",)) as pool:
        left = {pool.submit(job, campaign, one) for one in what}
        while left:
            finished, left = wait(left, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()


def _load(folder: Path) -> None:
    _facts[:] = [Facts(ground) for ground in grounds(folder)]


def _done(campaign: Campaign, name: str) -> Path:
    return campaign.folder / "done" / f"{_slug(name)}.json"


def _write(path: Path, document: object) -> None:
    aside = path.with_suffix(".new")
    aside.write_text(json.dumps(document), encoding="utf-8")
    aside.replace(path)


def _slug(name: str) -> str:
    words = "".join(letter if letter.isalnum() else "-" for letter in name)
    return f"{words}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
