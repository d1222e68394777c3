"""`testbed erase`: bodies of a stopped bench are erased, under tombstones that say so."""

import argparse
import json

from testbed.cli.options import bench_of
from testbed.core.clock import SystemClock
from testbed.core.entropy import SystemEntropy
from testbed.rig.erasing import erase


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    bench = bench_of(options)
    done = erase(bench, options.log, options.index, options.reason, SystemClock(), SystemEntropy())
    if options.json:
        print(json.dumps([{"origin": one.origin, "index": one.index, "tombstone": one.tombstone} for one in done]))
        return 0
    operator = bench.origin(bench.operator.name)
    for one in done:
        why = "" if one.shows is None else f", which shows record {one.shows}"
        print(f"erased      record {one.index} of {one.origin}{why}: tombstone {one.tombstone} of {operator}")
    print("counts      once an anchor covers the tombstones: run the bench for a moment")
    print("not erased  what other readers saw of the same scans, exports, captures, reports, backups, copies of others")
    return 0
