"""Puts together the check of a file that was exported of a bench: the bench first, then the file against its log."""

import asyncio
from contextlib import suppress
from pathlib import Path

from testbed.core.errors import InvalidData, StoreError, UsageError
from testbed.core.exported import Range, Table
from testbed.outward.table_file import open_table
from testbed.rig.auditing import audit
from testbed.rig.bench import Bench
from testbed.verify.across import configured_tags
from testbed.verify.against import CheckedFile, check_file
from testbed.verify.log import CheckedLog
from testbed.verify.verdict import Checked
from testbed.verify.work import ALONE, Work


def audit_file(
    bench: Bench, trust: Path, file: Path, log: str | None, asked: Range | None, work: Work = ALONE
) -> tuple[CheckedFile, Checked]:
    """Check a bench, and the rows of `file` against one of its logs. Writes nothing.

    log: its name, None for the one that the file says it is of, or that the twin follows; asked: what the file should
    hold, None where it is to be believed. Raises UsageError where there is no such file, trust file or log.
    """
    with open_table(file) as table:
        origin = _origin(bench, table, file, log)
        checked = asyncio.run(audit(bench, trust, work))
        found = checked.logs.get(origin)
        if found is None:
            raise UsageError(f"{trust} does not name {origin}", "take the trust file of this bench's auditor")
        tags = None
        with suppress(InvalidData):
            tags = configured_tags(found)
        if tags is None:
            raise _unreadable(found)
        return check_file(checked, found, tags, table, file.name, asked), checked


def _origin(bench: Bench, table: Table, file: Path, log: str | None) -> str:
    readers = {reader.name: bench.origin(reader.name) for reader in bench.readers}
    if log is not None:
        if log not in readers:
            raise UsageError(f"--log {log}: no log of that name holds states", f"name one of {', '.join(readers)}")
        return readers[log]
    if table.about is None:
        return readers[bench.gateway.name]
    if table.about.origin not in readers.values():
        raise UsageError(
            f"{file} says that it is of {table.about.origin}, and {bench.file} has no such log",
            "name the bench that it is of with --bench, or a log of this one with --log",
        )
    return table.about.origin


def _unreadable(log: CheckedLog) -> StoreError:
    problems = [f"{one.what.value}, {one.where}: {one.detail}" for one in log.findings]
    said = problems[0] if problems else "it does not hold the tag list that it names"
    return StoreError(f"{log.origin} cannot be read, so no row can be checked: {said}", "run `testbed verify`")
