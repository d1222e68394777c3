"""`testbed status`: which roles run, and how far the logs are."""

import argparse
import json

from testbed.cli.near import near
from testbed.cli.options import bench_of
from testbed.rig.progress import progress_of, running_roles


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    bench = bench_of(options)
    roles, progress = running_roles(bench), progress_of(bench)
    if options.json:
        print(json.dumps({"bench": bench.name, "data": str(bench.data), "roles": roles, **progress.facts()}))
        return 0
    print(f"bench {bench.name}, data in {near(bench.data)}")
    for role, status in roles.items():
        state = f"{status.get('state', 'starting')}, pid {status['pid']}" if "pid" in status else "not running"
        print(f"  {role:8} {state}  {status.get('problem', '')}".rstrip())
    print(progress.line())
    return 0
