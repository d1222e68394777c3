"""Mutations as somebody at a keyboard meets them: in a copy of the bench's folder, and `testbed verify --json`."""

import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random

from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.rig.bench import load_bench
from testbed.rig.paths import Paths
from tests.deep.mutations import bundles, journal, keyed, published, rows, tiles
from tests.deep.mutations.cell import Draft, Plan
from tests.deep.mutations.facts import Facts
from tests.deep.mutations.running import Judged

CELLS = (*rows.CELLS, *published.CELLS, *tiles.CELLS, *bundles.CELLS, *journal.CELLS, *keyed.CELLS)
"""Those that change files. A chain that was changed is another process' state, and has nodes of its own."""


def drawn(facts: Sequence[Facts], seed: int, count: int) -> list[tuple[Facts, Plan]]:
    """So many plans of any of the cells, on benches that stand on disk as they are."""
    whole = [one for one in facts if "/" not in one.ground.name]
    plans = []
    for number in range(count):
        rng = Random(f"{seed} command line {number}")
        ground = rng.choice(whole)
        cell = rng.choice([cell for cell in CELLS if cell.fits(ground)])
        plans.append((ground, cell.plan(ground, rng)))
    return plans


def judge(facts: Facts, plan: Plan) -> Judged:
    """Do it in a copy of the folder, and ask the command."""
    draft = Draft(facts.ground)
    plan.change(draft)
    with tempfile.TemporaryDirectory(prefix="mutations-") as name:
        folder = Path(name) / "bench"
        shutil.copytree(facts.ground.folder, folder)
        _write(draft, folder)
        program = Path(sys.executable).with_name("testbed")
        command = [str(program), "verify", "--bench", str(folder / "bench.toml"), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    said = json.loads(done.stdout)
    verdict = Verdict(said["verdict"])
    if done.returncode != verdict.exit_code or done.stderr:
        raise AssertionError(f"exit {done.returncode} with {verdict.value}: {done.stderr}")
    return verdict, [_finding(one) for one in said["findings"]]


def _finding(said: dict[str, object]) -> Finding:
    index = said["index"]
    return Finding(
        What(said["what"]),
        Layer(said["layer"]),
        str(said["where"]),
        str(said["detail"]),
        Verdict(said["verdict"]),
        str(said["origin"]),
        index if isinstance(index, int) else None,
    )


def _write(draft: Draft, folder: Path) -> None:
    """The files of the logs and the journal, where they are others than in the bench."""
    bench = load_bench(folder / "bench.toml")
    paths = Paths(bench.data)
    before, after = draft.ground.evidence, draft.evidence()
    for role in bench.logs:
        old, new = before.logs[bench.origin(role)], after.logs[bench.origin(role)]
        if (old.rows, old.checkpoints) != (new.rows, new.checkpoints):
            with closing(sqlite3.connect(paths.log(role))) as connection, connection:
                connection.execute("DELETE FROM records")
                connection.execute("DELETE FROM checkpoints")
                records = ((row.index, row.entry, row.salt, row.body) for row in new.rows)
                connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?)", records)
                connection.executemany("INSERT INTO checkpoints VALUES (?, ?)", new.checkpoints)
        if (old.published, old.tiles) != (new.published, new.tiles):
            shutil.rmtree(paths.tlog(role))
            files = dict(new.tiles or {})
            if new.published is not None:
                files["checkpoint"] = new.published
            for name, data in files.items():
                (paths.tlog(role) / name).parent.mkdir(parents=True, exist_ok=True)
                (paths.tlog(role) / name).write_bytes(data)
            paths.tlog(role).mkdir(exist_ok=True)
    if draft.journal_file is not None:
        if draft.journal_file:
            paths.journal.write_bytes(draft.journal_file[0])
        else:
            paths.journal.unlink()
