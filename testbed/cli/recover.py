"""`testbed recover`: a bench in quarantine is brought into its safe state, read back, and put into use again."""

import argparse
import asyncio
import json

from testbed.cli.options import bench_of, who_of
from testbed.rig.recovering import recover

_FAILED = 1


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code: 0 where the bench is in use now, 1 where its quarantine stands."""
    bench = bench_of(options)
    reached = asyncio.run(recover(bench, who_of(options)))
    if reached is None:
        if options.json:
            print(json.dumps({"bench": bench.name, "recovered": False, "quarantine": False}))
        else:
            print(f"{bench.name} is in no quarantine")
        return 0
    if options.json:
        seen = [{"tag": look.tag, "value": look.value, "holds": look.holds} for look in reached.seen]
        facts = {"outcome": reached.outcome.value, "seen": seen, "faults": reached.faults}
        print(
            json.dumps({"bench": bench.name, "recovered": reached.reached, "quarantine": not reached.reached, **facts})
        )
        return 0 if reached.reached else _FAILED
    for look in reached.seen:
        print(f"{'ok   ' if look.holds else 'WRONG'}  {look}")
    for fault in reached.faults:
        print(f"fault  {fault}")
    if reached.reached:
        print(f"{bench.name} is in its safe state, and in use again")
        return 0
    print(f"{bench.name} stays in quarantine: its safe state is {reached.outcome.value}")
    return _FAILED
