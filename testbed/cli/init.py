"""`testbed init`: keys, genesis and trust file of a bench, once."""

import argparse
import asyncio
import json
from pathlib import Path

from testbed.cli.near import near
from testbed.cli.options import bench_file, port_shift
from testbed.core.clock import SystemClock
from testbed.core.entropy import SystemEntropy
from testbed.core.errors import UsageError
from testbed.rig.bench import load_bench
from testbed.rig.default import default_text
from testbed.rig.initialize import check_fresh, initialize


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    path = bench_file(options)
    if options.folder is not None:
        path = _write_bench(options.folder)
    bench = load_bench(path, port_shift(options))
    check_fresh(bench, bench.trust_file)
    trust = asyncio.run(initialize(bench, bench.trust_file, SystemClock(), SystemEntropy(), simulated=False))
    made = {
        "bench": bench.file,
        "trust": str(bench.trust_file),
        "data": str(bench.data),
        "contract": trust.chain.contract,
        "submitter": trust.chain.submitter,
    }
    if options.json:
        print(json.dumps(made))
        return 0
    print(f"bench       {bench.file}")
    print(f"trust file  {near(bench.trust_file)}   give it to the auditor; no role changes it")
    print(f"data        {near(bench.data)}   keys, logs and journal will stand here")
    print(f"contract    {trust.chain.contract} on chain {trust.chain.id}")
    if bench.chain.kind == "url":
        print(f"submitter   {trust.chain.submitter}   give this account some ether: it pays for the anchors")
    named = f" --bench {path}" if options.folder is not None else ""
    print(f"next        testbed up{named}")
    return 0


def _write_bench(folder: Path) -> Path:
    """The default bench file, written where none stands."""
    path = folder / "bench.toml"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(default_text())
    except FileExistsError:
        raise UsageError(
            f"{path}: a bench file stands here already", "name it with --bench, or take another folder"
        ) from None
    return path
