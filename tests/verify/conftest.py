"""A small bench, simulated once, and what an auditor reads of it."""

import asyncio
import shutil
from pathlib import Path

import pytest

from testbed.rig.auditing import auditor, evidence_of
from testbed.rig.bench import Bench, load_bench
from testbed.rig.default import default_text
from testbed.rig.lockstep import simulate
from testbed.rig.trust import load_trust
from testbed.verify.evidence import Evidence
from testbed.verify.trust import Trust

SCANS = 300
"""More than a full tile of each log, a few anchors."""


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a bench that ran and ended. Not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "bench.toml").write_text(default_text().replace("every = 256", "every = 64"), encoding="utf-8")
    asyncio.run(simulate(load_bench(folder / "bench.toml"), SCANS, 3))
    return folder


@pytest.fixture
def bench(finished: Path, tmp_path: Path) -> Bench:
    """A copy of it, to be damaged."""
    shutil.copytree(finished, tmp_path / "copy")
    return load_bench(tmp_path / "copy" / "bench.toml")


@pytest.fixture(scope="session")
def trust(finished: Path) -> Trust:
    return auditor(load_trust(finished / "trust.toml"))


@pytest.fixture(scope="session")
def evidence(finished: Path) -> Evidence:
    """Everything that is read of the untouched bench."""
    bench = load_bench(finished / "bench.toml")
    return asyncio.run(evidence_of(bench, auditor(load_trust(bench.trust_file))))
