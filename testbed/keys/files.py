"""Key files that only their owner can read: 32 secret bytes, or a private key in a format of its own."""

import os
import stat
import tempfile
from pathlib import Path

from testbed.core.errors import InvalidData, UsageError

SECRET_SIZE = 32


def write_secret(path: Path, secret: bytes) -> None:
    """Write 32 secret bytes, mode 0600, in folders of mode 0700; the file is there whole or not at all.

    Raises UsageError where `path` exists: a key is never overwritten.
    """
    if len(secret) != SECRET_SIZE:
        raise InvalidData(f"secret: {len(secret)} bytes, not {SECRET_SIZE}")
    write_private(path, secret)


def read_secret(path: Path) -> bytes:
    """The 32 bytes of a key file; raises UsageError where it is missing, open to others, or of another length."""
    secret = read_private(path, SECRET_SIZE)
    if len(secret) != SECRET_SIZE:
        raise UsageError(f"{path}: not a key of {SECRET_SIZE} bytes", "restore the key file from its backup")
    return secret


def write_private(path: Path, data: bytes) -> None:
    """As `write_secret`, for secrets of any length."""
    _write_once(path, data, 0o600)


def write_public(path: Path, data: bytes) -> None:
    """What belongs to a key and everybody may read, mode 0644; otherwise as `write_secret`."""
    _write_once(path, data, 0o644)


def promote(following: Path, path: Path) -> None:
    """Put the key file `following` in the place of `path`, whose key is gone then; on disk when this returns."""
    following.replace(path)
    _sync_folder(path.parent)


def read_private(path: Path, most: int) -> bytes:
    """At most `most` bytes of a key file, and one more where it is longer; raises UsageError as `read_secret` does."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no key file", "make the keys with `testbed init`") from error
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "run as the user who owns the key file") from error
    try:
        # Asked of the open file, so that what is judged is what is read.
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{path}: not a file", "name a key file")
        if status.st_mode & 0o077:
            mode = stat.S_IMODE(status.st_mode)
            raise UsageError(f"{path}: mode {mode:04o} lets others at the key", f"chmod 600 {path}")
        return os.read(handle, most + 1)
    finally:
        os.close(handle)


def _write_once(path: Path, data: bytes, mode: int) -> None:
    _make_folder(path.parent)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, fails where the name is taken.
        path.hardlink_to(draft)
    except FileExistsError as error:
        raise UsageError(f"{path}: a key is there already", "keep it, or move it away first") from error
    finally:
        draft.unlink()
    _sync_folder(path.parent)


def _make_folder(folder: Path) -> None:
    """Path.mkdir gives its mode to the last folder only; here each new one gets it."""
    if not folder.exists():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
