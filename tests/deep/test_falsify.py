"""Every falsification at the first, a middle and the last record of a longer bench, as a table.

A sweep that was broken off goes on where it stopped: with SWEEP=DIR in the environment, the bench and the cases that
were done are kept there.
"""

import asyncio
import json
import os
import shutil
import time
from pathlib import Path

import pytest

from testbed.attacks.kinds import KINDS
from testbed.core.finding import Verdict
from testbed.rig.auditing import audit
from testbed.rig.bench import load_bench
from testbed.rig.default import default_text
from testbed.rig.falsifying import Place, Request, falsify
from testbed.rig.lockstep import simulate

pytestmark = pytest.mark.deep

SCANS = 5_000
OWN = {"twin-record": "twin", "source-record": "gateway", "forged-frame": "gateway", "stripped-frame": "gateway"}


def one_case(finished: Path, copy: Path, request: Request) -> tuple[bool, str, float]:
    """Whether exactly what was expected is found, what was done, and how long the check took in s."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(finished, copy)
    bench = load_bench(copy / "bench.toml")
    done = asyncio.run(falsify(bench, request))
    begun = time.monotonic()
    report = asyncio.run(audit(bench, bench.trust_file)).report
    seconds = time.monotonic() - begun
    found = sorted((one.what.value, one.layer.value, one.origin, str(one.index)) for one in report.findings)
    expected = sorted((one.what.value, one.layer.value, one.origin, str(one.index)) for one in done.expected)
    named = all(any(found.where.startswith(one.where) for found in report.findings) for one in done.expected)
    return found == expected and named and report.verdict is Verdict.FALSIFIED, done.done, seconds


def test_every_falsification_is_found_at_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(os.environ.get("SWEEP", tmp_path))
    finished, table = folder / "finished", folder / "done.json"
    if not (folder / "ready").exists():
        shutil.rmtree(finished, ignore_errors=True)
        finished.mkdir(parents=True)
        (finished / "bench.toml").write_text(default_text(), encoding="utf-8")
        asyncio.run(simulate(load_bench(finished / "bench.toml"), SCANS, 1))
        (folder / "ready").touch()
    results: dict[str, tuple[bool, str, float]] = json.loads(table.read_text()) if table.exists() else {}
    for kind in KINDS:
        for role in ("gateway", "twin"):
            for place in Place:
                name = f"{kind} {role} {place.value}"
                if name in results or OWN.get(kind, role) != role:
                    continue
                results[name] = one_case(
                    finished, folder / "copy", Request(kind, role, None if kind == "slot" else place)
                )
                table.write_text(json.dumps(results))
                right, done, seconds = results[name]
                with capsys.disabled():
                    print(f"\n  {'ok ' if right else 'BAD'} {name:30} {seconds:6.1f} s  {done}", end="", flush=True)
    with capsys.disabled():
        print(f"\n  {sum(right for right, _, _ in results.values())} of {len(results)} found, each alone at its place")
    assert [name for name, (right, _, _) in results.items() if not right] == []
