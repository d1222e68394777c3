"""Logged states as a table: what an export holds, and what is found in a file that others may have edited since.

A row is a state. Its columns are `index` (of the record in its log), `time` (when it was received), `boot`, `scan`,
`status`, and one for each tag.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from testbed.core.errors import InvalidData
from testbed.core.rfc3339 import parse_time, time_text
from testbed.core.tags import Value

INDEX, TIME, BOOT, SCAN, STATUS = FIXED = ("index", "time", "boot", "scan", "status")
GOOD = "good"
"""Status of a state of which every tag was read and is Good."""

Cell = str | Value | None
"""What stands in one cell of a file: text where it has nothing else; times in ns since 1970 where it knows them."""


def column_of(tag: str) -> str:
    """The column of a tag: its name, unless that is taken."""
    return f"tag.{tag}" if tag in FIXED else tag


@dataclass(frozen=True, slots=True)
class StateRow:
    """One state. values: of the exported tags, None where there is none to show; time_ns: UTC since 1970."""

    index: int
    time_ns: int
    boot: int
    scan: int | None
    status: str
    values: tuple[Value | None, ...]


class By(Enum):
    """What a range is counted by."""

    TIME = "time"
    INDEX = "index"
    SCAN = "scan"


_WHOLE = re.compile(r"(scan:)?(\d{1,20})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of a range; it belongs to the range. at: ns since 1970, an index of the log, or a scan counter."""

    by: By
    at: int

    @classmethod
    def parse(cls, text: str) -> "Bound":
        """As people write it: "2026-01-01T00:00:00Z", "300" for an index, "scan:120". Raises InvalidData."""
        match = _WHOLE.fullmatch(text)
        if match is None and text[:1].isdecimal() and "-" in text:
            return cls(By.TIME, parse_time(text))
        if match is None:
            raise InvalidData(f"{text!r} is neither a time such as 2026-01-01T00:00:00Z, nor an index, nor scan:120")
        return cls(By.SCAN if match[1] else By.INDEX, int(match[2]))

    def __str__(self) -> str:
        if self.by is By.TIME:
            return f"{time_text(self.at).rstrip('Z').rstrip('0').rstrip('.')}Z"
        return f"scan:{self.at}" if self.by is By.SCAN else str(self.at)

    def place(self, row: StateRow) -> int | None:
        """Where a state stands by what this is counted by; None where it has no such number."""
        return {By.TIME: row.time_ns, By.INDEX: row.index, By.SCAN: row.scan}[self.by]


@dataclass(frozen=True, slots=True)
class Range:
    """Which states of a log; an end that is None is open. Scans are those of every boot."""

    first: Bound | None = None
    last: Bound | None = None

    def holds(self, row: StateRow) -> bool:
        """Whether a state is one of them."""
        if self.first is not None and ((at := self.first.place(row)) is None or at < self.first.at):
            return False
        return self.last is None or ((at := self.last.place(row)) is not None and at <= self.last.at)

    def indices(self, size: int) -> tuple[int, int]:
        """Start and stop of the indices, of a log of `size` records, that may be in it."""
        start = self.first.at if self.first is not None and self.first.by is By.INDEX else 0
        stop = self.last.at + 1 if self.last is not None and self.last.by is By.INDEX else size
        return start, min(stop, size)

    def __str__(self) -> str:
        ends = [f"from {self.first}" if self.first else "", f"to {self.last}" if self.last else ""]
        return " ".join(end for end in ends if end) or "everything"


@dataclass(frozen=True, slots=True)
class About:
    """What an export says of itself.

    schema: hash of the log's tag list, 32 bytes; size, root: of the log when it was exported; note: the signed
    checkpoint that says so; range: that was asked for; tags: that were; software: that wrote it.
    """

    bench: str
    origin: str
    schema: bytes
    size: int
    root: bytes
    note: bytes
    range: Range
    tags: tuple[str, ...]
    software: str


@dataclass(slots=True)
class Table:
    """A file of rows, read one after another; nothing in it is trusted.

    columns: their names as the file has them, without units; units: of each, None where the file says none; about: None
    where the file says nothing of itself, `problem` why it could not be read; place: what a row's number counts, "line"
    or "row"; rows: (number, cells), as many cells as columns, or more where the file has them.
    """

    columns: tuple[str, ...]
    units: tuple[str | None, ...]
    place: str
    rows: Iterator[tuple[int, tuple[Cell, ...]]] = field(repr=False)
    about: About | None = None
    problem: str = ""
