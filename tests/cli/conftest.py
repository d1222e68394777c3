"""The command line in the test's own process, and a bench that was simulated once."""

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from testbed.cli.main import main


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


Type = Callable[..., Said]


def run(*arguments: str) -> Said:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as end:  # argparse ends so
            code = end.code if isinstance(end.code, int) else 1
    return Said(code, out.getvalue(), err.getvalue())


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Type:
    """`typed("verify", "--json")`: types a command in an empty folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("TESTBED_BENCH", "TESTBED_PORT_SHIFT"):
        monkeypatch.delenv(name, raising=False)
    return run


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small finished bench. Not to be changed."""
    folder = tmp_path_factory.mktemp("simulated") / "lab"
    assert run("simulate", str(folder), "--scans", "40").code == 0
    return folder
