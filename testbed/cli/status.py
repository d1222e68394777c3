"""`testbed status`: which roles run, and how far the logs are."""

import argparse
import json

from testbed.cli.near import near
from testbed.cli.options import bench_of
from testbed.core.errors import TestbedError
from testbed.rig.progress import progress_of, running_roles


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    bench = bench_of(options)
    roles, progress = running_roles(bench), progress_of(bench)
    code = TestbedError.exit_code if progress.problems else 0
    if options.json:
        facts = {**progress.facts(), "problems": progress.problems}
        print(json.dumps({"bench": bench.name, "data": str(bench.data), "roles": roles, **facts}))
        return code
    print(f"bench {bench.name}, data in {near(bench.data)}")
    for role, status in roles.items():
        state = f"{status.get('state', 'starting')}, pid {status['pid']}" if "pid" in status else "not running"
        print(f"  {role:8} {state}  {status.get('problem', '')}".rstrip())
    for problem in progress.problems:
        print(f"  cannot be read: {near(problem)}\n    mend: run `testbed doctor`")
    print(progress.line())
    return code
