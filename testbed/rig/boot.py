"""The restart counter of the emulated PLC, kept in a file so that a restarted PLC is told from a running one."""

from pathlib import Path

from testbed.core.errors import UsageError
from testbed.store.files import write_atomic

_MASK = 0xFFFFFFFF
"""A uint32 that goes on at 0 after its last value."""


def read_boot(path: Path) -> int:
    """The counter of the newest start, 0 before the first. Raises UsageError for a file that holds no counter."""
    try:
        data = path.read_bytes().strip()  # an editor ends each line
    except FileNotFoundError:
        return 0
    if not (data.isdigit() and len(data) <= 10 and int(data) <= _MASK):
        mend = f"write the last plc.boot that was logged into it, or a larger number up to {_MASK}"
        raise UsageError(f"{path}: not a restart counter: {data[:20]!r}", mend)
    return int(data)


def count_boot(path: Path) -> int:
    """Count one start more, on disk when this returns; the new counter."""
    boot = (read_boot(path) + 1) & _MASK
    write_atomic(path, str(boot).encode(), durable=True)
    return boot
