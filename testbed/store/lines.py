"""A file that only grows, line by line, with one writer: each line is on disk when `append` returns."""

import fcntl
import os
from pathlib import Path

from testbed.core.errors import StoreError
from testbed.store.files import sync_folder


class LineFile:
    """The open file, locked: the kernel lets go of it however the process ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def create(cls, path: Path) -> "LineFile":
        """Begin a file. Raises StoreError where one stands, or the disk refuses."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(
                f"{path}: not begun: {error.strerror}", "check permissions, or name another place"
            ) from error
        # Whoever finds a new file looks whether it is held, and lets go at once.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        sync_folder(path.parent)
        return cls(path, descriptor)

    @classmethod
    def resume(cls, path: Path) -> "tuple[LineFile, list[bytes]] | None":
        """Go on with a file: it, and its lines without their line feeds. None while its writer lives.

        A last line without a line feed was being written and did not count yet; it is cut off.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except OSError as error:
            raise StoreError(f"{path}: cannot be read: {error.strerror}", "check permissions") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.ftruncate(descriptor, whole)
            os.fsync(descriptor)
        return cls(path, descriptor), data[:whole].split(b"\n")[:-1]

    def append(self, line: bytes) -> None:
        """Write one line with its line feed. Raises StoreError when the disk refuses."""
        try:
            view = memoryview(line)
            while view:
                view = view[os.write(self._descriptor, view) :]
            os.fsync(self._descriptor)
        except OSError as error:
            raise StoreError(f"{self.path}: not written: {error.strerror}", "check free space") from error

    def close(self) -> None:
        """Let go of it. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
