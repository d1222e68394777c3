"""What the judge over Go's sumdb needs of Debian, and that program, compiled when it is wanted."""

import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = Path("/usr/share/gocode")
"""Where Debian puts the sources of Go's libraries."""
PACKAGES = ("golang-go", "golang-golang-x-mod-dev")


class NotBuilt(Exception):
    """The Go program could not be compiled; the message is the compiler's."""


def missing() -> list[str]:
    """The Debian packages that are not here."""
    there = shutil.which("go") is not None and (SOURCES / "src/golang.org/x/mod/sumdb/tlog").is_dir()
    return [] if there else list(PACKAGES)


def build(folder: Path) -> Path:
    """The program of tlogread/, compiled into `folder`, from Debian's sources alone. Raises NotBuilt."""
    go, program = shutil.which("go"), folder / "tlogread"
    if go is None:
        raise NotBuilt("there is no go")
    offline = {
        "GO111MODULE": "off",
        "GOPATH": str(SOURCES),
        "GOCACHE": str(folder / "cache"),
        "GOFLAGS": "",
        "CGO_ENABLED": "0",
    }
    command = (go, "build", "-o", str(program), str(HERE / "tlogread" / "main.go"))
    made = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **offline})
    if made.returncode != 0:
        raise NotBuilt(made.stderr)
    return program
