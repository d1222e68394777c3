"""Files that a reader sees whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from testbed.core.errors import StoreError


def write_atomic(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Replace `path` with `data`: written aside, then renamed, so that a reader sees the old bytes or the new ones.

    durable: also survive a power cut (fsync of file and folder). Derived files do without it.
    Raises StoreError, with the old file as it was, when the disk refuses.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            handle = aside.open("wb")
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = aside.open("wb")
        with handle:
            handle.write(data)
            if durable:
                handle.flush()
                os.fsync(handle.fileno())
        aside.replace(path)
        if durable:
            sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise StoreError(f"{path}: not written: {error.strerror}", "check free space and permissions") from error


def write_new(path: Path, data: bytes) -> None:
    """Write a file where none stands, whole or not at all, and on disk when this returns. The folder must be there.

    Raises FileExistsError, with nothing changed, where one stands; OSError when the disk refuses.
    """
    with growing(path) as aside:
        aside.write_bytes(data)


@contextlib.contextmanager
def growing(path: Path) -> Iterator[Path]:
    """Where to write a new file piece by piece: it gets its name `path` when the block ends well, and is on disk then.

    Raises as `write_new` does. Where the block is left by an exception nothing remains.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        yield aside
        with aside.open("rb") as handle:
            os.fsync(handle.fileno())
        os.link(aside, path)  # unlike a renaming, this never replaces a file
        sync_folder(path.parent)
    finally:
        aside.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable (fsync of the directory)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
