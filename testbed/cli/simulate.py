"""`testbed simulate`: a whole bench in lock-step under a virtual clock, hours in minutes."""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable

from rich.progress import Progress

from testbed.cli.options import make_folder
from testbed.core.errors import UsageError
from testbed.rig.bench import Bench, load_bench
from testbed.rig.default import default_text
from testbed.rig.lies import meddler_of
from testbed.rig.lockstep import Simulated, simulate
from testbed.rig.meddler import HONEST, Meddler


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    if options.scans < 1 or options.seed < 0:
        raise UsageError(
            f"--scans {options.scans} --seed {options.seed}", "give one scan or more, and a seed from 0 on"
        )
    if options.folder.is_dir() and any(options.folder.iterdir()):
        raise UsageError(f"{options.folder}: there is something in this folder", "name a new one")
    _meddler(load_bench(options.bench), options)
    text = default_text() if options.bench is None else options.bench.read_text(encoding="utf-8")
    make_folder(options.folder)
    file = options.folder / "bench.toml"
    file.write_text(text, encoding="utf-8")
    bench = load_bench(file)
    meddler = _meddler(bench, options)
    begun = time.monotonic()

    def run(progress: Callable[[int], None] | None) -> Simulated:
        return asyncio.run(
            simulate(
                bench,
                options.scans,
                options.seed,
                lying_twin=options.lying_twin,
                meddler=meddler,
                progress=progress,
            )
        )

    if sys.stdout.isatty() and not options.json:
        with Progress() as bar:
            task = bar.add_task("scans", total=options.scans)
            done = run(lambda scan: bar.update(task, completed=scan))
    else:
        done = run(None)
    seconds = time.monotonic() - begun
    if options.json:
        facts = {"scans": done.scans, "anchors": done.anchors, "gas": done.gas, "seconds": round(seconds, 3)}
        print(json.dumps({"bench": str(file), **facts}))
        return 0
    print(
        f"{done.scans} scans in {seconds:.1f} s; {done.anchors} anchors, {done.gas / max(done.anchors, 1):.0f} gas each"
    )
    print(f"check it with `testbed verify --bench {file}`")
    return 0


def _meddler(bench: Bench, options: argparse.Namespace) -> Meddler:
    """Who tells the lie that was asked for. Raises UsageError for one that cannot be told in this run."""
    if options.lie is None:
        for name, given in (("--lie-by", options.lie_by), ("--lie-at", options.lie_at)):
            if given is not None:
                raise UsageError(f"{name} {given}: there is no lie", "say which one with --lie KIND")
        return HONEST
    scan = (options.scans + 1) // 2 if options.lie_at is None else options.lie_at
    if scan > options.scans:
        raise UsageError(f"--lie-at {scan}: there are {options.scans} scans", "lie in one of them")
    return meddler_of(bench, options.lie, scan, options.lie_by)
