"""`testbed import`: another program's tag list becomes a bench file, and what could not be taken over is listed."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from testbed.core.errors import UsageError
from testbed.core.tags import ByteOrder
from testbed.outward.bench_text import bench_text
from testbed.outward.draft import Draft, Remark
from testbed.outward.kepware import from_kepware
from testbed.outward.telegraf import from_telegraf
from testbed.rig.bench import load_bench
from testbed.rig.toml_file import read_toml


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    path: Path = options.file
    draft = _kepware(path, options) if options.source == "kepware" else _telegraf(path, options)
    text = bench_text(draft, options.name or path.stem, f"{path.name}, a file of {options.source.capitalize()}")
    try:
        with options.out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{options.out}: a file stands here already", "name another one with --out") from None
    try:
        bench = load_bench(options.out)
    except UsageError:
        options.out.unlink()
        raise
    print(f"written     {options.out}: {len(bench.tags)} tags, by {draft.connect['protocol']}")
    _list("filled in", "what the file does not say", draft.assumed, path)
    _list("left out", "what a bench has no tags for", draft.left, path)
    print(f"next        look at [plc.connect] in {options.out}, then: testbed doctor --bench {options.out}")
    return 0


def _kepware(path: Path, options: argparse.Namespace) -> Draft:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file", "name the CSV file that Kepware exported") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        # What Windows writes where it does not write UTF-8; bytes that it leaves free become a mark.
        text = raw.decode("cp1252", "replace")
    return from_kepware(text, str(path), host=options.host, byte_order=ByteOrder(options.byte_order))


def _telegraf(path: Path, options: argparse.Namespace) -> Draft:
    file = read_toml(path, "file of Telegraf", "name Telegraf's configuration")
    return from_telegraf(file.data, file.text, file.label, file.line, which=options.which)


def _list(title: str, what: str, remarks: Sequence[Remark], path: Path) -> None:
    if not remarks:
        return
    print(f"{title:11} {what}: {len(remarks)}")
    for remark in remarks:
        print(f"  {path}:{remark.line}: {remark.what}\n    mend: {remark.mend}")
