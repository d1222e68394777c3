"""Readers by other authors from PyPI, in a Python environment of their own: `.ci/judges.py` makes it."""

import subprocess
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = HERE.parents[1] / ".judges"
PYTHON = FOLDER / "bin" / "python"


def run(script: str, *arguments: str | Path, given: str = "") -> str:
    """What a script of this folder prints, run by that environment; it must end well and complain of nothing."""
    command = (str(PYTHON), "-W", "error", str(HERE / script), *map(str, arguments))
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
