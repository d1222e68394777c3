"""Setting up repeats no step without need, and says how to mend one that failed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FILES = (".ci/set_up.py", ".ci/requirements-node.txt", "pyproject.toml")
LOCKS = ("package.json", "package-lock.json", ".npmrc")
MORE = tuple(f"{folder}/{name}" for folder in ("contracts", "tests/judges") for name in LOCKS)


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """What setting up reads, in a folder with a space in its name; a lock with a line that pip refuses."""
    folder = tmp_path / "a copy"
    for name in (*FILES, *MORE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, folder / name)
    (folder / ".ci/requirements.txt").write_text("hatchling==1.0.0\n", encoding="utf-8")
    return folder


def set_up(folder: Path) -> subprocess.CompletedProcess[str]:
    # The interpreter that the environment of the tests was made from, since an environment is made from no other one.
    program = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    return subprocess.run([program, folder / ".ci/set_up.py"], capture_output=True, text=True, check=False)


def done(folder: Path) -> dict[str, str]:
    record: dict[str, str] = json.loads((folder / ".venv/set-up.json").read_text(encoding="utf-8"))
    return record


def test_a_failed_step_is_named_and_is_the_first_one_next_time(copy: Path) -> None:
    # A package without a hash: pip asks no index before it refuses that.
    first = set_up(copy)
    assert first.returncode == 1
    assert "set-up: Python environment in .venv" in first.stdout
    assert "hash" in first.stderr.lower()
    assert "set-up stopped: pip, for the Python packages," in first.stderr
    assert "mend: " in first.stderr
    environment = done(copy)
    assert list(environment) == ["environment"]

    (copy / ".ci/requirements.txt").write_text("# nothing\n", encoding="utf-8")
    second = set_up(copy)
    assert "Python environment in .venv" not in second.stdout
    assert "Python packages" in second.stdout
    # Now the project's own build needs hatchling, which the empty lock did not bring.
    assert second.returncode == 1
    assert "set-up stopped: pip, for the project," in second.stderr
    assert done(copy) == {**environment, "packages": done(copy)["packages"]}

    third = set_up(copy)
    assert third.returncode == 1
    assert "Python packages" not in third.stdout
    assert "set-up: the project itself" in third.stdout

    # Programs of an environment carry its path: in another place it is made anew.
    moved = copy.rename(copy.with_name("moved"))
    assert "set-up: Python environment in .venv" in set_up(moved).stdout
