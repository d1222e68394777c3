"""The process suite of the water cell passes unchanged on every way to its PLC: only --bench changes."""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from tests.deep.process_benches import TRANSPORTS
from tests.fieldbus.ptys import cable

pytestmark = pytest.mark.deep
SUITE = Path(__file__).parents[1] / "process"
LEAST_TESTS = 25
MOST_S = 240.0


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of the suite on one transport."""

    transport: str
    tests: int
    seconds: float


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Iterator[list[Ran]]:
    """Filled by the tests, and printed after the last."""
    rows: list[Ran] = []
    yield rows
    lines = [f"{row.transport:30} {row.tests:>5} {row.seconds:>8.1f}" for row in rows]
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print("", f"{'transport':30} {'tests':>5} {'seconds':>8}", *lines, sep="\n")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_suite_passes_unchanged(transport: str, table: list[Ran], tmp_path: Path) -> None:
    with cable() as line:
        (tmp_path / "line").write_text(f"{line.near} {line.far}", encoding="utf-8")
        _passes(TRANSPORTS[transport](tmp_path), transport, table)


def _passes(bench: Path, transport: str, table: list[Ran]) -> None:
    report = bench.with_name("report.xml")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--junitxml={report}"]
    began = time.monotonic()
    done = subprocess.run(
        [*command, f"--bench={bench}", str(SUITE)], capture_output=True, text=True, check=False, timeout=4 * MOST_S
    )
    seconds = time.monotonic() - began
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    suite = Xml.parse(report).getroot().find("testsuite")  # noqa: S314  # pytest wrote it just now
    assert suite is not None
    table.append(Ran(transport, int(suite.attrib["tests"]), seconds))
    assert int(suite.attrib["tests"]) >= LEAST_TESTS
    assert suite.attrib["skipped"] == "0"
    assert seconds < MOST_S
