"""`testbed rotate-key`: another key for a log, in one step or, while the root key is elsewhere, in two."""

import argparse
import json
from pathlib import Path

from testbed.cli.near import near
from testbed.cli.options import bench_of, trust_of
from testbed.core.clock import SystemClock
from testbed.core.entropy import SystemEntropy
from testbed.core.errors import UsageError
from testbed.keys.log_keys import KeyChange
from testbed.rig.bench import Bench
from testbed.rig.rotation import apply, request, sign_request, trusted_root
from testbed.store.files import write_new

_MOST = 4096
_MEND = "name the file that `testbed rotate-key --request` wrote"


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    bench = bench_of(options)
    root = trusted_root(bench, trust_of(options, bench))
    role: str = options.role
    if options.request is not None:
        return _request(bench, role, options.request, as_json=options.json)
    if options.apply is not None:
        note = read_request(options.apply)
    else:
        _, note = sign_request(request(bench, role, SystemEntropy()), options.root)
    change = apply(bench, role, note, root, SystemClock(), SystemEntropy())
    if options.json:
        print(json.dumps({"origin": change.origin, "first": change.first, "key": change.new.encode()}))
        return 0
    print(f"changed     {_said(change)}")
    print(f"new key     {change.new.encode()}")
    print("            record it where you keep what the auditor trusts; the trust file needs no change")
    return 0


def read_request(path: Path) -> bytes:
    """A request, signed or not. Raises UsageError where there is none."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST + 1)
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror}", "name the file that `testbed rotate-key --request` wrote"
        ) from None
    if len(data) > _MOST:
        raise UsageError(f"{path}: no request, it is too long", "name the file that `testbed rotate-key` wrote")
    return data


def _request(bench: Bench, role: str, path: Path, *, as_json: bool) -> int:
    if path.exists():
        raise UsageError(f"{path}: a file stands here already", "name another one, or move it away")
    note = request(bench, role, SystemEntropy())
    try:
        write_new(path, note)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "name a place that you may write to") from None
    if as_json:
        print(json.dumps({"request": str(path)}))
        return 0
    print(f"request     {near(path)}   leave the bench stopped until it is applied")
    print(f"next        testbed root sign {path} --key root.key   where the root key is")
    print(f"            testbed rotate-key {role} --apply {path}")
    return 0


def _said(change: KeyChange) -> str:
    return f"{change.origin} is signed by its new key from record {change.first} on"
