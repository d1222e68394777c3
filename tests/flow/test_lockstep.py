"""Lock-step: an untouched run is genuine, the same seed gives the same bytes, another seed gives others.

All roles take part: two readers on two protocols, an operator, the twin, the anchor with its log of receipts.
"""

import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from testbed.core.bodies import CONFIRMED, INTENDED, Body, Command
from testbed.core.entry import Row
from testbed.core.errors import UsageError
from testbed.core.finding import Verdict
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.rig.auditing import audit
from testbed.rig.bench import RECEIPTS, load_bench
from testbed.rig.default import default_text
from testbed.rig.lockstep import Commands, simulate
from testbed.rig.paths import Paths
from testbed.store.sqlite import LogStore

SCANS, MANY = 150, 1200
FEW = 30
COMMANDS: Commands = {
    5: ("control.level_setpoint", 1.2),
    20: ("control.mode", 1),
    130: ("manual.pump_speed", 55.5),
    330: ("control.mode", 2),
    660: ("estop.pressed", True),
    830: ("estop.pressed", False),
    831: ("control.reset", True),  # which the PLC takes back by itself
}
"""What the operator does, as far as a run goes."""


def commands(scans: int) -> Commands:
    return {before: command for before, command in COMMANDS.items() if before < scans}


def run(folder: Path, scans: int, seed: int) -> None:
    folder.mkdir()
    (folder / "bench.toml").write_text(default_text(), encoding="utf-8")
    asyncio.run(simulate(load_bench(folder / "bench.toml"), scans, seed, commands=commands(scans)))


def bytes_of(folder: Path) -> dict[str, object]:
    """Everything that a run leaves and that must not depend on the machine: of databases their rows."""
    bench = load_bench(folder / "bench.toml")
    paths = Paths(bench.data)
    said: dict[str, object] = {
        "trust": bench.trust_file.read_bytes(),
        "journal": paths.journal.read_bytes(),
        "genesis": paths.chain_genesis.read_bytes(),
    }
    for role in ("anchor", *bench.logs):
        said[f"{role} key"] = paths.key(role).read_bytes()
    for role in bench.logs:
        with LogStore.read(paths.log(role)) as store:
            said[f"{role} rows"] = store.snapshot()
        files = sorted(path for path in paths.tlog(role).rglob("*") if path.is_file())
        said[f"{role} published"] = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    for witness in bench.witnesses:
        said[f"{witness.name} key"] = paths.key(witness.name).read_bytes()
        files = sorted(path for path in paths.role_folder(witness.name).rglob("*/*") if path.is_file())
        said[f"{witness.name} kept"] = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    return said


@pytest.mark.parametrize("scans", [SCANS, pytest.param(MANY, marks=pytest.mark.long)])
def test_the_same_seed_gives_the_same_bytes_and_a_genuine_bench(tmp_path: Path, scans: int) -> None:
    # Each run in a process of its own, and not a fork: nothing of one run may help the other.
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        runs = [pool.submit(run, tmp_path / name, scans, 11) for name in ("one", "other")]
        for done in runs:
            done.result()
    one, other = bytes_of(tmp_path / "one"), bytes_of(tmp_path / "other")
    assert one.keys() == other.keys()
    for part in one:
        assert one[part] == other[part], part
    bench = load_bench(tmp_path / "one" / "bench.toml")
    report = asyncio.run(audit(bench, bench.trust_file)).report
    assert report.findings == ()
    assert report.verdict is Verdict.GENUINE
    assert [(one.by, one.waiting) for one in report.witnessed] == [(1, 0)] * len(bench.logs)
    assert report.replayed == scans
    assert {one.origin for one in report.standings} == {bench.origin(name) for name in bench.logs}
    # The newest round's receipts are never anchored: that would make receipts anew.
    assert [one.origin for one in report.standings if one.pending] == [bench.origin(RECEIPTS)]
    with LogStore.read(Paths(bench.data).log(bench.operator.name)) as store:
        outcomes = [body.outcome for row in store.rows() if isinstance(body := decoded(row), Command)]
    assert [outcome.partition(":")[0] for outcome in outcomes] == [INTENDED, CONFIRMED] * len(commands(scans))


def decoded(row: Row) -> Body:
    return decode_body(decode_entry(row.entry).kind, row.body or b"")


def test_another_seed_gives_other_bytes(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("other", 2)):
        run(tmp_path / name, FEW, seed)
    one, other = bytes_of(tmp_path / "one"), bytes_of(tmp_path / "other")
    assert [part for part in one if one[part] == other[part]] == []


def test_a_bench_is_not_simulated_over_another(tmp_path: Path) -> None:
    run(tmp_path / "one", 5, 1)
    before = bytes_of(tmp_path / "one")
    with pytest.raises(UsageError, match="before"):
        asyncio.run(simulate(load_bench(tmp_path / "one" / "bench.toml"), 5, 1))
    assert bytes_of(tmp_path / "one") == before
