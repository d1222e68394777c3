"""Options that several commands have, and what they mean."""

import argparse
import os
from pathlib import Path

from testbed.core.errors import UsageError
from testbed.rig.bench import Bench, load_bench

_HERE = Path("bench.toml")


def add_bench(parser: argparse.ArgumentParser) -> None:
    """--bench and --port-shift."""
    parser.add_argument("--bench", type=Path, metavar="FILE", help="the bench file (also TESTBED_BENCH)")
    parser.add_argument(
        "--port-shift", type=int, default=None, metavar="N", help="added to every port (also TESTBED_PORT_SHIFT)"
    )


def add_trust(parser: argparse.ArgumentParser) -> None:
    """--trust."""
    parser.add_argument(
        "--trust", type=Path, metavar="FILE", help="the auditor's trust file (default: trust.toml beside the bench file)"
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="print one JSON object for machines")


def bench_file(options: argparse.Namespace) -> Path | None:
    """The bench file that is meant; None stands for the packaged one."""
    named: Path | None = options.bench
    if named is None and (found := os.environ.get("TESTBED_BENCH")):
        named = Path(found)
    if named is not None:
        return named
    return _HERE if _HERE.is_file() else None


def port_shift(options: argparse.Namespace) -> int:
    """--port-shift, else TESTBED_PORT_SHIFT, else 0."""
    if options.port_shift is not None:
        return int(options.port_shift)
    text = os.environ.get("TESTBED_PORT_SHIFT", "0")
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"TESTBED_PORT_SHIFT is {text!r}", "set it to a whole number") from None


def bench_of(options: argparse.Namespace) -> Bench:
    """The bench, loaded and checked."""
    return load_bench(bench_file(options), port_shift(options))


def trust_of(options: argparse.Namespace, bench: Bench) -> Path:
    """The trust file that is meant."""
    return options.trust or bench.trust_file
