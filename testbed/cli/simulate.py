"""`testbed simulate`: a whole bench in lock-step under a virtual clock, hours in minutes."""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.progress import Progress

from testbed.cli.init import Subparsers
from testbed.cli.options import add_json
from testbed.core.errors import UsageError
from testbed.rig.bench import load_bench
from testbed.rig.default import default_text
from testbed.rig.lockstep import Simulated, simulate


def add_to(commands: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "simulate",
        help="run a bench in lock-step under a virtual clock",
        description="Runs all roles in one process under a virtual clock, over real sockets and a real node. The same"
        " seed gives the same bytes. Such a bench says that it is simulated, and so does its trust file.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="where bench file, trust file and data go; must be new")
    parser.add_argument("--bench", type=Path, metavar="FILE", help="the bench file to copy (default: the water cell)")
    parser.add_argument("--scans", type=int, default=3600, metavar="N", help="scans to run (default: 3600)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="seed of noise, keys and salts (default: 1)")
    add_json(parser)
    parser.set_defaults(execute=_execute)


def _execute(options: argparse.Namespace) -> int:
    if options.scans < 1 or options.seed < 0:
        raise UsageError(f"--scans {options.scans} --seed {options.seed}", "give one scan or more, and a seed from 0 on")
    if options.folder.exists() and any(options.folder.iterdir()):
        raise UsageError(f"{options.folder}: there is something in this folder", "name a new one")
    text = default_text() if options.bench is None else options.bench.read_text(encoding="utf-8")
    options.folder.mkdir(parents=True, exist_ok=True)
    file = options.folder / "bench.toml"
    file.write_text(text, encoding="utf-8")
    bench = load_bench(file)
    begun = time.monotonic()

    def run(progress: Callable[[int], None] | None) -> Simulated:
        return asyncio.run(simulate(bench, options.scans, options.seed, progress=progress))

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
    print(f"{done.scans} scans in {seconds:.1f} s; {done.anchors} anchors, {done.gas / max(done.anchors, 1):.0f} gas each")
    print(f"check it with `testbed verify --bench {file}`")
    return 0
