"""`make` says what it can do, and each of its targets would run."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

HELP = re.compile(r"^  make ([a-z-]+) +(\S.*)$", re.MULTILINE)
INTERNAL = {"known-part"}
SAID = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "ARGS", "DURATION", "JOBS", "PART", "PYTHON"}


def make(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("make")
    if program is None:
        pytest.skip("needs make")
    # The tests may run under a make themselves, and what was said to that one is not meant for this.
    environment = {name: value for name, value in os.environ.items() if name not in SAID}
    return subprocess.run([program, *arguments], cwd=root, env=environment, capture_output=True, text=True, check=False)


def phony(root: Path) -> list[str]:
    """Every target that the Makefile names."""
    found = re.search(r"^\.PHONY: (.+)$", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1].split()


def test_make_alone_lists_every_target_with_a_line(root: Path) -> None:
    answer = make(root)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == make(root, "help").stdout
    assert sorted(name for name, _ in HELP.findall(answer.stdout)) == sorted(set(phony(root)) - INTERNAL)
    assert max(map(len, answer.stdout.splitlines())) <= 120


def test_every_target_is_phony(root: Path) -> None:
    targets = re.findall(r"^([a-z][a-z-]*):", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(targets) == sorted(phony(root))


@pytest.mark.parametrize(
    ("target", "does"),
    [
        ("testbed", "testbed up"),
        ("demo", "testbed demo"),
        ("test", "-m pytest"),
        ("check", ".ci/check.py"),
        ("judges", ".ci/judges.py"),
        ("bench", "tests/bench/run.py"),
        ("contracts", "testbed.chain.compile"),
        ("lock", "uv pip compile"),
        ("setup", ".ci/set_up.py"),
        ("clean", "rm -rf"),
    ],
)
def test_each_target_would_run(root: Path, target: str, does: str) -> None:
    answer = make(root, "--dry-run", target)
    assert answer.returncode == 0, answer.stderr
    assert does in answer.stdout


def test_a_duration_is_passed_on(root: Path) -> None:
    assert 'up --duration "60"' in make(root, "--dry-run", "testbed", "DURATION=60").stdout
    assert "--duration" not in make(root, "--dry-run", "testbed").stdout


@pytest.mark.parametrize("part", ["", "PART=nonesuch", "PART=../house/test_make"])
def test_an_unknown_part_is_refused_with_the_list_of_parts(root: Path, part: str) -> None:
    answer = make(root, "deep", *([part] if part else []))
    assert answer.returncode == 2
    assert "make deep needs PART=... ; there are:" in answer.stderr
    for path in (root / "tests" / "deep").glob("test_*.py"):
        assert path.stem.removeprefix("test_") in answer.stderr


def test_without_a_python_that_fits_it_says_what_to_install(root: Path) -> None:
    answer = make(root, "setup", "PYTHON=no-such-python")
    assert answer.returncode != 0
    assert "Python 3.11, 3.12 or 3.13" in answer.stderr
    assert "python3-venv" in answer.stderr


def test_clean_leaves_the_data_of_a_bench(root: Path) -> None:
    removed = make(root, "--dry-run", "clean").stdout
    assert ".venv" in removed
    assert not re.search(r"\.testbed|trust\.toml|bench\.toml", removed)
