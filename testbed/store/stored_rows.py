"""The rows of a log that is examined, read from its file where they are asked for: a log may be larger than memory.

Whoever hashes them in processes of their own gives each a `Reach`: an address and the numbers from one to another.
"""

import sqlite3
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, overload

from testbed.core.entry import Row
from testbed.core.errors import StoreError
from testbed.store.examined import Examined

Columns = tuple[Any, Any, Any, Any]
"""Number, entry, salt and body as SQLite gives them: in a damaged file of any type."""

_QUERY = "SELECT idx, entry, salt, body FROM records"
_AT_ONCE = 1024
"""Rows that are fetched together."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Rows of one log with low <= number < high, None where that end is open; how many is not known before."""

    label: str
    address: str
    low: int | None = None
    high: int | None = None

    def rows(self) -> Iterator[list[Columns]]:
        """Them, some at a time, in the order of their numbers; raises StoreError where SQLite cannot read them."""
        bounds = [(" idx >= ?", self.low), (" idx < ?", self.high)]
        named = [(text, value) for text, value in bounds if value is not None]
        where = " WHERE" + " AND".join(text for text, _ in named) if named else ""
        connection = connect(self.label, self.address)
        try:
            found = connection.execute(f"{_QUERY}{where} ORDER BY idx", [value for _, value in named])
            while some := found.fetchmany(_AT_ONCE):
                yield some
        except (sqlite3.Error, UnicodeDecodeError) as error:
            # The latter where SQLite's complaint repeats damaged bytes of its schema.
            raise unreadable(self.label, error) from error
        finally:
            connection.close()


class StoredRows(Sequence[Row]):
    """Rows in the order of their numbers, counted from 0 whatever their numbers are.

    examined: lives as long as they are read, and its copy of the file with it. `plain`: whether their numbers are those
    of a table as this version makes it, so that each stands once and they can be sought by it.
    """

    def __init__(self, label: str, examined: Examined) -> None:
        self._label = label
        self._examined = examined
        self._address = examined.address
        self._count: int | None = None
        self._connection = connect(label, self._address)
        weakref.finalize(self, self._connection.close)
        declared = next(self._select("SELECT sql FROM sqlite_schema WHERE name = 'records'", ()), (None,))[0]
        self.plain = isinstance(declared, str) and "idx INTEGER PRIMARY KEY" in declared and "TABLE" in declared[:12]

    def check_unchanged(self) -> None:
        """Raises StoreError when a writer changed the file in its place since it was examined."""
        self._examined.check_unchanged()

    def reaches(self, width: int) -> list[Reach]:
        """All rows in order, `width` in each part. Rows under numbers that no writer gives are in the first or last."""
        # Asked for at once, SQLite would go through the whole table.
        ends = [
            next(self._select(query, ()))[0]
            for query in ("SELECT min(idx) FROM records", "SELECT max(idx) FROM records")
        ]
        if not self.plain or not all(isinstance(end, int) for end in ends):
            return [Reach(self._label, self._address)]
        count = min(max(0, ends[1] + 1), self._at_most())
        edges: list[int | None] = [None, *range(width, count, width), None]
        return [Reach(self._label, self._address, low, high) for low, high in pairwise(edges)]

    def between(self, first: int, last: int) -> list[Row]:
        """Rows with first <= number <= last."""
        found = self._select(f"{_QUERY} WHERE idx >= ? AND idx <= ? ORDER BY idx", (first, last))
        return [typed(columns) for columns in found]

    def of_kinds(self, kinds: Sequence[int]) -> Iterator[Row]:
        """Rows whose entries say that they are of one of these kinds, in order."""
        marks = ", ".join("?" * len(kinds))
        # An entry is an array of five, a version and a kind, each a byte.
        query = f"{_QUERY} WHERE substr(entry, 1, 3) IN ({marks}) ORDER BY idx"
        for columns in self._select(query, [bytes((0x85, 1, kind)) for kind in kinds]):
            yield typed(columns)

    def __len__(self) -> int:
        if self._count is None:
            self._count = int(next(self._select("SELECT count(*) FROM records", ()))[0])
        return self._count

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Row, ...]: ...
    def __getitem__(self, place: int | slice) -> Row | tuple[Row, ...]:
        if isinstance(place, slice):
            start, stop, step = place.indices(len(self))
            query = f"{_QUERY} ORDER BY idx LIMIT ? OFFSET ?"
            return tuple(typed(columns) for columns in self._select(query, (max(0, stop - start), start)))[::step]
        at = place + len(self) if place < 0 else place
        found = self[at : at + 1] if at >= 0 else ()
        if not found:
            raise IndexError(f"row {place} of {len(self)}")
        return found[0]

    def __iter__(self) -> Iterator[Row]:
        return (typed(columns) for columns in self._select(f"{_QUERY} ORDER BY idx", ()))

    def _at_most(self) -> int:
        """Rows that the file has room for, all with an entry, a salt and a body: more will hardly be there."""
        pages, size = (next(self._select(f"PRAGMA {name}", ()))[0] for name in ("page_count", "page_size"))
        return int(pages) * int(size) // 64

    def _select(self, query: str, arguments: Sequence[object]) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._connection.execute(query, arguments)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise unreadable(self._label, error) from error


def typed(columns: Sequence[Any]) -> Row:
    """A row of bytes. What is no byte string in a damaged file was never signed, so it may as well be none."""
    index, entry, salt, body = columns
    return Row(index, as_bytes(entry), as_bytes(salt), None if body is None else as_bytes(body))


def as_bytes(value: object) -> bytes:
    """`value` where it is a byte string, else none."""
    return value if isinstance(value, bytes) else b""


def connect(label: str, address: str) -> sqlite3.Connection:
    """A connection that only reads; raises StoreError."""
    try:
        return sqlite3.connect(address, uri=True, isolation_level=None, timeout=10, check_same_thread=False)
    except sqlite3.Error as error:
        raise unreadable(label, error) from error


def unreadable(label: str, error: Exception) -> StoreError:
    """Why a log cannot be read. label: its file as the reader of a message knows it."""
    return StoreError(f"{label}: SQLite cannot read the log: {error}", "restore the file from a backup")
