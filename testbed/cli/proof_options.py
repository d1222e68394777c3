"""What `testbed prove` can be told."""

import argparse
from pathlib import Path
from typing import Any

PROVE: dict[str, Any] = {
    "description": "Writes one text file that proves a record of a log, or a falsification that `testbed verify` found,"
    " to somebody who has nothing but a trust file. Changes nothing in the bench.",
}


def add_prove_options(command: argparse.ArgumentParser) -> None:
    """Add them to its parser."""
    command.add_argument("origin", nargs="?", metavar="ORIGIN", help="the log, such as: gateway, or water-cell/gateway")
    command.add_argument("index", nargs="?", type=int, metavar="INDEX", help="the record's index in that log")
    command.add_argument(
        "--record", nargs=2, metavar=("SOURCE", "SEQ"), help="the record by what it speaks of instead, such as: cell 17"
    )
    command.add_argument(
        "--log", metavar="NAME", help="the log of that record, such as: reader (default: gateway first)"
    )
    command.add_argument(
        "--finding", type=int, metavar="N", help="the N-th finding of `testbed verify` instead, counted from 1"
    )
    command.add_argument("--out", type=Path, required=True, metavar="FILE", help="the file to write; must be new")
    command.add_argument(
        "--cose",
        type=Path,
        metavar="FILE",
        help="also write a COSE statement with an RFC 9942 receipt; it is signed with the log's key, on the bench",
    )
    command.add_argument(
        "--trust",
        type=Path,
        metavar="FILE",
        help="trust file to check the result by (default: trust.toml beside the bench file)",
    )
