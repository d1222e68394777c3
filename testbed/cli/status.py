"""`testbed status`: which roles run, and how far the logs are."""

import argparse
import json

from testbed.cli.init import Subparsers
from testbed.cli.options import add_bench, add_json, bench_of
from testbed.rig.progress import progress_of, running_roles


def add_to(commands: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "status",
        help="show which roles run and how far the logs are",
        description="Shows which roles of a bench run, and how far its logs and anchors are. Changes nothing.",
    )
    add_bench(parser)
    add_json(parser)
    parser.set_defaults(execute=_execute)


def _execute(options: argparse.Namespace) -> int:
    bench = bench_of(options)
    roles, progress = running_roles(bench), progress_of(bench)
    if options.json:
        print(json.dumps({"bench": bench.name, "data": str(bench.data), "roles": roles, **progress.facts()}))
        return 0
    print(f"bench {bench.name}, data in {bench.data}")
    for role, status in roles.items():
        state = f"{status.get('state', 'starting')}, pid {status['pid']}" if "pid" in status else "not running"
        print(f"  {role:8} {state}  {status.get('problem', '')}".rstrip())
    print(progress.line())
    return 0
