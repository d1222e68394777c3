"""Honest benches of many lengths: nothing is found on any of them, whatever their seed."""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from random import Random

from testbed.core.finding import Verdict
from testbed.rig.auditing import audit
from testbed.rig.bench import load_bench
from testbed.rig.default import default_text
from testbed.rig.lockstep import Commands, simulate

SHORT = (*range(1, 9), 59, 60, 61, *range(124, 131), *range(214, 226), 253, 254, 255, 380, 381, 382)
"""Scans: logs of few records, and such that end at the border of a tile, or one record before or behind it."""

LONG = (2_500, 5_000)
"""Of all others: as many as the quicker part of a million records needs."""


@dataclass(frozen=True, slots=True)
class Honest:
    """What one bench came to. records: that were proved; wrong: what was found, in words."""

    number: int
    scans: int
    records: int
    wrong: str


def one_bench(seed: int, number: int) -> Honest:
    """Simulate one, and check it. The first ones are short; commands, rounds and plant differ by seed."""
    rng = Random(f"{seed} honest {number}")
    scans = SHORT[number] if number < len(SHORT) else rng.randrange(*LONG)
    commands: Commands = {
        scan: ("control.level_setpoint", round(rng.uniform(0.4, 1.4), 3))
        for scan in rng.sample(range(1, scans + 1), min(scans // 2, rng.randrange(6)))
    }
    with tempfile.TemporaryDirectory(prefix="mutations-") as name:
        file = Path(name) / "bench.toml"
        every = rng.choice((8, 32, 64, 256)) if scans < 500 else rng.choice((256, 512, 1024))
        file.write_text(default_text().replace("every = 256", f"every = {every}"), encoding="utf-8")
        bench = load_bench(file)
        asyncio.run(simulate(bench, scans, rng.randrange(2**31), commands=commands))
        report = asyncio.run(audit(bench, bench.trust_file)).report
    found = "; ".join(str(one) for one in report.findings)
    wrong = found or ("" if report.verdict is Verdict.GENUINE else report.verdict.value)
    return Honest(number, scans, sum(one.genuine for one in report.standings), wrong)
