"""What helpers are given to do."""

import os
import signal
import time
from pathlib import Path

from testbed.core.errors import StoreError


def doubled(number: int) -> tuple[int, int]:
    """Twice the number, and who said so; the first ones are the slowest."""
    time.sleep(0.05 if number < 2 else 0)
    return 2 * number, os.getpid()


def refused(number: int) -> int:
    if number == 3:
        raise StoreError("no third one", "take another")
    return number


def dies_once(file: Path) -> str:
    """The first one to come here is killed."""
    if not file.exists():
        file.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return file.name


def sleeps(file: Path) -> None:
    file.write_text(str(os.getpid()), encoding="ascii")
    time.sleep(600)
