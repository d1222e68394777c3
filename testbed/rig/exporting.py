"""Exports logged states of a bench to a file that others can read, and that can be held against the log later."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from testbed import __version__
from testbed.core.bodies import CONFIGURATION, Event, Genesis, State
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData, StoreError, UsageError
from testbed.core.exported import About, Range, StateRow
from testbed.core.tags import Tag
from testbed.fieldbus.state_rows import StateRows
from testbed.keys.checkpoint import parse_checkpoint
from testbed.outward.export_csv import beside, describe_csv, write_csv
from testbed.outward.export_parquet import write_parquet
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.record.schema import decode_tags, schema_hash
from testbed.rig.bench import Bench
from testbed.rig.paths import Paths
from testbed.store.files import growing, write_new
from testbed.store.sqlite import LogStore

FORMATS = {"csv": write_csv, "parquet": write_parquet}
_BATCH = 4096
"""States that are held in memory at a time."""

Told = Callable[[str, int, int], None]
"""Hears what is done, how many parts of it are done, and how many there are."""


@dataclass(slots=True)
class Exported:
    """What was written. erased: states without a body, which no row stands for; first, last: rows."""

    about: About
    rows: int = 0
    erased: int = 0
    first: StateRow | None = field(default=None, repr=False)
    last: StateRow | None = field(default=None, repr=False)


def export_states(
    bench: Bench, log: str, wanted: Sequence[str], span: Range, form: str, out: Path, told: Told
) -> Exported:
    """Write the states of a reader's log, within `span`, to a new file `out`.

    wanted: names of tags, none for all of them; form: "csv" or "parquet". Checks nothing: whether the rows are genuine
    is asked of an auditor. Raises UsageError for a log that holds no states, an unknown tag, a file that is there.
    """
    _check_log(bench, log)
    for path in (out, beside(out)) if form == "csv" else (out,):
        if path.exists():
            raise UsageError(f"{path}: a file stands here already; nothing was written", "name another one with --out")
    with LogStore.examine(Paths(bench.data).log(log)) as store:
        latest = store.latest_checkpoint()
        if latest is None:
            raise StoreError(f"{store.path}: this log has no checkpoint yet", "try again in a moment")
        size, note = latest
        schema, tags = _tags(store)
        chosen = _chosen(bench, log, tags, wanted)
        signed = parse_checkpoint(note.decode().partition("\n\n")[0] + "\n")
        about = About(
            bench=bench.name,
            origin=bench.origin(log),
            schema=schema,
            size=size,
            root=signed.root,
            note=note,
            range=span,
            tags=tuple(tag.name for tag in chosen),
            software=f"attestbed {__version__}",
        )
        exported = Exported(about)
        batches = _batches(_rows(store, exported, StateRows(tags, about.tags), told))
        _write(out, form, about, chosen, batches)
    return exported


def _write(out: Path, form: str, about: About, tags: Sequence[Tag], batches: Iterator[list[StateRow]]) -> None:
    described = False
    try:
        with growing(out) as aside:
            FORMATS[form](aside, about, tags, batches)
            if form == "csv":
                # Before the rows have their name, so that nobody finds them without it.
                write_new(beside(out), describe_csv(out.name, about, tags))
                described = True
    except BaseException as error:
        if described:
            beside(out).unlink(missing_ok=True)
        if isinstance(error, OSError):
            mend = "name a new file in a folder that is there, with room, where you may write"
            raise UsageError(f"{out}: not written: {error.strerror or error}", mend) from None
        raise


def _check_log(bench: Bench, log: str) -> None:
    readers = [reader.name for reader in bench.readers]
    if log not in readers:
        what = "holds no states of a PLC" if log in bench.logs else "is no log of this bench"
        raise UsageError(f"--log {log}: it {what}", f"name one of {', '.join(readers)}")


def _tags(store: LogStore) -> tuple[bytes, tuple[Tag, ...]]:
    """The tag list by which the log's values are read, as the log itself holds it, and its hash."""
    schema = b""
    for row in store.rows():
        kind = decode_entry(row.entry).kind
        if kind not in (Kind.GENESIS, Kind.EVENT) or row.body is None:
            continue
        body = decode_body(kind, row.body)
        if isinstance(body, Genesis):
            schema = body.schema
        elif isinstance(body, Event) and body.name == CONFIGURATION:
            with suppress(InvalidData):
                tags = decode_tags(body.detail)
                if schema_hash(tags) == schema:
                    return schema, tags
    raise StoreError(
        f"{store.path}: it does not hold the tag list that it names", "run `testbed verify` to see what was changed"
    )


def _chosen(bench: Bench, log: str, tags: Sequence[Tag], wanted: Sequence[str]) -> list[Tag]:
    by_name = {tag.name: tag for tag in tags}
    for name in wanted:
        if name not in by_name:
            raise UsageError(f"--tag {name}: {bench.origin(log)} has no such tag", "`testbed tags` lists them")
    # Each once, in the order in which they were asked for.
    return [by_name[name] for name in dict.fromkeys(wanted)] if wanted else list(tags)


def _rows(store: LogStore, exported: Exported, rows: StateRows, told: Told) -> Iterator[StateRow]:
    span, size = exported.about.range, exported.about.size
    start, stop = span.indices(size)
    parts = -(-max(0, stop - start) // _BATCH)
    for stored in store.rows(start, stop):
        if stored.index % _BATCH == 0:
            told("exporting", (stored.index - start) // _BATCH, parts)
        if decode_entry(stored.entry).kind is not Kind.STATE:
            continue
        if stored.body is None:
            exported.erased += 1
            continue
        body = decode_body(Kind.STATE, stored.body)
        if isinstance(body, State) and span.holds(row := rows.row(stored.index, body)):
            exported.rows += 1
            exported.first, exported.last = exported.first or row, row
            yield row
    # Before the file has its name.
    store.check_unchanged()
    told("exporting", parts, parts)


def _batches(rows: Iterator[StateRow]) -> Iterator[list[StateRow]]:
    while batch := list(islice(rows, _BATCH)):
        yield batch
