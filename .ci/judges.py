"""Runs the judges by other authors that are no part of `make test`; arguments go to pytest.

Some come from Debian's packages: what is missing is installed by apt-get where that may be done, as root on Debian;
elsewhere the exit code is 2 and the packages are named. Others come from PyPI: .ci/requirements-judges.txt is installed
into .judges, an environment of their own, and again when that file has changed.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from tests.debian import environment, golang, libmodbus

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / ".ci" / "requirements-judges.txt"
_PIP = ("-m", "pip", "install", "-qq", "--no-input", "--disable-pip-version-check")


def main(arguments: list[str]) -> int:
    """pytest's exit code; 2 where packages are missing."""
    if lacking := missing():
        if _may_install():
            _install(lacking)
        if lacking := missing():
            print(f"the judges need Debian packages that are not here: {' '.join(lacking)}", file=sys.stderr)
            print(f"  mend: run `apt-get install {' '.join(lacking)}` as root, then make judges again", file=sys.stderr)
            return 2
    if not _has_environment():
        print("the judges' own Python packages could not be installed", file=sys.stderr)
        print(
            "  mend: check that pip reaches its index (`pip config list`), then run make judges again", file=sys.stderr
        )
        return 2
    tests = (sys.executable, "-m", "pytest", "-m", "judges", "tests/debian", "tests/chain", *arguments)
    return subprocess.run(tests, cwd=ROOT, check=False).returncode


def missing() -> list[str]:
    """The Debian packages that are not here."""
    return [*libmodbus.missing(), *golang.missing()]


def _may_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _install(packages: list[str]) -> None:
    """Failing here is not the end: what is still missing is told then."""
    print(f"judges: apt-get installs {' '.join(packages)}", flush=True)
    environment_ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    quiet = ("apt-get", "-qq")
    for command in ((*quiet, "update"), (*quiet, "install", "--yes", "--no-install-recommends", *packages)):
        subprocess.run(command, env=environment_, stdout=subprocess.DEVNULL, check=False)


def _has_environment() -> bool:
    """Whether .judges holds what the lock asks for; makes it so where it does not."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    made_of = environment.FOLDER / "made-of"
    if environment.PYTHON.exists() and made_of.exists() and made_of.read_text(encoding="utf-8") == digest:
        return True
    print(f"judges: Python packages of {REQUIREMENTS.name} in {environment.FOLDER.name}", flush=True)
    venv.create(environment.FOLDER, clear=True, with_pip=True, symlinks=True)
    locked = ("--require-hashes", "--only-binary", ":all:", "--requirement", str(REQUIREMENTS))
    if subprocess.run([environment.PYTHON, *_PIP, *locked], cwd=ROOT, check=False).returncode != 0:
        return False
    made_of.write_text(digest, encoding="utf-8")
    return True


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
