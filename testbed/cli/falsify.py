"""`testbed falsify`: change something behind the bench's back, to see whether it is found."""

import argparse
import asyncio
import json

from testbed.cli.init import Subparsers
from testbed.cli.options import add_bench, add_json, bench_of
from testbed.core.errors import UsageError
from testbed.core.tags import Value
from testbed.rig.falsifying import KINDS, Place, Request, falsify


def add_to(commands: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add the command."""
    kinds = "\n".join(f"  {name:12} {what}" for name, (what, _) in KINDS.items())
    parser = commands.add_parser(
        "falsify",
        help="falsify something in a stopped bench",
        description="Falsifies one thing in a stopped bench, as somebody with its disk, a key or its node could.",
        epilog=f"kinds:\n{kinds}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kind", choices=list(KINDS), metavar="KIND", help="what to falsify, see below")
    add_bench(parser)
    parser.add_argument("--log", metavar="ROLE", help="whose log or anchors (default: the reader's)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--at", choices=[place.value for place in Place], default=Place.MIDDLE.value, help="which record under the newest anchor (default: middle)")
    where.add_argument("--index", type=int, metavar="N", help="record, hash or block N instead")
    parser.add_argument("--tag", default="tank2.level", metavar="TAG", help="whose value (default: tank2.level)")
    parser.add_argument("--to", metavar="VALUE", help="its new value (default: one more, or the opposite)")
    add_json(parser)
    parser.set_defaults(execute=_execute)


def _execute(options: argparse.Namespace) -> int:
    bench = bench_of(options)
    if options.index is not None and options.index < 0:
        raise UsageError(f"--index {options.index}", "give a number from 0 on")
    request = Request(
        kind=options.kind,
        role=options.log or bench.reader.name,
        place=Place(options.at),
        index=options.index,
        tag=options.tag,
        value=None if options.to is None else _value(options.to),
    )
    done = asyncio.run(falsify(bench, request))
    if options.json:
        expected = [
            {"what": one.what.value, "layer": one.layer.value, "where": one.where, "origin": one.origin, "index": one.index}
            for one in done.expected
        ]
        print(json.dumps({"done": done.done, "expected": expected}))
        return 0
    print(f"falsified   {done.done}")
    for one in done.expected:
        print(f"to be found {one.what.value}, layer {one.layer.value}: {one.where}")
    return 0


def _value(text: str) -> Value:
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--to {text!r} is no value", "give a number, true or false") from None
