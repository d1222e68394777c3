"""`testbed export`: logged states as a file for others."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from testbed.cli.near import near
from testbed.cli.options import bench_of, range_of
from testbed.cli.working import shown
from testbed.core.errors import UsageError
from testbed.core.exported import Range
from testbed.outward.export_csv import beside
from testbed.outward.words import many, utc
from testbed.rig.exporting import FORMATS, Exported, export_states


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    bench = bench_of(options)
    out: Path = options.out
    form = options.format or _form_of(out)
    with shown() as told:
        found = export_states(
            bench, options.log or bench.gateway.name, options.tag or (), range_of(options), form, out, told
        )
    if options.json:
        print(json.dumps(_as_json(out, form, found)))
    else:
        print("\n".join(_lines(out, form, found, "" if options.bench is None else f" --bench {options.bench}")))
    return 0


def _form_of(out: Path) -> str:
    form = out.suffix.lower().removeprefix(".")
    if form not in FORMATS:
        raise UsageError(f"--out {out}: which format?", "call it .csv or .parquet, or say --format")
    return form


def _lines(out: Path, form: str, found: Exported, bench: str) -> Iterator[str]:
    about, first, last = found.about, found.first, found.last
    span = "" if about.range == Range() else f" {about.range}"
    if first is None or last is None:
        yield f"no state of {about.origin}{span}"
    else:
        states, tags = many(found.rows, "state"), many(len(about.tags), "tag")
        yield f"{states} of {about.origin}{span}: records {first.index} to {last.index}, {tags}"
        yield f"  received {utc(first.time_ns)} to {utc(last.time_ns)}"
    if found.erased:
        yield f"  not in it: {many(found.erased, 'state')} whose body was erased"
    yield f"wrote {near(out.absolute())}" + (
        f", and {beside(out).name}, which says what it is" if form == "csv" else ""
    )
    yield f"nothing was checked: `testbed verify{bench} --against {out}` does, now or later"


def _as_json(out: Path, form: str, found: Exported) -> dict[str, object]:
    about, first, last = found.about, found.first, found.last
    return {
        "out": str(out.absolute()),
        "format": form,
        "log": about.origin,
        "rows": found.rows,
        "erased": found.erased,
        "first": None if first is None else {"index": first.index, "time_ns": first.time_ns, "scan": first.scan},
        "last": None if last is None else {"index": last.index, "time_ns": last.time_ns, "scan": last.scan},
        "tags": list(about.tags),
        "size": about.size,
        "root": about.root.hex(),
    }
