"""Writes help.txt anew: what `testbed --help` and each command's help say, 100 columns wide."""

import contextlib
import io
import os
from pathlib import Path

from testbed.cli.parser import parser

COMMANDS = (
    "init",
    "up",
    "status",
    "tags",
    "read",
    "write",
    "reserve",
    "who",
    "release",
    "recover",
    "verify",
    "prove",
    "export",
    "rotate-key",
    "root",
    "root sign",
    "root make",
    "erase",
    "handover",
    "falsify",
    "scan",
    "doctor",
    "demo",
    "simulate",
    "run",
    "import",
)


def main() -> None:
    os.environ["COLUMNS"] = "100"
    text = ""
    for command in ("", *COMMANDS):
        asked = [*command.split(), "--help"]
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
            parser().parse_args(asked)
        text += f"$ testbed {' '.join(asked)}\n{out.getvalue()}\n"
    Path(__file__).with_name("help.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
