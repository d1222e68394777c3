"""A bench whose machine did not reach its safe state is out of use, until somebody has brought it there.

One file says so; while it stands, nothing may command the machine. The first cause stays until the end.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from testbed.core.errors import Quarantined, StoreError
from testbed.store.files import sync_folder, write_new

MEND = "look at the machine; then run `testbed recover`, which tries its safe state again and reads it back"


@dataclass(frozen=True, slots=True)
class Quarantine:
    """why: in words; since_ns: UTC ns since 1970, 0 where the file does not say it any more."""

    why: str
    since_ns: int

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"in quarantine since {since}: {self.why}" if self.since_ns else f"in quarantine: {self.why}"


def quarantine(path: Path, why: str, now_ns: int) -> Quarantine:
    """Take a bench out of use; `path` is its file. One that stands already stays as it is, with its first cause.

    Raises StoreError where the file cannot be written.
    """
    made = Quarantine(why, now_ns)
    text = json.dumps({"why": why, "since_ns": now_ns}, indent=2) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_new(path, text.encode())
    except FileExistsError:
        return quarantined(path) or made
    except OSError as error:
        raise StoreError(f"{path}: not written: {error.strerror}", "check free space and permissions") from error
    return made


def quarantined(path: Path) -> Quarantine | None:
    """Why and since when the bench is out of use; None where it is not. A file that cannot be read says so as well."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        return Quarantine(f"{path} cannot be read", 0)
    try:
        said = json.loads(text)
        why, since_ns = said["why"], said["since_ns"]
    except (ValueError, KeyError, TypeError):
        return Quarantine(f"{path} does not say why", 0)
    sound = isinstance(why, str) and isinstance(since_ns, int) and 0 <= since_ns < 2**62
    return Quarantine(why, since_ns) if sound else Quarantine(f"{path} does not say why", 0)


def refuse_quarantined(path: Path, bench: str) -> None:
    """Raises Quarantined while the bench is out of use: called before every command and every run."""
    if (found := quarantined(path)) is not None:
        raise Quarantined(f"bench {bench} is {found}", MEND)


def lift(path: Path) -> None:
    """Put a bench into use again: only after its safe state was read back. Raises StoreError."""
    try:
        path.unlink(missing_ok=True)
        sync_folder(path.parent)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{path}: not removed: {error.strerror}", "check permissions") from error
