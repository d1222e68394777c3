"""Outside libraries: each that is imported is declared, locked, and has a home."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def settings(root: Path) -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def imported(folder: Path) -> Iterator[tuple[Path, str]]:
    """File and top-level name of every absolute import, also those inside functions."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield path, alias.name.partition(".")[0]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                yield path, node.module.partition(".")[0]


def outside(root: Path) -> set[str]:
    """Top-level names that are neither ours nor the standard library's."""
    return {name for _, name in imported(root / "testbed")} - sys.stdlib_module_names - {"testbed"}


def plain(requirement: str) -> str:
    """A distribution's name in its normal form (PEP 503)."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def test_every_outside_import_is_declared(root: Path, settings: dict[str, Any]) -> None:
    project = settings["project"]
    asked = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    declared = {plain(line) for line in asked}
    homes = packages_distributions()
    undeclared = {name for name in outside(root) if not {plain(dist) for dist in homes.get(name, [])} & declared}
    assert undeclared == set()


def test_every_outside_import_has_a_home(root: Path, settings: dict[str, Any]) -> None:
    contracts = settings["tool"]["importlinter"]["contracts"]
    housed = {name for contract in contracts for name in contract.get("protected_modules", [])}
    assert outside(root) - housed == set()


def test_every_declared_package_is_locked_with_its_hash(root: Path, settings: dict[str, Any]) -> None:
    lock = (root / ".ci/requirements.txt").read_text(encoding="utf-8")
    # A name with its version, perhaps "; " and a condition, then the first hash on the next line.
    with_hash = r"^([A-Za-z0-9._-]+)==[^\s;]+(?: ; .*)? \\\n    --hash=sha256:[0-9a-f]{64}"
    locked = {plain(name) for name in re.findall(with_hash, lock, re.MULTILINE)}
    asked = settings["project"]["dependencies"] + settings["dependency-groups"]["dev"]
    assert {plain(line) for line in asked} - locked == set()
    # pip refuses the whole file where one line has no hash; so would a reader.
    assert len(re.findall(r"^[A-Za-z0-9._-]+==", lock, re.MULTILINE)) == len(locked)
