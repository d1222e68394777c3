"""What the judges of Debian's packages need, and our C programs over libmodbus, compiled when they are wanted."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent
PACKAGES: Mapping[str, str] = {"gcc": "gcc", "pkg-config": "pkg-config", "mbpoll": "mbpoll"}
"""Programs, and the packages that bring them."""
LIBRARY = "libmodbus-dev"


class NotBuilt(Exception):
    """A C program of this folder could not be compiled; the message is the compiler's."""


def missing() -> list[str]:
    """The Debian packages that are not here: of the programs, of libmodbus, and of the C library's headers."""
    lacking = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if not has_libmodbus():
        lacking += [LIBRARY, "libc6-dev"]
    return lacking


def has_libmodbus() -> bool:
    """Whether a C program over libmodbus can be compiled here."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            build("server", Path(folder))
        except NotBuilt:
            return False
    return True


def build(name: str, folder: Path) -> Path:
    """The program `name`.c of this folder, compiled into `folder`. Raises NotBuilt."""
    program = folder / name
    compiler, pkg_config = shutil.which("gcc"), shutil.which("pkg-config")
    if compiler is None or pkg_config is None:
        raise NotBuilt("there is no gcc, or no pkg-config")
    libraries = (pkg_config, "--cflags", "--libs", "libmodbus")
    asked = subprocess.run(libraries, capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        raise NotBuilt(asked.stderr)
    strict = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror")
    command = [compiler, *strict, str(HERE / f"{name}.c"), "-o", str(program), *asked.stdout.split()]
    made = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    if made.returncode != 0:
        raise NotBuilt(made.stderr)
    return program
