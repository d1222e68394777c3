"""`testbed who`: who has reserved a bench, and whether it is in use at all."""

import argparse
import json

from testbed.cli.options import bench_of
from testbed.core.clock import SystemClock
from testbed.guard.lease import holder
from testbed.guard.quarantine import quarantined
from testbed.rig.paths import Paths
from testbed.rig.safety import lease_folder


def execute(options: argparse.Namespace) -> int:
    """The command; returns 0."""
    bench = bench_of(options)
    held = holder(lease_folder(bench), SystemClock())
    out = quarantined(Paths(bench.data).quarantine)
    if options.json:
        facts = {"bench": bench.name, "reserved": held is not None, **({} if held is None else held.facts())}
        why = None if out is None else {"why": out.why, "since_ns": out.since_ns}
        print(json.dumps({**facts, "quarantine": why}))
        return 0
    print(f"{bench.name} is free" if held is None else f"{bench.name} is reserved by {held}")
    if out is not None:
        print(f"{bench.name} is {out}")
    return 0
