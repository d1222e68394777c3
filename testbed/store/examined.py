"""A log's database as it stands at one instant, read without making a file beside it."""

import shutil
import tempfile
import weakref
from pathlib import Path

from testbed.core.errors import StoreError

_TRIES = 20
_WAL_HEADER = 32
"""Bytes; it holds salts that are drawn anew whenever the write-ahead log begins again (sqlite.org/fileformat2.html)."""


class Examined:
    """Says at which `address` SQLite can read the database `path`. Raises StoreError when it cannot be read.

    Without a write-ahead log the file is whole and read where it stands. Else both are copied, the database first:
    while the write-ahead log does not begin again, it holds every page that changed in the database meanwhile.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # Removes the copy: when it is closed, else when nobody reads it any more.
        self._remove: weakref.finalize[[str], Examined] | None = None
        try:
            for _ in range(_TRIES):
                self._before = self._seen()
                if not self._before[0]:
                    self.address = f"{path.resolve().as_uri()}?immutable=1"
                    return
                self._copy()
                if self._seen()[0] == self._before[0]:
                    return
        except OSError as error:
            self.close()
            raise StoreError(f"{path}: cannot be read: {error.strerror}", "look at its permissions") from error
        except BaseException:
            self.close()
            raise
        self.close()
        raise self._changes()

    def check_unchanged(self) -> None:
        """Raises StoreError when a writer changed the file in its place while it was read."""
        if self._remove is None and self._seen() != self._before:
            raise self._changes()

    def close(self) -> None:
        """Remove the copy, if there is one. May be called again."""
        if self._remove is not None:
            self._remove()
            self._remove = None

    def _copy(self) -> None:
        self.close()
        folder = tempfile.mkdtemp(prefix="testbed-log-")
        self._remove = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        copy = Path(folder) / "log.sqlite"
        shutil.copyfile(self._path, copy)
        shutil.copyfile(_wal(self._path), _wal(copy))
        self.address = f"{copy.as_uri()}?mode=ro"

    def _seen(self) -> tuple[bytes, int, int]:
        """Header of the write-ahead log, b"" where there is nothing in it; size and time of the database."""
        try:
            with _wal(self._path).open("rb") as file:
                header = file.read(_WAL_HEADER)
        except FileNotFoundError:
            header = b""
        found = self._path.stat()
        return header, found.st_size, found.st_mtime_ns

    def _changes(self) -> StoreError:
        return StoreError(f"{self._path}: a writer changed it while it was read", "try again")


def _wal(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")
