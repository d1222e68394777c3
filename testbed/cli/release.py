"""`testbed release`: a reserved bench is given back."""

import argparse
import json
import sys

from testbed.cli.options import bench_of
from testbed.core.clock import SystemClock
from testbed.core.errors import LeaseError
from testbed.guard.lease import release
from testbed.rig.safety import lease_folder, person

_FAILED = 1


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code: 0 where nobody holds the bench now, 1 where it is somebody else's."""
    bench = bench_of(options)
    try:
        ended = release(lease_folder(bench), person(), SystemClock(), force=options.force)
    except LeaseError as error:
        if options.json:
            print(json.dumps({"bench": bench.name, "released": False, "why": error.problem}))
        else:
            print(f"error: {error}", file=sys.stderr)
        return _FAILED
    if options.json:
        facts = {} if ended is None else ended.facts()
        print(json.dumps({"bench": bench.name, "released": True, "was_reserved": ended is not None, **facts}))
    elif ended is None:
        print(f"{bench.name} was free")
    else:
        print(f"{bench.name} is free; it was reserved by {ended}")
    return 0
