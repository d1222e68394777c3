"""One log's records in SQLite: entries, salts, bodies, and a signed checkpoint for every commit.

A commit is one transaction with synchronous=FULL in WAL mode: when `append` returns, the records and the checkpoint
that covers them are on disk, or none of them is (https://www.sqlite.org/pragma.html#pragma_synchronous).
Roles that only read open the same file read-only, while its writer goes on.
"""

import contextlib
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from testbed.core.entry import Row
from testbed.core.errors import StoreError
from testbed.store.examined import Examined
from testbed.store.stored_rows import StoredRows, unreadable

_APPLICATION_ID = 0x41545442  # "ATTB"
_VERSION = 1
_SCHEMA = """
CREATE TABLE records (idx INTEGER PRIMARY KEY, entry BLOB NOT NULL, salt BLOB NOT NULL, body BLOB) STRICT;
CREATE TABLE checkpoints (size INTEGER PRIMARY KEY, note BLOB NOT NULL) STRICT;
"""


class LogStore:
    """The stored side of one log.

    `LogStore.create` for its one writer, `LogStore.read` for those who follow it, `LogStore.examine` for an auditor.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, *, writes: bool) -> None:
        self.path = path
        self._connection = connection
        self._writes = writes
        self._examined: Examined | None = None
        self._lent = False

    @classmethod
    def create(cls, path: Path, *, synced: bool = True) -> "LogStore":
        """Open for writing; makes folder and file when they are missing. Raises StoreError for any other file.

        synced: every commit is on disk when it is done. Without, a power cut takes the newest commits with it, and all
        are on disk once the store is closed.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            connection = sqlite3.connect(path, isolation_level=None, timeout=10)
        except (OSError, sqlite3.Error) as error:
            raise unreadable(str(path), error) from error
        try:
            _begin(path, connection, synced=synced)
        except BaseException:
            connection.close()
            raise
        return cls(path, connection, writes=True)

    @classmethod
    def read(cls, path: Path) -> "LogStore":
        """Open read-only; raises StoreError where there is no log."""
        if not path.is_file():
            raise StoreError(f"{path}: there is no log here", "start the bench once with `testbed up`")
        address = f"{path.resolve().as_uri()}?mode=ro"
        try:
            connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=10)
        except sqlite3.Error as error:
            raise unreadable(str(path), error) from error
        try:
            _check_version(path, connection)
        except BaseException:
            connection.close()
            raise
        return cls(path, connection, writes=False)

    @classmethod
    def examine(cls, path: Path) -> "LogStore":
        """Open the log as it stands now and write nothing beside it, so that no right to write is needed.

        SQLite makes files beside a log that it reads, so one that is being written, or whose writer was killed, is
        copied to a private temporary folder. Raises StoreError where there is no log, or it changes too fast.
        """
        if not path.is_file():
            raise StoreError(f"{path}: there is no log here", "start the bench once with `testbed up`")
        examined = Examined(path)
        try:
            connection = sqlite3.connect(examined.address, uri=True, isolation_level=None, timeout=10)
            try:
                _check_version(path, connection)
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            examined.close()
            raise unreadable(str(path), error) from error
        except BaseException:
            examined.close()
            raise
        store = cls(path, connection, writes=False)
        store._examined = examined
        return store

    def close(self) -> None:
        """Let go of the file; a writer first moves the write-ahead log into the database and empties it."""
        if self._writes:
            # A reader amid a query may hold it up; then it stays as it is for the next writer, and nothing is lost.
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("PRAGMA busy_timeout = 1000")
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()
        if self._examined is not None and not self._lent:
            self._examined.close()

    def __enter__(self) -> "LogStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, rows: Sequence[Row], size: int, note: bytes) -> None:
        """Write `rows` and the checkpoint `note` of the new `size` in one synced transaction.

        Raises StoreError, with nothing written, when an index is taken already or the disk refuses.
        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(
                    "INSERT INTO records VALUES (?, ?, ?, ?)", [(r.index, r.entry, r.salt, r.body) for r in rows]
                )
                self._connection.execute("INSERT INTO checkpoints VALUES (?, ?)", (size, note))
                self._connection.execute("COMMIT")
            except BaseException:
                # A failed COMMIT (a full disk) may have rolled back by itself.
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise StoreError(
                f"{self.path}: the records were not written: {error}",
                "check free space and that no other writer runs (`testbed status`)",
            ) from error

    def erase(self, indices: Collection[int]) -> None:
        """Take salt and body of these records away, in place; entries and checkpoints stay.

        When it returns, nothing of them is in the file or beside it: freed bytes are overwritten, the file is made anew
        from what is left, and the write-ahead log is emptied. What a file system, a disk or a backup keeps of older
        files is out of reach. Killed halfway, it is to be called again. Raises StoreError, also while others read.
        """
        try:
            self._connection.execute("PRAGMA secure_delete = ON")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(
                    "UPDATE records SET salt = x'', body = NULL WHERE idx = ?", [(index,) for index in indices]
                )
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise
            # A page may hold a second copy of a cell that was moved in it: only a new file is free of all.
            self._connection.execute("VACUUM")
            (busy, _, _) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: not erased: {error}", "check free space, and try again") from error
        if busy:
            raise StoreError(f"{self.path}: not erased: somebody reads the log", "let them end, and try again")

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]:
        """Records with start <= index < stop, in the order of their index."""
        limit = 2**63 - 1 if stop is None else stop
        query = "SELECT idx, entry, salt, body FROM records WHERE idx >= ? AND idx < ? ORDER BY idx"
        for index, entry, salt, body in self._select(query, (start, limit)):
            yield Row(index, entry, salt, body)

    def entries(self, stop: int) -> Iterator[bytes]:
        """The leaves of records below `stop`, in the order of their index; salts and bodies are not read."""
        for entry, kind in self._select(
            "SELECT entry, typeof(entry) FROM records WHERE idx >= 0 AND idx < ? ORDER BY idx", (stop,)
        ):
            # In a damaged file SQLite gives what it finds, of any type. What is no byte string was never signed.
            yield entry if kind == "blob" else b""

    def count(self) -> int:
        """Number of stored records."""
        return int(next(self._select("SELECT count(*) FROM records"))[0])

    def latest_checkpoint(self, limit: int | None = None) -> tuple[int, bytes] | None:
        """(size, signed note) of the largest checkpoint, or of the largest one with size <= limit; None without one."""
        largest = 2**63 - 1 if limit is None else limit
        query = "SELECT size, note FROM checkpoints WHERE size <= ? ORDER BY size DESC LIMIT 1"
        return next(((int(size), bytes(note)) for size, note in self._select(query, (largest,))), None)

    def next_checkpoint(self, beyond: int) -> tuple[int, bytes] | None:
        """(size, signed note) of the smallest checkpoint with size > beyond; None without one."""
        query = "SELECT size, note FROM checkpoints WHERE size > ? ORDER BY size LIMIT 1"
        return next(((int(size), bytes(note)) for size, note in self._select(query, (beyond,))), None)

    def checkpoints(self) -> Iterator[tuple[int, bytes]]:
        """(size, signed note) of every checkpoint, smallest first."""
        yield from self._select("SELECT size, note FROM checkpoints ORDER BY size")

    def snapshot(self) -> tuple[list[Row], list[tuple[int, bytes]]]:
        """All records and all checkpoints as they were at one instant, while the writer goes on.

        Whatever stands in the table, also under numbers that no writer gives.
        """
        try:
            self._connection.execute("BEGIN")
            try:
                found = self._select("SELECT idx, entry, salt, body FROM records ORDER BY idx")
                everything = [Row(*columns) for columns in found], list(self.checkpoints())
            finally:
                self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise unreadable(str(self.path), error) from error
        self.check_unchanged()
        return everything

    def check_unchanged(self) -> None:
        """Raises StoreError when a writer changed an examined log while it was read."""
        if self._examined is not None:
            self._examined.check_unchanged()

    def stored_rows(self) -> StoredRows:
        """All rows of a log that is examined, read where they are asked for, also when this store is closed again.

        Whoever reads them asks `check_unchanged` afterwards whether a writer came meanwhile.
        """
        if self._examined is None:
            raise StoreError(f"{self.path}: it is not examined, and its writer may go on")
        self._lent = True
        return StoredRows(str(self.path), self._examined)

    def _select(self, query: str, arguments: tuple[int, ...] = ()) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._connection.execute(query, arguments)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            # The latter where SQLite's complaint repeats damaged bytes of its schema.
            raise unreadable(str(self.path), error) from error


def _check_version(path: Path, connection: sqlite3.Connection) -> None:
    """Raises StoreError unless the file is a log that this version writes."""
    try:
        names = ("application_id", "user_version")
        found = tuple(connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
    except sqlite3.Error as error:
        raise unreadable(str(path), error) from error
    if found != (_APPLICATION_ID, _VERSION):
        raise StoreError(f"{path}: not a log of this version", "name another data folder in [bench] data")


def _begin(path: Path, connection: sqlite3.Connection, *, synced: bool) -> None:
    """Make the tables where there are none, and see to it that a commit is on disk when it is done, if it is to be."""
    try:
        # 0 until the first table is made; a file of somebody else's is not written to.
        empty = connection.execute("PRAGMA schema_version").fetchone() == (0,)
        if not empty:
            _check_version(path, connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
        if empty:
            connection.executescript(
                f"BEGIN IMMEDIATE; {_SCHEMA}"
                f"PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {_VERSION}; COMMIT;"
            )
    except sqlite3.Error as error:
        raise unreadable(str(path), error) from error
