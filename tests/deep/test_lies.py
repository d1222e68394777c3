"""Every lie in early and later scans, before and behind a heartbeat: after how many scans it is found, as a table."""

import asyncio
from pathlib import Path

import pytest

from testbed.attacks.kinds import LIES
from testbed.core.finding import Verdict, What
from testbed.rig.auditing import audit
from testbed.rig.bench import load_bench
from testbed.rig.default import default_text
from testbed.rig.lies import meddler_of
from testbed.rig.lockstep import simulate
from testbed.verify.verdict import Report

pytestmark = pytest.mark.deep

SCANS = (3, 4, 10, 11, 12, 25)
"""In which the lie is told. A heartbeat is logged each ten scans."""
WITHIN = 2
EXPECTED = {
    "values": (What.ALTERED, Verdict.FALSIFIED),
    "omission": (What.DROPPED, Verdict.INCONCLUSIVE),
    "replay": (What.ALTERED, Verdict.FALSIFIED),
    "rewind": (What.REPLAYED, Verdict.FALSIFIED),
    "wire": (What.ALTERED, Verdict.FALSIFIED),
    "forge": (What.FORGED, Verdict.FALSIFIED),
    "strip": (What.STRIPPED, Verdict.INCONCLUSIVE),
    "command": (What.UNEXPLAINED, Verdict.INCONCLUSIVE),
}
"""Of a PLC that signs."""
CASES = [(kind, by) for kind in LIES for by in ((None,) if kind == "command" else ("gateway", "reader"))]


def run(folder: Path, scans: int, lie: tuple[str, int, str | None] | None) -> Report:
    folder.mkdir()
    (folder / "bench.toml").write_text(default_text(), encoding="utf-8")
    bench = load_bench(folder / "bench.toml")
    if lie is None:
        asyncio.run(simulate(bench, scans, 1))
    else:
        asyncio.run(simulate(bench, scans, 1, meddler=meddler_of(bench, *lie)))
    return asyncio.run(audit(bench, bench.trust_file)).report


def scans_until_found(folder: Path, kind: str, scan: int, by: str | None) -> tuple[int, Report]:
    """How many scans after that of the lie the first check finds it, and that check's report."""
    for later in range(WITHIN + 1):
        report = run(folder / f"{kind}-{by}-{scan}-{later}", scan + later, (kind, scan, by))
        if report.findings:
            return later, report
    raise AssertionError(f"{kind} by {by} in scan {scan} was not found")


def test_every_lie_is_found_within_two_scans(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n  {'found so many scans after a lie in scan':42}{''.join(f'{scan:5}' for scan in SCANS)}")
    for kind, by in CASES:
        expected, verdict = EXPECTED[kind]
        row = ""
        for scan in SCANS:
            later, report = scans_until_found(tmp_path, kind, scan, by)
            assert [one.what for one in report.findings] == [expected], (kind, by, scan, report.findings)
            assert report.verdict is verdict
            row += f"{later:5}"
        with capsys.disabled():
            print(f"  {kind:12} {by or 'a stranger':29}{row}", flush=True)
    report = run(tmp_path / "honest", max(SCANS) + WITHIN, None)
    assert (report.verdict, report.findings) == (Verdict.GENUINE, ())
