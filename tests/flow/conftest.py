"""A bench that ran and ended, simulated once in each test process."""

import asyncio
from pathlib import Path

import pytest

from testbed.rig.bench import Bench, load_bench
from testbed.rig.default import default_text
from testbed.rig.lockstep import simulate

SCANS = 520
"""Two full tiles of the source log, four of the twin's."""


def make_bench(folder: Path, text: str = default_text()) -> Bench:
    folder.mkdir(parents=True)
    (folder / "bench.toml").write_text(text, encoding="utf-8")
    return load_bench(folder / "bench.toml")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the bench. Not to be changed."""
    bench = make_bench(tmp_path_factory.mktemp("finished") / "bench")
    asyncio.run(simulate(bench, SCANS, 5))
    return bench.file.parent
