"""`testbed reserve`: a shared bench is one's own for a time."""

import argparse
import json
import re
import sys

from testbed.cli.options import bench_of
from testbed.core.clock import SystemClock
from testbed.core.entropy import SystemEntropy
from testbed.core.errors import LeaseError, UsageError
from testbed.guard.lease import Lease
from testbed.rig.safety import lease_folder, person

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MOST_S = 30 * 86_400
_FAILED = 1


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code: 0 where the bench is reserved now, 1 where it was reserved already."""
    bench = bench_of(options)
    seconds = _seconds(options.time)
    if not options.note.isprintable():
        raise UsageError(f"--note {options.note!r}", "give one line of text")
    try:
        lease = Lease.reserve(
            lease_folder(bench), person(), seconds * 10**9, SystemClock(), SystemEntropy(), options.note
        )
    except LeaseError as error:
        if options.json:
            print(json.dumps({"bench": bench.name, "reserved": False, "why": error.problem}))
        else:
            print(f"error: {error}", file=sys.stderr)
        return _FAILED
    if options.json:
        print(json.dumps({"bench": bench.name, "reserved": True, **lease.held.facts()}))
    else:
        print(f"{bench.name} is reserved by {lease.held}")
    return 0


def _seconds(text: str) -> int:
    """A time as people type it, s. Raises UsageError."""
    found = re.fullmatch(r"([0-9]{1,7})([smhd])", text)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < seconds <= _MOST_S:
        raise UsageError(f"--for {text!r} is no time", "give 90s, 30m, 2h or 1d, up to 30d")
    return seconds
