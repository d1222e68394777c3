"""`testbed root`: the key that is kept offline. It signs changes of keys, and nothing else."""

import argparse
import json
from pathlib import Path

from testbed.cli.near import near
from testbed.cli.options import bench_of
from testbed.cli.rotate_key import read_request
from testbed.core.entropy import SystemEntropy
from testbed.keys.files import write_secret
from testbed.keys.log_keys import ROOT
from testbed.rig.rotation import root_key, sign_request
from testbed.store.files import write_atomic


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    if options.action == "make":
        return _make(options)
    request: Path = options.request
    change, signed = sign_request(read_request(request), options.key)
    write_atomic(request, signed, durable=True)
    if options.json:
        print(json.dumps({"origin": change.origin, "first": change.first, "key": change.new.encode()}))
        return 0
    print(f"signed      {near(request)}: {change.origin} goes on under another key from record {change.first} on")
    print(f"            old {change.old.encode()}")
    print(f"            new {change.new.encode()}")
    print(f"next        testbed rotate-key {change.origin.rpartition('/')[2]} --apply {request}   at the bench")
    return 0


def _make(options: argparse.Namespace) -> int:
    origin = bench_of(options).origin(ROOT)
    write_secret(options.key, SystemEntropy().take(32))
    key = root_key(origin, options.key).verifier().encode()
    if options.json:
        print(json.dumps({"key": key, "file": str(options.key)}))
        return 0
    print(f"root key    {near(options.key)}   move it to a place off this machine")
    print(f'trust file  needs these lines, by the auditor\'s hand:\n\n[root]\nkey = "{key}"')
    return 0
