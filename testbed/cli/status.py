"""`testbed status`: which roles run, how often they were started again, and how far the logs are."""

import argparse
import json

from testbed.cli.near import near
from testbed.cli.options import bench_of
from testbed.core.errors import TestbedError
from testbed.rig.progress import progress_of, running_roles
from testbed.rig.supervision import Supervised, down_of, read_supervision, supervision_facts


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    bench = bench_of(options)
    roles, progress, supervised = running_roles(bench), progress_of(bench), read_supervision(bench)
    code = TestbedError.exit_code if progress.problems or down_of(supervised) else 0
    if options.json:
        facts = {**progress.facts(), "problems": progress.problems, **supervision_facts(supervised)}
        print(json.dumps({"bench": bench.name, "data": str(bench.data), "roles": roles, **facts}))
        return code
    print(f"bench {bench.name}, data in {near(bench.data)}")
    for role, status in roles.items():
        state = f"{status.get('state', 'starting')}, pid {status['pid']}" if "pid" in status else "not running"
        print(f"  {role:8} {state}  {status.get('problem', '')}".rstrip())
        _print_deaths(supervised.get(role, Supervised()))
    for problem in progress.problems:
        print(f"  cannot be read: {near(problem)}\n    mend: run `testbed doctor`")
    print(progress.line())
    return code


def _print_deaths(role: Supervised) -> None:
    if role.restarts or role.words:
        is_down = "down; " if role.down else ""
        print(f"           {is_down}restarts {role.restarts}, last words: {near(role.words)}")
