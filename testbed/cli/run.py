"""`testbed run ROLE`: one role as a process of its own."""

import argparse
import asyncio
import logging

from testbed.cli.options import bench_of
from testbed.rig.process import run_role


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    # Clients that send junk are the client's affair, not a line for each frame.
    for name in ("pymodbus", "asyncua"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger("web3").setLevel(logging.WARNING)
    asyncio.run(run_role(bench_of(options), options.role, with_parent=options.with_parent))
    return 0
