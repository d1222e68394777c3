"""The journal of a chain: append-only, one file, every line on disk before the next thing is done.

For each block two lines: the intent before its transaction is sent, and what was mined before the next intent. On a
network of others there may be more: a further version of a transaction, a block that was taken back, a step that is
settled or never mined. After a kill at any moment the file tells what to send again. A last line without a line feed
was being written when the process died: nothing was done on its strength, so it is dropped. Damage anywhere else is
InvalidData. The writer is here, its readers are in `reading`.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from testbed.chain.reading import iterate_steps, read_through
from testbed.chain.steps import (
    Dropped,
    Head,
    Intent,
    Line,
    Mined,
    Reorganised,
    Settled,
    Step,
    Successor,
    Version,
    decode_line,
    encode_line,
)
from testbed.chain.succession import Reached, StepLine
from testbed.core import failpoints
from testbed.core.errors import InvalidData, StoreError


class Journal:
    """The one writer of a journal; an exclusive lock on the file keeps a second one out.

    It keeps what the journal has come to (`reached`) and no step but the last, so it may run for as long as it likes.
    """

    def __init__(self, path: Path, descriptor: int, reached: Reached) -> None:
        self.path = path
        self.reached = reached
        self._descriptor = descriptor

    @property
    def head(self) -> Head:
        return self.reached.head

    @property
    def top(self) -> tuple[int, bytes] | None:
        """Height and hash of the newest block; None before the first."""
        newest = self.reached.newest
        return None if newest is None else (newest.height, newest.block_hash)

    def steps(self) -> Iterator[Step]:
        """Each step, read from the file anew."""
        return iterate_steps(self.path)

    @classmethod
    def create(cls, path: Path, head: Head) -> Self:
        """Begin a journal. Raises StoreError where one stands already, or the disk refuses."""
        try:
            return cls._create(path, head)
        except OSError as error:
            raise _refused(path, error) from error

    @classmethod
    def _create(cls, path: Path, head: Head) -> Self:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written aside and then given its name, so that a journal without its head cannot be found.
        aside = path.with_name(f"{path.name}.{os.getpid()}.new")
        descriptor = os.open(aside, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            _lock(path, descriptor)
            _write(descriptor, _readable(head))
            try:
                os.link(aside, path)
            except FileExistsError as error:
                raise StoreError(f"{path}: a journal stands here already", "open it, or take another folder") from error
            _sync_folder(path.parent)
        except BaseException:
            os.close(descriptor)
            raise
        finally:
            aside.unlink()
        return cls(path, descriptor, Reached(head))

    @classmethod
    def open(cls, path: Path) -> Self:
        """Go on with a journal; a torn last line is cut off. Raises StoreError, InvalidData naming the line."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}", "make the bench ready with `testbed init`") from error
        try:
            _lock(path, descriptor)
            with open(descriptor, "rb", closefd=False) as file:
                reached, whole = read_through(path, file)
            if os.fstat(descriptor).st_size != whole:
                os.ftruncate(descriptor, whole)
                os.fsync(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor, reached)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file and its lock. May be called again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def check_ready(self) -> None:
        """May an intent be appended? Raises StoreError where the file is closed or a step is open."""
        if self._descriptor < 0:
            raise StoreError(f"{self.path}: the journal is closed", "open it again")
        if self.reached.open is not None:
            raise StoreError(f"{self.path}: its last step is open", "start the anchor again")

    def intent(self, intent: Intent) -> None:
        """Append what is going to be sent; on disk when this returns. Raises StoreError while a step is open."""
        failpoints.reached("intent", failpoints.BEFORE, intent.number)
        self._append(intent)
        failpoints.reached("intent", failpoints.AFTER, intent.number)

    def mined(self, mined: Mined) -> None:
        """Append what became of the open step; on disk when this returns. Raises StoreError if it is another's."""
        failpoints.reached("mined", failpoints.BEFORE, mined.number)
        self._append(mined)
        failpoints.reached("mined", failpoints.AFTER, mined.number)

    def note(self, line: Version | Dropped | Settled | Reorganised | Successor) -> None:
        """Append what only a network of others makes necessary; on disk when this returns. Raises StoreError."""
        self._append(line)

    def _append(self, line: StepLine) -> None:
        if self._descriptor < 0:
            raise StoreError(f"{self.path}: the journal is closed", "open it again")
        try:
            self.reached.check(line)
            data = _readable(line)
        except InvalidData as error:
            raise StoreError(f"{self.path}: not the next line: {error}") from error
        try:
            _write(self._descriptor, data)
        except OSError as error:
            # What is on disk is unknown now. Whoever opens the journal again sees it.
            self.close()
            raise _refused(self.path, error) from error
        self.reached.take(line)


def _readable(line: Line) -> bytes:
    """The line's bytes, which will be read as they are written."""
    data = encode_line(line)
    if decode_line(data) != line:
        raise InvalidData("it would not be read as it was written")
    return data


def _refused(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path}: {error.strerror}", "make room on the disk; then start again")


def _lock(path: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StoreError(f"{path}: another process is writing this journal", "stop the other one") from error


def _write(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
    os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
