"""A bench that was simulated once, with its states exported as CSV and Parquet. Not to be changed."""

import asyncio

import pytest

from testbed.core.exported import Range
from testbed.rig.bench import Bench, load_bench
from testbed.rig.default import default_text
from testbed.rig.exporting import export_states
from testbed.rig.lockstep import simulate

SCANS = 120


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("judged-bench")
    (folder / "bench.toml").write_text(default_text(), encoding="utf-8")
    asyncio.run(simulate(load_bench(folder / "bench.toml"), SCANS, 3))
    found = load_bench(folder / "bench.toml")
    for form in ("csv", "parquet"):
        export_states(found, "gateway", (), Range(), form, folder / f"states.{form}", lambda _what, _done, _parts: None)
    return found
