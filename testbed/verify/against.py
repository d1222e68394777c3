"""Holds a file of rows against the log that it says it was exported of: which of them are what was logged?

A row is matched by its index, and by nothing else. It is genuine if its record is, under a confirmed anchor, and every
cell that is there says what that record says. What the file says of itself is believed nowhere: only which states it
should hold is taken from it, where nobody else says so, and the report names whose word that is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from testbed.core.bodies import State
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData
from testbed.core.exported import BOOT, FIXED, INDEX, SCAN, STATUS, TIME, Cell, Range, StateRow, Table, column_of
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.core.rfc3339 import time_text
from testbed.core.tags import Tag, Value
from testbed.fieldbus.state_rows import StateRows
from testbed.verify.cells import comparison_of, cut, rounded, says_text, says_time, says_whole, whole
from testbed.verify.file_claims import check_claims, check_units
from testbed.verify.log import CheckedLog
from testbed.verify.spans import Spans
from testbed.verify.values import shown
from testbed.verify.verdict import Checked

_MOST = 12
"""Findings of one kind; the spans have the rest."""


class Row(Enum):
    """What a row of a file, or one that it lacks, was found to be."""

    GENUINE = "genuine"
    PENDING = "pending"
    CHANGED = "changed"
    MADE_UP = "made up"
    DOUBLE = "double"
    OUT_OF_ORDER = "out of order"
    UNPROVED = "not proved"
    MISSING = "missing"


_FINDINGS = {
    Row.PENDING: (What.UNANCHORED, Layer.ANCHOR, Verdict.INCONCLUSIVE),
    Row.CHANGED: (What.ALTERED, Layer.FILE, Verdict.FALSIFIED),
    Row.MADE_UP: (What.INVENTED, Layer.FILE, Verdict.FALSIFIED),
    Row.DOUBLE: (What.INSERTED, Layer.FILE, Verdict.FALSIFIED),
    Row.OUT_OF_ORDER: (What.REORDERED, Layer.FILE, Verdict.FALSIFIED),
    Row.UNPROVED: (What.MISSING, Layer.FILE, Verdict.INCONCLUSIVE),
    Row.MISSING: (What.DELETED, Layer.FILE, Verdict.FALSIFIED),
}


@dataclass(slots=True)
class CheckedFile:
    """What the check of a file concludes; verdict and findings include the bench's own.

    rows: how many the file has; kinds: their numbers in the file by what they are, of missing ones their indices in the
    log; first, last: the smallest and the largest index in it; span: in words, what it should hold, and who says so;
    checked: columns that were compared; absent: that it should have and has not; strange: that the log has not.
    """

    name: str
    origin: str
    place: str
    rows: int = 0
    kinds: dict[Row, Spans] = field(default_factory=lambda: {kind: Spans() for kind in Row})
    first: int | None = None
    last: int | None = None
    span: str = ""
    checked: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()
    findings: list[Finding] = field(default_factory=list)
    verdict: Verdict = Verdict.INCONCLUSIVE


def check_file(
    checked: Checked, log: CheckedLog, tags: Sequence[Tag], table: Table, name: str, asked: Range | None
) -> CheckedFile:
    """Check the rows of `table`, a file called `name`. tags: the log's tag list; asked: what the file should hold.

    Bounded memory: one byte for each record of the log, beside what `checked` holds.
    """
    found = CheckedFile(name, log.origin, table.place)
    confirmed = next(one.confirmed for one in checked.report.standings if one.origin == log.origin)
    check = _Check(found, log, confirmed, _Columns(table, tags, found))
    found.findings += _strange(found)
    found.findings += check_claims(table, log, name)
    found.findings += check_units(table, tags, name)
    for number, cells in table.rows:
        check.take(number, cells)
    check.look_for_missing(table, asked)
    if not found.rows:
        found.findings.append(_open(name, "it holds no row, so there is nothing to say of it"))
    found.findings += checked.report.findings
    found.verdict = Verdict.GENUINE
    for verdict in (Verdict.INCONCLUSIVE, Verdict.FALSIFIED):
        if any(one.verdict is verdict for one in found.findings):
            found.verdict = verdict
    return found


class _Columns:
    """Which cell is what, and how it is compared."""

    def __init__(self, table: Table, tags: Sequence[Tag], found: CheckedFile) -> None:
        places: dict[str, int] = {}
        strange: list[str] = []
        known = {*FIXED, *(column_of(tag.name) for tag in tags)}
        for place, column in enumerate(table.columns):
            if column in known and column not in places:
                places[column] = place
            elif not _is_nameless(column):
                strange.append(column)
        self.index = places[INDEX]
        self.fixed = {column: place for column, place in places.items() if column in FIXED}
        self.tags = [(tag, places[name]) for tag in tags if (name := column_of(tag.name)) in places]
        self.width = len(table.columns)
        self.same = [(number, place, comparison_of(tag)) for number, (tag, place) in enumerate(self.tags)]
        self.rows = StateRows(tags, [tag.name for tag, _ in self.tags])
        expected = FIXED if table.about is None else (*FIXED, *map(column_of, table.about.tags))
        found.checked = tuple(places)
        found.absent = tuple(column for column in expected if column not in places)
        found.strange = tuple(strange)

    def difference(self, cells: Sequence[Cell], row: StateRow) -> str:
        """The first column in which a row differs, with what it says and what the log says; "" where none does."""
        fixed = self.fixed
        if TIME in fixed and not says_time(cells[fixed[TIME]], row.time_ns):
            words = cut(cells[fixed[TIME]], row.time_ns)
            hint = f": cut to {words}, as some programs do" if words else ""
            return _differs(TIME, cells[fixed[TIME]], _time(row.time_ns)) + hint
        if BOOT in fixed and not says_whole(cells[fixed[BOOT]], row.boot):
            return _differs(BOOT, cells[fixed[BOOT]], str(row.boot))
        if SCAN in fixed and not says_whole(cells[fixed[SCAN]], row.scan):
            return _differs(SCAN, cells[fixed[SCAN]], "nothing" if row.scan is None else str(row.scan))
        for number, place, same in self.same:
            if not same(cells[place], row.values[number]):
                tag, value = self.tags[number][0], row.values[number]
                hint = ": rounded to 15 digits, as spreadsheets do" if rounded(cells[place], value) else ""
                return _differs(tag.name, cells[place], _exactly(value, tag)) + hint
        if STATUS in fixed and not says_text(cells[fixed[STATUS]], row.status):
            return _differs(STATUS, cells[fixed[STATUS]], row.status)
        return ""


class _Check:
    """Takes one row after another."""

    def __init__(self, found: CheckedFile, log: CheckedLog, confirmed: int, columns: _Columns) -> None:
        self._found = found
        self._log = log
        self._confirmed = confirmed
        self._columns = columns
        self._seen = bytearray(log.size)
        self._newest = -1

    def take(self, number: int, cells: Sequence[Cell]) -> None:
        """Say what a row is."""
        found = self._found
        found.rows += 1
        index = whole(cells[self._columns.index])
        kind, detail = self._judge(index, cells)
        found.kinds[kind].add(number)
        if kind is Row.GENUINE:
            return
        where = f"{found.place} {number} of {found.name}"
        known = index is not None and 0 <= index < self._log.size
        if known:
            where += f", record {index} of {found.origin}"
        self._report(kind, where, detail, index if known else None)

    def look_for_missing(self, table: Table, asked: Range | None) -> None:
        """The states that the file should hold and does not."""
        found, log, about = self._found, self._log, table.about
        start, stop, span = 0, log.size, asked
        if asked is not None:
            found.span = f"{asked}, as asked"
        elif about is not None:
            span, stop = about.range, min(about.size, log.size)
            found.span = f"{span} of the first {about.size} records, as the file says of itself"
        elif found.first is not None and found.last is not None:
            start, stop = found.first, found.last + 1
            found.span = f"records {start} to {found.last}, its first and last: {table.problem}"
        else:
            found.span = f"not known: {table.problem}"
            return
        if span is not None:
            first, end = span.indices(stop)
            start, stop = max(start, first), max(start, end)
        for index in range(start, stop):
            # Of what is not genuine nobody knows whether it was a state.
            if self._seen[index] or log.kind(index) is not Kind.STATE:
                continue
            body = log.genuine[index].body
            if isinstance(body, State) and (span is None or span.holds(self._columns.rows.row(index, body))):
                found.kinds[Row.MISSING].add(index)
                self._report(Row.MISSING, f"record {index} of {found.origin}", f"no row of {found.name} has it", index)

    def _judge(self, index: int | None, cells: Sequence[Cell]) -> tuple[Row, str]:
        log, columns, found = self._log, self._columns, self._found
        if index is None:
            return Row.MADE_UP, f"its index is {_cell(cells[columns.index])}: no record has it"
        if not 0 <= index < log.size:
            return Row.MADE_UP, f"there is no record {index}: {log.origin} has {log.size}"
        if self._seen[index]:
            return Row.DOUBLE, "a row before it has the same index"
        self._seen[index] = 1
        found.first = index if found.first is None else min(index, found.first)
        found.last = index if found.last is None else max(index, found.last)
        before, self._newest = self._newest, index
        genuine = log.genuine.get(index)
        if genuine is None:
            return Row.UNPROVED, "what was logged is not to be had, so nothing can be said of the row"
        if not isinstance(genuine.body, State):
            return Row.MADE_UP, f"that record is no state, it is a {genuine.entry.kind.name.lower()}"
        if len(cells) != columns.width:
            return Row.CHANGED, f"it has {len(cells)} cells, there are {columns.width} columns"
        different = columns.difference(cells, columns.rows.row(index, genuine.body))
        if different:
            return Row.CHANGED, different
        if index < before:
            return Row.OUT_OF_ORDER, f"it stands behind record {before}; it says what was logged"
        if index >= self._confirmed:
            return Row.PENDING, "it says what was logged; no confirmed anchor covers its record yet"
        return Row.GENUINE, ""

    def _report(self, kind: Row, where: str, detail: str, index: int | None) -> None:
        count = self._found.kinds[kind].count
        # Rows that wait are one finding: there is nothing to look at in each.
        if count > (1 if kind in (Row.PENDING, Row.UNPROVED) else _MOST):
            return
        what, layer, verdict = _FINDINGS[kind]
        self._found.findings.append(Finding(what, layer, where, detail, verdict, self._found.origin, index))


def _strange(found: CheckedFile) -> Iterator[Finding]:
    if found.strange:
        names = ", ".join(map(repr, found.strange))
        yield _open(found.name, f"{found.origin} has no column {names}: nothing can be said of what stands there")


def _open(name: str, detail: str) -> Finding:
    return Finding(What.MISSING, Layer.FILE, name, detail, Verdict.INCONCLUSIVE)


def _is_nameless(column: str) -> bool:
    """Row numbers that a program put before the rows; they claim nothing."""
    return column == "" or column.startswith("Unnamed: ") or column == "__index_level_0__"


def _differs(column: str, cell: Cell, logged: str) -> str:
    return f"{column} is {_cell(cell)}, the log says {logged}"


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return repr(cell[:40] + "..." if len(cell) > 40 else cell) if cell.strip() else "empty"
    return "empty" if cell is None else str(cell)


def _time(time_ns: int) -> str:
    try:
        return time_text(time_ns)
    except InvalidData:
        return f"{time_ns} ns since 1970"


def _exactly(value: Value | None, tag: Tag) -> str:
    """As `shown`, with all digits where the short form is not the value itself."""
    if isinstance(value, float) and float(f"{value:.9g}") != value:
        return f"{value!r} {tag.unit}".rstrip()
    return shown(value, tag)
