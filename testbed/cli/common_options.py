"""Options that many commands have."""

import argparse
from pathlib import Path
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name


def add_bench(command: argparse.ArgumentParser) -> None:
    """Which bench."""
    command.add_argument("--bench", type=Path, metavar="FILE", help="the bench file (also TESTBED_BENCH)")
    command.add_argument("--port-shift", type=int, metavar="N", help="added to every port (also TESTBED_PORT_SHIFT)")


def add_json(command: argparse.ArgumentParser) -> None:
    """For machines."""
    command.add_argument("--json", action="store_true", help="print JSON for machines")


def add_range(command: argparse.ArgumentParser, first: str, last: str) -> None:
    """Which part of a log."""
    command.add_argument("--from", dest="since", metavar="WHERE", help=first)
    command.add_argument("--to", dest="until", metavar="WHERE", help=f"{last}, this included")
