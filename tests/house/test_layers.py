"""The contracts in pyproject.toml hold the floors: the tree as it stands passes, each break is named."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

FLOORS = "Floors: imports run downwards, rooms on one floor do not know each other"
CIRCLES = "No room runs in circles"
BREAKS = (
    pytest.param("core/errors.py", "import testbed.rig.paths", FLOORS, id="core imports rig"),
    pytest.param("rig/paths.py", "import testbed.cli.main", FLOORS, id="rig imports cli"),
    pytest.param("verify/log.py", "import testbed.tlog.publisher", FLOORS, id="verifier imports writer"),
    pytest.param("merkle/proofs.py", "import testbed.keys.note", FLOORS, id="library imports library"),
    pytest.param("merkle/proofs.py", "def f():\n    import testbed.keys.note", FLOORS, id="also inside a function"),
    pytest.param("novelty/__init__.py", "", FLOORS, id="a folder without a floor"),
    pytest.param("novelty.py", "", FLOORS, id="a file without a floor"),
    pytest.param("merkle/tree.py", "import testbed.merkle.proofs", CIRCLES, id="modules of a room in a circle"),
    pytest.param("plc/thread.py", "import pymodbus", "Wires: pymodbus and asyncua live in fieldbus", id="pymodbus"),
    pytest.param("plc/thread.py", "import asyncua.ua", "Wires: pymodbus and asyncua live in fieldbus", id="asyncua"),
    pytest.param("plc/bridge.py", "import snap7", "Siemens: snap7 lives in fieldbus", id="snap7"),
    pytest.param("verify/chain.py", "import web3", "Ethereum: its libraries live in chain", id="web3"),
    pytest.param("verify/chain.py", "import eth_utils", "Ethereum: its libraries live in chain", id="eth_utils"),
    pytest.param("verify/log.py", "import cbor2", "Encoding: cbor2 lives in record", id="cbor2"),
    pytest.param("verify/log.py", "import cryptography", "Keys: cryptography lives in keys", id="cryptography"),
    pytest.param("anchor/policy.py", "import pydantic", "Files from people: pydantic lives in rig", id="pydantic"),
    pytest.param("plc/thread.py", "import structlog", "Log lines: structlog lives in rig", id="structlog"),
    pytest.param(
        "cli/status.py",
        "import prometheus_client",
        "Metrics: prometheus_client lives in rig",
        id="prometheus_client",
    ),
    pytest.param("rig/bench.py", "import rich.table", "Screens: rich lives in cli", id="rich"),
    pytest.param("rig/evidence.py", "import pyarrow", "Parquet: pyarrow lives in outward", id="pyarrow"),
    pytest.param("rig/bench.py", "import pytest", "Tests: pytest lives in pytest_plugin", id="pytest"),
    pytest.param("cli/status.py", "import pytest", "Tests: pytest lives in pytest_plugin", id="pytest"),
    pytest.param("pytest_plugin/plugin.py", "import testbed.cli.main", FLOORS, id="face imports face"),
    pytest.param("attacks/target.py", "import sqlite3", "Databases: sqlite3 lives in store", id="sqlite3"),
)


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """The package and its contracts, to be broken."""
    shutil.copytree(root / "testbed", tmp_path / "testbed", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", tmp_path)
    return tmp_path


def lint(folder: Path) -> tuple[int, str]:
    """Exit code and words of import-linter on the package in `folder`."""
    # The folder comes first on the path, before the project's own: so the copy is what is read.
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    program = Path(sys.executable).with_name("lint-imports")
    answer = subprocess.run(
        [program, "--no-cache", "--no-logo"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return answer.returncode, answer.stdout + answer.stderr


def contracts(root: Path) -> list[dict[str, Any]]:
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    return list(settings["contracts"])


def test_the_tree_keeps_every_contract(copy: Path, root: Path) -> None:
    code, words = lint(copy)
    assert code == 0, words
    assert [f"{contract['name']} KEPT" in words for contract in contracts(root)] == [True] * len(contracts(root))


@pytest.mark.parametrize(("file", "line", "broken"), BREAKS)
def test_a_broken_contract_is_named(copy: Path, file: str, line: str, broken: str) -> None:
    changed = copy / "testbed" / file
    changed.parent.mkdir(exist_ok=True)
    before = changed.read_text(encoding="utf-8") if changed.exists() else ""
    changed.write_text(f"{before}\n{line}\n", encoding="utf-8")
    code, words = lint(copy)
    assert code == 1, words
    assert f"{broken} BROKEN" in words


def test_every_contract_is_broken_by_a_test(root: Path) -> None:
    assert {contract["name"] for contract in contracts(root)} == {str(case.values[2]) for case in BREAKS}
