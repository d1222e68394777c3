"""An hour of the cell, twice, under the virtual clock: genuine, and the same bytes."""

import asyncio
import hashlib
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from testbed.core.finding import Verdict
from testbed.rig.auditing import audit
from testbed.rig.bench import RECEIPTS, load_bench
from testbed.rig.default import default_text
from testbed.rig.lockstep import Simulated, simulate
from testbed.rig.paths import Paths
from testbed.store.sqlite import LogStore

pytestmark = pytest.mark.deep

SCANS = 36_000
WITHIN_S = 20 * 60


def run(folder: Path) -> tuple[Simulated, float, dict[str, str]]:
    """What was done, how long it took in s, and the digest of each part that must not depend on the machine."""
    folder.mkdir()
    (folder / "bench.toml").write_text(default_text(), encoding="utf-8")
    bench = load_bench(folder / "bench.toml")
    begun = time.monotonic()
    done = asyncio.run(simulate(bench, SCANS, 1))
    return done, time.monotonic() - begun, digests(folder)


def digests(folder: Path) -> dict[str, str]:
    bench = load_bench(folder / "bench.toml")
    paths = Paths(bench.data)
    parts = {"trust": bench.trust_file.read_bytes(), "journal": paths.journal.read_bytes()}
    for role in bench.logs:
        with LogStore.read(paths.log(role)) as store:
            parts[f"{role} rows"] = repr(store.snapshot()).encode()
        files = sorted(path for path in paths.tlog(role).rglob("*") if path.is_file())
        named = ((str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).hexdigest()) for path in files)
        parts[f"{role} published"] = repr(list(named)).encode()
    return {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()}


def test_an_hour_twice_is_genuine_and_the_same_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun = time.monotonic()
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        one, other = pool.map(run, [tmp_path / "one", tmp_path / "other"])
    assert one[2] == other[2]
    bench = load_bench(tmp_path / "one" / "bench.toml")
    started = time.monotonic()
    report = asyncio.run(audit(bench, bench.trust_file)).report
    checked = time.monotonic() - started
    records = sum(standing.size for standing in report.standings)
    whole = time.monotonic() - begun
    with capsys.disabled():
        print(f"\n  {SCANS} scans, twice side by side   {one[1]:7.1f} s and {other[1]:.1f} s")
        print(f"  anchors, gas of each           {one[0].anchors:7d}   {one[0].gas / one[0].anchors:.0f}")
        print(f"  records, in {len(bench.logs)} logs             {records:7d}")
        print(f"  verified in                    {checked:7.1f} s, {1000 * checked / records:.3f} s for 1,000 records")
        print(f"  all of it                      {whole:7.1f} s of {WITHIN_S} s")
    assert report.findings == ()
    assert report.verdict is Verdict.GENUINE
    assert report.replayed == SCANS
    assert [one.origin for one in report.standings if one.pending] == [bench.origin(RECEIPTS)]
    assert whole < WITHIN_S
