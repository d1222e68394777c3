"""`testbed doctor`: looks at everything that a bench needs; each problem comes with its mend."""

import argparse
import asyncio
import json
from dataclasses import asdict

from testbed.cli.init import Subparsers
from testbed.cli.options import add_bench, add_json, bench_of
from testbed.rig.diagnosis import diagnose


def add_to(commands: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "doctor",
        help="check what a bench needs; each problem names its mend",
        description="Checks everything that a bench needs: Python, bench file, disk, node, ports, keys, trust file,"
        " journal. Each problem names its mend.",
    )
    add_bench(parser)
    add_json(parser)
    parser.set_defaults(execute=_execute)


def _execute(options: argparse.Namespace) -> int:
    found = asyncio.run(diagnose(bench_of(options)))
    if options.json:
        print(json.dumps({"healthy": all(one.healthy for one in found), "checks": [asdict(one) for one in found]}))
    else:
        for one in found:
            print(f"{'ok  ' if one.healthy else 'FAIL'}  {one.name:10}  {one.seen}")
            if one.mend:
                print(f"      {'':10}  mend: {one.mend}")
    return 0 if all(one.healthy for one in found) else 1
