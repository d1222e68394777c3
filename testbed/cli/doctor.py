"""`testbed doctor`: looks at everything that a bench needs; each problem comes with its mend."""

import argparse
import asyncio
import json
from dataclasses import asdict

from testbed.cli.near import near
from testbed.cli.options import bench_of
from testbed.core.errors import UsageError
from testbed.rig.diagnosis import diagnose


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    if options.profile is not None:
        if options.bench is not None:
            raise UsageError(f"{options.profile} and --bench {options.bench}", "name one bench file")
        options.bench = options.profile
    found = asyncio.run(diagnose(bench_of(options)))
    if options.json:
        print(json.dumps({"healthy": all(one.healthy for one in found), "checks": [asdict(one) for one in found]}))
    else:
        for one in found:
            print(f"{'ok  ' if one.healthy else 'FAIL'}  {one.name:10}  {near(one.seen)}")
            if one.mend:
                print(f"      {'':10}  mend: {near(one.mend)}")
    return 0 if all(one.healthy for one in found) else 1
