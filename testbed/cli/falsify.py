"""`testbed falsify`: change something behind the bench's back, to see whether it is found."""

import argparse
import asyncio
import json

from testbed.cli.near import near
from testbed.cli.options import bench_of, value_of
from testbed.core.errors import UsageError
from testbed.rig.falsifying import Place, Request, falsify


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    bench = bench_of(options)
    if options.index is not None and not 0 <= options.index < 1 << 63:
        raise UsageError(f"--index {options.index}", "give a number from 0 on that a log can have")
    request = Request(
        kind=options.kind,
        role=options.log,
        place=None if options.at is None else Place(options.at),
        index=options.index,
        tag=options.tag,
        value=None if options.to is None else value_of("--to", options.to),
    )
    done = asyncio.run(falsify(bench, request))
    if options.json:
        expected = [
            {
                "what": one.what.value,
                "layer": one.layer.value,
                "where": one.where,
                "origin": one.origin,
                "index": one.index,
            }
            for one in done.expected
        ]
        print(json.dumps({"done": done.done, "expected": expected}))
        return 0
    print(f"falsified   {near(done.done)}")
    for one in done.expected:
        print(f"to be found {one.what.value}, layer {one.layer.value}: {one.where}")
    return 0
