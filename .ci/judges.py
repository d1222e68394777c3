"""Runs the judges that come from Debian's packages; arguments go to pytest.

What is missing is installed by apt-get where that may be done, as root on Debian; elsewhere the exit code is 2 and the
packages are named.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.debian.libmodbus import missing

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: list[str]) -> int:
    """pytest's exit code; 2 where packages are missing."""
    if lacking := missing():
        if _may_install():
            _install(lacking)
        if lacking := missing():
            print(f"the judges need Debian packages that are not here: {' '.join(lacking)}", file=sys.stderr)
            print(f"  mend: run `apt-get install {' '.join(lacking)}` as root, then make judges again", file=sys.stderr)
            return 2
    tests = (sys.executable, "-m", "pytest", "-m", "judges", "tests/debian", *arguments)
    return subprocess.run(tests, cwd=ROOT, check=False).returncode


def _may_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _install(packages: list[str]) -> None:
    """Failing here is not the end: what is still missing is told then."""
    print(f"judges: apt-get installs {' '.join(packages)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    quiet = ("apt-get", "-qq")
    for command in ((*quiet, "update"), (*quiet, "install", "--yes", "--no-install-recommends", *packages)):
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
