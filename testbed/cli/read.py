"""`testbed read`: the values of one scan of the running PLC, by either protocol."""

import argparse
import asyncio
import json

from testbed.cli.options import bench_of
from testbed.core.errors import UsageError
from testbed.core.tags import Tag, Value
from testbed.fieldbus.registers import decode
from testbed.rig.bench import Bench
from testbed.rig.reading import read_once

_GOOD = 0


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    bench = bench_of(options)
    wanted = _wanted(bench, options.tag)
    tags, poll = asyncio.run(read_once(bench, options.by))
    shown: dict[str, Value | None] = {}
    for tag, raw, status in zip(tags, poll.values, poll.statuses, strict=True):
        if tag.name in wanted:
            shown[tag.name] = None if raw is None or status != _GOOD else decode(tag, raw)
    if options.json:
        print(json.dumps({"plc": bench.plc.name, "boot": poll.boot, "scan": poll.scan, "values": shown}))
        return 0
    for tag in (tag for tag in bench.tags if tag.name in wanted):
        print(f"{tag.name} = {_text(tag, shown[tag.name])}")
    return 0


def _wanted(bench: Bench, names: list[str]) -> set[str]:
    known = {tag.name for tag in bench.tags}
    for name in names:
        if name not in known:
            raise UsageError(f"there is no tag {name!r}", "`testbed tags` lists them")
    return set(names) or known


def _text(tag: Tag, value: Value | None) -> str:
    if value is None:
        return "nothing: its status is not good"
    number = str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else f"{value}"
    return f"{number} {tag.unit}".rstrip()
