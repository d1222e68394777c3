"""What the tree may hold: a fixed top level, small modules that say what they are, no address of somebody's machine."""

import ast
import json
import re
import tomllib
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

TOP = {"pyproject.toml", "README.md", "Makefile", "testbed", "contracts", "tests", "hardware"}
LONGEST = 400
"""Lines of a module; a longer one has a seam to be found."""

# Home folders and places of a build machine. An address under /tmp or /proc means the same everywhere.
MACHINE = re.compile(r"(?<![\w.$}])/(?:home|root|Users|work|opt|mnt|srv)/[\w.-]+")
SECRET_IN_URL = re.compile(r"://[^/\s:@]+:[^/\s@]+@")


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def test_the_top_level_is_fixed(root: Path, tracked: tuple[Path, ...]) -> None:
    assert {path.relative_to(root).parts[0] for path in tracked if path.relative_to(root).parts[0][0] != "."} <= TOP


def test_every_module_says_what_it_is(root: Path, tracked: tuple[Path, ...]) -> None:
    shipped = [
        path for path in tracked if path.suffix == ".py" and path.relative_to(root).parts[0] in ("testbed", ".ci")
    ]
    assert len(shipped) > 50
    assert [str(path) for path in shipped if not ast.get_docstring(ast.parse(path.read_bytes()))] == []


def test_no_module_is_too_long(root: Path, tracked: tuple[Path, ...]) -> None:
    modules = [
        path for path in tracked if path.suffix in (".py", ".sol") and path.relative_to(root).parts[0] != "tests"
    ]
    assert [str(path) for path in modules if len(text_of(path).splitlines()) > LONGEST] == []


def test_every_room_says_what_it_is_and_imports_nothing(root: Path) -> None:
    for path in sorted((root / "testbed").glob("*/__init__.py")):
        (only,) = ast.parse(path.read_bytes()).body
        assert isinstance(only, ast.Expr), path


def test_no_file_names_a_place_on_one_machine(tracked: tuple[Path, ...]) -> None:
    found = {str(path): MACHINE.findall(text_of(path)) for path in tracked}
    assert {path: places for path, places in found.items() if places} == {}


def test_no_file_holds_a_password_in_an_address(tracked: tuple[Path, ...]) -> None:
    assert [str(path) for path in tracked if SECRET_IN_URL.search(text_of(path))] == []


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-node.txt", "requirements-judges.txt"])
def test_the_python_locks_name_no_address(root: Path, name: str) -> None:
    lock = text_of(root / ".ci" / name)
    lines = [line for line in lock.splitlines() if not line.lstrip().startswith("#")]
    assert "://" not in lock
    # Nothing but pinned packages and their hashes: so no line with an option, such as --index-url.
    assert [line for line in lines if not re.match(r"[A-Za-z0-9]|    --hash=sha256:[0-9a-f]{64}", line)] == []


def test_the_npm_locks_name_no_address(tracked: tuple[Path, ...]) -> None:
    locks = [path for path in tracked if path.name == "package-lock.json"]
    assert locks
    for lock in locks:
        packages = json.loads(text_of(lock))["packages"]
        assert [name for name, package in packages.items() if "resolved" in package] == []
        assert [name for name, package in packages.items() if name and "integrity" not in package] == []
        # Without this line the next `npm install` writes the addresses again.
        assert "omit-lockfile-registry-resolved=true" in text_of(lock.with_name(".npmrc")).splitlines()


def test_no_lock_of_a_kind_that_records_addresses(tracked: tuple[Path, ...]) -> None:
    assert [str(path) for path in tracked if path.name in ("uv.lock", "pylock.toml", "poetry.lock")] == []


def test_the_wheel_has_what_a_bench_needs(root: Path, tracked: tuple[Path, ...], tmp_path: Path) -> None:
    built = next(WheelBuilder(str(root)).build(directory=str(tmp_path), versions=["standard"]))
    with zipfile.ZipFile(built) as wheel:
        packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
        scripts = next(wheel.read(name).decode() for name in wheel.namelist() if name.endswith("entry_points.txt"))
    package = {str(path.relative_to(root)) for path in tracked if path.relative_to(root).parts[0] == "testbed"}
    assert packed == package
    assert {"testbed/chain/AnchorRegistry.json", "testbed/rig/water_cell.toml", "testbed/model/frozen.json"} <= packed
    command = tomllib.loads(text_of(root / "pyproject.toml"))["project"]["scripts"]["testbed"]
    assert f"testbed = {command}" in scripts
    assert command.partition(":")[0].replace(".", "/") + ".py" in packed
