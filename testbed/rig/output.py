"""What a role prints: kept in a file that does not grow for ever, and at hand when the role dies."""

import asyncio
import json
import os
from contextlib import suppress
from pathlib import Path

_MOST_BYTES = 10 * 1024 * 1024
_TAIL_BYTES = 64 * 1024
_LINES = 20
_WORDS = 400
"""Characters of last words that are kept."""
_DRAIN_S = 1.0
_ERRORS = ("error", "critical")
_MOST_BRACKETS = 500
"""In a line that is taken for JSON. Libraries raise Python's limit of recursion so far that deep ones end us."""


class CappedFile:
    """Appends to `path`; beyond `most` bytes the file becomes `path`.1, in place of an older one, and a new one begins.

    A disk that refuses loses what was to be written and raises nothing: what is said must not end who says it.
    """

    def __init__(self, path: Path, most: int = _MOST_BYTES) -> None:
        self._path = path
        self._most = most
        self._descriptor: int | None = None
        self._size = 0

    def write(self, data: bytes) -> None:
        try:
            if self._descriptor is not None and self._size and self._size + len(data) > self._most:
                self.close()
            if self._descriptor is None:
                self._open(len(data))
            if self._descriptor is not None:
                self._size += os.write(self._descriptor, data)
        except OSError:
            self.close()

    def close(self) -> None:
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

    def _open(self, room: int) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileNotFoundError):
            if (size := self._path.stat().st_size) and size + room > self._most:
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._descriptor).st_size


class RoleOutput(asyncio.Protocol):
    """The pipe into which one process prints.

    A pipe and not the file itself: so a process that ends because the disk is full can still say so.
    """

    def __init__(self, file: CappedFile) -> None:
        self._file = file
        self._tail = b""
        self._ended = asyncio.Event()
        self._transport: asyncio.BaseTransport | None = None

    async def open(self) -> int:
        """Begin to listen; the descriptor for the process, to be closed here once the process has it."""
        ours, theirs = os.pipe()
        # Who prints never waits for who listens: a supervisor that is held up, as by Ctrl-Z, would hold up the bench.
        os.set_blocking(theirs, False)
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.connect_read_pipe(lambda: self, os.fdopen(ours, "rb", 0))
        return theirs

    def data_received(self, data: bytes) -> None:
        self._file.write(data)
        self._tail = (self._tail + data)[-_TAIL_BYTES:]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio gives it
        self._ended.set()

    async def finish(self) -> str:
        """Hear the ended process out; its last words. A child of it may hold the pipe, and is not waited for."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), _DRAIN_S)
        self.close()
        return last_words(self._tail)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def last_words(printed: bytes) -> str:
    """The last error in what a role printed, else its last line; without line breaks, "" where it said nothing.

    An error is a line that begins with "error: ", or a JSON line of a level that says so.
    """
    lines = [line for line in printed.decode(errors="replace").splitlines() if line.strip()][-_LINES:]
    said = [_said(line) for line in lines]
    errors = [words for words, is_error in said if is_error]
    words = (errors or [words for words, _ in said[-1:]] or [""])[-1]
    return " ".join(words.split())[:_WORDS]


def _said(line: str) -> tuple[str, bool]:
    """What a line says, and whether it is an error."""
    if line.startswith("error: "):
        return line.removeprefix("error: "), True
    if line.count("[") + line.count("{") > _MOST_BRACKETS:
        return line, False
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return line, False
    if not isinstance(found, dict) or "event" not in found:
        return line, False
    # Of a traceback the last line says what it was.
    raised = str(found.get("exception", "")).strip().splitlines()[-1:]
    return ": ".join([str(found["event"]), *raised]), found.get("level") in _ERRORS
