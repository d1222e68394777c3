"""`testbed init`: a bench file to edit; then keys, genesis and trust file of a bench, once."""

import argparse
import asyncio
import json
from pathlib import Path

from testbed.cli.near import near
from testbed.cli.options import bench_of, make_folder
from testbed.core.clock import SystemClock
from testbed.core.entropy import SystemEntropy
from testbed.core.errors import UsageError
from testbed.rig.bench import Bench, load_bench
from testbed.rig.default import default_text
from testbed.rig.initialize import check_fresh, initialize, make_witness, root_file
from testbed.rig.succession import Before, bench_before
from testbed.rig.trust import witness_table


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    if options.folder is not None:
        return _write_bench(options.folder, as_json=options.json)
    bench = bench_of(options)
    if options.witness is not None:
        table = make_witness(bench, options.witness, SystemEntropy())
        print(json.dumps({"key": table.key, "name": table.name}) if options.json else witness_table(table))
        return 0
    check_fresh(bench, bench.trust_file)
    before = _before(bench, options)
    trust = asyncio.run(
        initialize(bench, bench.trust_file, SystemClock(), SystemEntropy(), simulated=False, before=before)
    )
    made = {
        "bench": bench.file,
        "trust": str(bench.trust_file),
        "root_key": str(root_file(bench.trust_file)),
        "data": str(bench.data),
        "contract": trust.chain.contract,
        "submitter": trust.chain.submitter,
        "succeeds": {} if before is None else {one.origin: one.size for one in before.logs.values()},
    }
    if options.json:
        print(json.dumps(made))
        return 0
    print(f"bench       {bench.file}")
    print(f"trust file  {near(bench.trust_file)}   give it to the auditor; no role changes it")
    print(f"root key    {near(root_file(bench.trust_file))}   move it off this machine: it signs changes of keys")
    print(f"data        {near(bench.data)}   keys, logs and journal will stand here")
    print(f"contract    {trust.chain.contract} on chain {trust.chain.id}")
    for one in () if before is None else before.logs.values():
        print(f"goes on for {one.origin}, trusted up to size {one.size}")
    if before is not None and before.operator is None:
        print("            the operator's key before is lost: nobody has signed that, and only the trust file says it")
    if bench.chain.kind == "url":
        print(f"submitter   {trust.chain.submitter}   give this account some ether: it pays for the anchors")
    named = "" if options.bench is None else f" --bench {options.bench}"
    shift = "" if options.port_shift is None else f" --port-shift {options.port_shift}"
    print(f"next        testbed up{named}{shift}")
    return 0


def _before(bench: Bench, options: argparse.Namespace) -> Before | None:
    """The bench that is named with --succeeds, checked."""
    if options.succeeds is None:
        return None
    old = load_bench(options.succeeds)
    before = asyncio.run(bench_before(bench, old, options.succeeds_trust or old.trust_file))
    if not options.json:
        verdict = before.report.verdict.value
        print(f"before      {old.file} is {verdict}: `testbed verify --bench {options.succeeds}` says why")
    return before


def _write_bench(folder: Path, *, as_json: bool) -> int:
    """The default bench file, written where none stands."""
    path = folder / "bench.toml"
    make_folder(folder)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(default_text())
    except FileExistsError:
        raise UsageError(
            f"{path}: a bench file stands here already", "name it with --bench, or take another folder"
        ) from None
    if as_json:
        print(json.dumps({"bench": str(path)}))
        return 0
    print(f"bench       {path}   edit it if you like")
    print(f"next        testbed init --bench {path}")
    return 0
