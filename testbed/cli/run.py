"""`testbed run ROLE`: one role as a process of its own."""

import argparse
import asyncio
import logging

from testbed.cli.init import Subparsers
from testbed.cli.options import add_bench, bench_of
from testbed.rig.process import run_role


def add_to(commands: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "run",
        help="run one role",
        description="Runs one role of a bench until SIGTERM or Ctrl-C: plc, chain, the reader, the twin, or anchor.",
    )
    parser.add_argument("role", metavar="ROLE", help="plc, chain, gateway, twin or anchor")
    add_bench(parser)
    parser.add_argument("--with-parent", action="store_true", help="also stop when standard input ends")
    parser.set_defaults(execute=_execute)


def _execute(options: argparse.Namespace) -> int:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    # Clients that send junk are the client's affair, not a line for each frame.
    for name in ("pymodbus", "asyncua"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    asyncio.run(run_role(bench_of(options), options.role, with_parent=options.with_parent))
    return 0
