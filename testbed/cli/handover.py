"""`testbed handover`: another account anchors from here on, because the key of the one before it was stolen."""

import argparse
import json

from testbed.cli.options import bench_of
from testbed.core.entropy import SystemEntropy
from testbed.rig.handing_over import hand_over
from testbed.rig.trust import submitter_table


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    bench = bench_of(options)
    done = hand_over(bench, options.chain, SystemEntropy())
    if options.json:
        tables = [table.model_dump() for table in done.tables]
        print(json.dumps({"before": done.before, "account": done.account, "submitter": tables}))
        return 0
    print(f"account     {done.account} takes the place of {done.before}")
    print("            give it some ether; then start the anchor again")
    print("trust file  the auditor adds, where these sizes are those of the last genuine anchors:")
    for table in done.tables:
        print(f"\n{submitter_table(table)}")
    return 0
