"""`testbed verify --against FILE`: which rows of somebody's copy are what was logged."""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from testbed.cli.finding import findings_as_json, print_findings
from testbed.cli.options import range_of
from testbed.cli.working import working
from testbed.core.exported import FIXED, Range
from testbed.outward.words import many
from testbed.rig.against import audit_file
from testbed.rig.bench import Bench
from testbed.verify.against import CheckedFile, Row
from testbed.verify.verdict import Checked

_SPANS = 5
"""Spans of rows that are shown of each kind; JSON has all that are kept."""

_NOT_PROVED = """\
not proved  that nobody left out rows and changed what the file says it should hold: --from and --to say it yourself
            that the readers were told the truth: their logs say what was read, not what the machine did"""


def check_and_print(bench: Bench, trust: Path, options: argparse.Namespace) -> int:
    """Check a file; returns the exit code."""
    asked = range_of(options)
    with working(options.jobs) as work:
        found, checked = audit_file(
            bench, trust, options.against, options.log, None if asked == Range() else asked, work
        )
    if options.json:
        print(json.dumps(_as_json(found, checked)))
    else:
        print_findings(found.verdict, found.findings)
        print()
        for line in _lines(found, checked):
            print(line)
    return found.verdict.exit_code


def _lines(found: CheckedFile, checked: Checked) -> Iterator[str]:
    yield f"file        {found.name}: {many(found.rows, 'row')}, held against {found.origin}"
    kinds = [(kind, spans) for kind, spans in found.kinds.items() if spans.count or kind is Row.GENUINE]
    for kind, spans in kinds:
        head = "rows" if kind is Row.GENUINE else ""
        what = "record" if kind is Row.MISSING else found.place
        places = f": {what if spans.count == 1 else f'{what}s'} {spans.words(_SPANS)}" if spans.count else ""
        yield f"{head:12}{spans.count} {kind.value}{places}"
    yield f"should hold {found.span}"
    tags = [column for column in found.checked if column not in FIXED]
    fixed = [column for column in found.checked if column in FIXED]
    yield f"compared    {', '.join(fixed)} and {many(len(tags), 'tag')}"
    if found.absent:
        yield f"            the file has no {', '.join(found.absent)}"
    if found.strange:
        yield f"not checked {', '.join(map(repr, found.strange))}"
    yield f"bench       {checked.report.verdict.value} as a whole"
    yield _NOT_PROVED


def _as_json(found: CheckedFile, checked: Checked) -> dict[str, object]:
    rows = {kind.value: asdict(spans) for kind, spans in found.kinds.items()}
    return {
        "verdict": found.verdict.value,
        "findings": findings_as_json(found.findings),
        "file": found.name,
        "log": found.origin,
        "rows": found.rows,
        "place": found.place,
        "kinds": rows,
        "should_hold": found.span,
        "compared": list(found.checked),
        "absent": list(found.absent),
        "not_checked": list(found.strange),
        "bench": checked.report.verdict.value,
    }
