"""The journal of a chain: append-only, one file, every line on disk before the next thing is done.

For each block two lines: the intent before its transaction is sent, and what was mined before the next intent. After a
kill at any moment the file tells what to send again. A last line without a line feed was being written when the
process died: nothing was done on its strength, so it is dropped. Damage anywhere else is InvalidData.
"""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from eth_utils.crypto import keccak

from testbed.chain.proofs import header_fields
from testbed.chain.steps import Head, Intent, Line, Mined, decode_line, encode_line
from testbed.core.errors import InvalidData, StoreError


@dataclass(frozen=True, slots=True)
class Step:
    """One block: what was meant, and what came of it; `mined` is None while that is open."""

    intent: Intent
    mined: Mined | None


@dataclass(frozen=True, slots=True)
class Contents:
    """A journal, read."""

    head: Head
    steps: tuple[Step, ...]


def read_journal(path: Path) -> Contents:
    """Read a journal that another process may be writing. Raises StoreError if there is none, InvalidData on damage."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}", "make the bench ready with `testbed init`") from error
    contents, _ = _parse(path, data)
    return contents


class Journal:
    """The one writer of a journal; an exclusive lock on the file keeps a second one out."""

    def __init__(self, path: Path, descriptor: int, contents: Contents) -> None:
        self.path = path
        self.head = contents.head
        self.steps = list(contents.steps)
        self._descriptor = descriptor

    @classmethod
    def create(cls, path: Path, head: Head) -> Self:
        """Begin a journal. Raises StoreError where one stands already."""
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
        return cls(path, descriptor, Contents(head, ()))

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
                contents, whole = _parse(path, file.read())
            if os.fstat(descriptor).st_size != whole:
                os.ftruncate(descriptor, whole)
                os.fsync(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor, contents)

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

    def intent(self, intent: Intent) -> None:
        """Append what is going to be sent; on disk when this returns. Raises StoreError while a step is open."""
        self._append(intent)
        self.steps.append(Step(intent, None))

    def mined(self, mined: Mined) -> None:
        """Append what became of the open step; on disk when this returns. Raises StoreError if it is another's."""
        self._append(mined)
        self.steps[-1] = Step(self.steps[-1].intent, mined)

    def _append(self, line: Intent | Mined) -> None:
        if self._descriptor < 0:
            raise StoreError(f"{self.path}: the journal is closed")
        try:
            _check_next(self.steps, line)
            data = _readable(line)
        except InvalidData as error:
            raise StoreError(f"{self.path}: not the next line: {error}") from error
        try:
            _write(self._descriptor, data)
        except OSError as error:
            # What is on disk is unknown now. Whoever opens the journal again sees it.
            self.close()
            raise StoreError(f"{self.path}: {error.strerror}", "make room on the disk; then start again") from error


def _parse(path: Path, data: bytes) -> tuple[Contents, int]:
    """The journal, and how many bytes of `data` are whole lines."""
    whole = data.rfind(b"\n") + 1
    lines = data[:whole].split(b"\n")[:-1]
    if not lines:
        raise InvalidData(f"{path}, line 1: the journal has no head")
    steps: list[Step] = []
    number = 1
    try:
        head = _head(lines[0])
        for text in lines[1:]:
            number += 1
            line = _step_line(text)
            _check_next(steps, line)
            if isinstance(line, Intent):
                steps.append(Step(line, None))
            else:
                steps[-1] = Step(steps[-1].intent, line)
    except InvalidData as error:
        raise InvalidData(f"{path}, line {number}: {error}") from error
    return Contents(head, tuple(steps)), whole


def _head(text: bytes) -> Head:
    line = decode_line(text + b"\n")
    if not isinstance(line, Head):
        raise InvalidData("the journal does not begin with its head")
    return line


def _step_line(text: bytes) -> Intent | Mined:
    line = decode_line(text + b"\n")
    if isinstance(line, Head):
        raise InvalidData("a second head")
    return line


def _readable(line: Line) -> bytes:
    """The line's bytes, which will be read as they are written."""
    data = encode_line(line)
    if decode_line(data) != line:
        raise InvalidData("it would not be read as it was written")
    return data


def _check_next(steps: list[Step], line: Intent | Mined) -> None:
    """May `line` stand after these steps? Raises InvalidData."""
    last = steps[-1] if steps else None
    if isinstance(line, Intent):
        if last is not None and last.mined is None:
            raise InvalidData(f"step {last.intent.number} is not mined yet")
        if line.number != len(steps):
            raise InvalidData(f"intent {line.number} stands where {len(steps)} belongs")
        if last is not None and last.mined is not None:
            _check_follows(last.mined, line)
        return
    if last is None or last.mined is not None or line.number != last.intent.number:
        raise InvalidData(f"block of step {line.number} without its intent before it")
    _check_mined(last.intent, line)


def _check_follows(before: Mined, intent: Intent) -> None:
    if intent.height <= before.height:
        raise InvalidData(f"height {intent.height} does not follow {before.height}")
    if intent.height == before.height + 1 and intent.parent_hash != before.block_hash:
        raise InvalidData(f"parent hash is not the hash of block {before.height}")


def _check_mined(intent: Intent, mined: Mined) -> None:
    header = header_fields(mined.header)
    if mined.tx_hash != keccak(intent.transaction):
        raise InvalidData("transaction hash is not that of the intent's transaction")
    if (header.hash, header.number, header.timestamp) != (mined.block_hash, mined.height, mined.timestamp):
        raise InvalidData("block hash, height or timestamp is not the header's")
    if intent.timestamp is None:
        # On a network of others the transaction waits for its turn.
        if mined.height < intent.height:
            raise InvalidData("the block stands below the one that the intent names")
        return
    if (mined.height, header.parent_hash) != (intent.height, intent.parent_hash):
        raise InvalidData("the block is not the one that the intent names")
    if mined.timestamp != intent.timestamp:
        raise InvalidData("the block's timestamp is not the intent's")


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
