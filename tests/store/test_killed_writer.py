"""A writer that is killed at any instant: what it acknowledged is there, once, and the log goes on."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from testbed.core.entry import Row
from testbed.store.sqlite import LogStore

KILLS = 8

# Writes commits of 1 to 5 records without end, and says the new size once `append` has returned.
WRITER = """
import sys
from pathlib import Path
from testbed.core.entry import Row
from testbed.store.sqlite import LogStore

store = LogStore.create(Path(sys.argv[1]))
size = store.count()
while True:
    rows = [Row(n, b"entry %d" % n, b"salt", bytes(2000)) for n in range(size, size + 1 + size % 5)]
    size += len(rows)
    store.append(rows, size, b"note %d" % size)
    print(size, flush=True)
"""


def test_no_acknowledged_record_is_lost_and_none_is_doubled(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    chance = random.Random(20260101)
    size = 0
    for _ in range(KILLS):
        acknowledged = write_until_killed(path, chance)
        with LogStore.read(path) as store:
            rows, notes = store.snapshot()
        assert rows == [Row(n, b"entry %d" % n, b"salt", bytes(2000)) for n in range(len(rows))]
        assert notes[-1] == (len(rows), b"note %d" % len(rows))
        assert len(rows) >= acknowledged > size
        # At most the one commit that was on its way.
        assert len(rows) in (acknowledged, acknowledged + 1 + acknowledged % 5)
        size = len(rows)
    with LogStore.create(path) as store:
        store.append([Row(size, b"last", b"salt", None)], size + 1, b"last")
        assert store.count() == size + 1


def write_until_killed(path: Path, chance: random.Random) -> int:
    """Let a writer make some commits, kill it at an instant that it does not know; the last size that it said."""
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(chance.randrange(1, 30))]
        time.sleep(chance.uniform(0, 0.02))
        writer.kill()
        # What was said before the kill and not read yet.
        said += writer.stdout.readlines()
    assert writer.returncode == -signal.SIGKILL
    return int([line for line in said if line.endswith("\n")][-1])
