"""What a file says of the log that it was exported of, held against that log. Its rows are checked elsewhere."""

from collections.abc import Iterator, Sequence

from testbed.core.errors import InvalidData
from testbed.core.exported import About, Table, column_of
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.core.tags import Tag
from testbed.keys.checkpoint import open_checkpoint
from testbed.merkle.packed import Packed
from testbed.verify.checkpoints import prefix_roots
from testbed.verify.log import CheckedLog


def check_claims(table: Table, log: CheckedLog, name: str) -> Iterator[Finding]:
    """Findings for what the metadata of a file say and the log does not.

    The checkpoint that was signed when the file was exported bears witness: a log that does not hold it any more was
    forked or cut off since.
    """
    about = table.about
    if about is None:
        return
    if about.schema != log.trusted.schema:
        yield _altered(name, f"its metadata name another tag list than {log.origin} has")
    try:
        signed = open_checkpoint(about.note, log.keys, log.origin)
    except InvalidData as error:
        yield _altered(name, f"the checkpoint in its metadata is none of {log.origin}: {error}")
        return
    if (signed.size, signed.root) != (about.size, about.root):
        yield _altered(name, f"its metadata say size {about.size}, the checkpoint in them {signed.size}")
    elif about.note not in log.notes:
        yield from _against_the_log(about, log, name)


def check_units(table: Table, tags: Sequence[Tag], name: str) -> Iterator[Finding]:
    """Findings for columns that give their values another unit than the log."""
    said = dict(zip(table.columns, table.units, strict=True))
    for tag in tags:
        unit = said.get(column_of(tag.name))
        if unit is not None and unit != tag.unit:
            yield _altered(name, f"it gives {tag.name} in {unit or 'no unit'}, the log in {tag.unit or 'no unit'}")


def _against_the_log(about: About, log: CheckedLog, name: str) -> Iterator[Finding]:
    where = f"checkpoint of size {about.size} in {name}"
    if about.size > log.size:
        detail = f"it was signed by the log's own key; {log.origin} has {log.size} records now"
        yield Finding(What.ROLLED_BACK, Layer.LOG, where, detail, origin=log.origin)
        return
    root = prefix_roots(Packed.of(log.leaves), {about.size}).get(about.size)
    if root is None:
        detail = "not all leaves up to it are to be had, so it cannot be held against the log"
        yield Finding(What.MISSING, Layer.LOG, where, detail, Verdict.INCONCLUSIVE, log.origin)
    elif root != about.root:
        detail = f"it was signed by the log's own key, and {log.origin} gives another root at that size"
        yield Finding(What.FORKED, Layer.LOG, where, detail, origin=log.origin)


def _altered(name: str, detail: str) -> Finding:
    return Finding(What.ALTERED, Layer.FILE, name, detail)
