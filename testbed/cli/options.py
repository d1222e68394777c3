"""What the options mean that several commands have."""

import argparse
import getpass
import os
from contextlib import suppress
from pathlib import Path

from testbed.core.errors import InvalidData, UsageError
from testbed.core.exported import Bound, Range
from testbed.core.tags import Value
from testbed.rig.bench import Bench, load_bench

_HERE = Path("bench.toml")


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


def make_folder(path: Path) -> None:
    """Make a folder where it is missing. Raises UsageError where none can be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        mend = "name a folder, or a place where you may make one"
        raise UsageError(f"{path}: no folder can be made here: {error.strerror}", mend) from None


def trust_of(options: argparse.Namespace, bench: Bench) -> Path:
    """The trust file that is meant."""
    named: Path | None = options.trust
    return named or bench.trust_file


def who_of(options: argparse.Namespace) -> str:
    """--who, else the user of this system. Raises UsageError for a name that is none."""
    try:
        who: str = options.who or getpass.getuser()
    except (KeyError, OSError):
        raise UsageError("nobody knows who you are", "say it with --who NAME") from None
    if not who.strip() or any(char < " " for char in who):
        raise UsageError(f"--who {who!r}", "give the name of a person")
    return who


def value_of(what: str, text: str) -> Value:
    """The value of a tag as people type it; `what` names the argument. Raises UsageError for anything else."""
    if text in ("true", "false"):
        return text == "true"
    for read in (int, float):
        with suppress(ValueError):
            return read(text)
    raise UsageError(f"{what} {text!r} is no value", "give a number, true or false")


def range_of(options: argparse.Namespace) -> Range:
    """--from and --to. Raises UsageError for what is no end of a range."""
    return Range(_bound("--from", options.since), _bound("--to", options.until))


def _bound(option: str, text: str | None) -> Bound | None:
    if text is None:
        return None
    try:
        return Bound.parse(text)
    except InvalidData as error:
        mend = "write a time such as 2026-01-01T00:00:10Z, an index of the log such as 300, or scan:120"
        raise UsageError(f"{option} {text}: {error}", mend) from None
