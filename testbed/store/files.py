"""Files that a reader sees whole or not at all."""

import os
from pathlib import Path


def write_atomic(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Replace `path` with `data`: written aside, then renamed, so that a reader sees the old bytes or the new ones.

    durable: also survive a power cut (fsync of file and folder). Derived files do without it.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
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


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable (fsync of the directory)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
