"""`testbed write`: one command to the running PLC, logged under the operator's key before it is sent."""

import argparse
import asyncio
import json

from testbed.cli.options import bench_of, value_of, who_of
from testbed.core.bodies import CONFIRMED
from testbed.rig.operating import command

_FAILED = 1


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code: 0 where it was read back, 1 where it was refused or nobody knows."""
    bench = bench_of(options)
    who = who_of(options)
    outcome = asyncio.run(command(bench, who, options.tag, value_of("VALUE", options.value)))
    if options.json:
        print(json.dumps({"tag": options.tag, "value": options.value, "who": who, "outcome": outcome}))
    else:
        print(f"{options.tag} = {options.value} by {who}: {outcome}")
    return 0 if outcome.startswith(CONFIRMED) else _FAILED
