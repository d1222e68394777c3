"""Durable appends of bodies of 300 bytes through the log, against a bare loop that leaves the same on the same disk.

The bare loop draws the salts, hashes commitments, leaves and nodes, and writes rows and a signed note in one synced
transaction. Its entries are put together from ready bytes, nothing is encoded, checked or published.
"""

import hashlib
import secrets
import sqlite3
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from testbed.core.bodies import Event
from testbed.core.entropy import SystemEntropy
from testbed.keys.ed25519 import SigningKey
from testbed.record.bodies import encode_body
from testbed.store.sqlite import LogStore
from testbed.tlog.publisher import Publisher
from testbed.tlog.sequencer import Log
from tests.bench.measure import Measure, compare, table

BATCHES = {1: 500, 32: 100, 1024: 10}
"""Records in a commit, and commits in a round."""
BODY = Event(1_700_000_000 * 10**9, "measured", bytes(278))


def main() -> None:
    """Print the table."""
    size = len(encode_body(BODY))
    rows = []
    with tempfile.TemporaryDirectory() as name, LogStore.create(Path(name) / "ours.sqlite") as store:
        publisher = Publisher(Path(name) / "tlog")
        log = Log(SigningKey.from_seed("bench.example/log", bytes(32)), store, publisher, SystemEntropy())
        bare = Bare(Path(name) / "bare.sqlite")
        for batch, commits in BATCHES.items():
            ours = rate(partial(log.append, [("measured", BODY)] * batch), batch * commits, commits, log.publish)
            (one,) = compare(rate(partial(bare.append, batch), batch * commits, commits), ours)
            rows.append((f"{batch:,} at a time", *one.cells()))
        bare.connection.close()
    table((f"bodies of {size} bytes", "bare loop", "ours", "ours / bare"), *rows)


def rate(append: Callable[[], object], records: int, commits: int, after: Callable[[], object] = int) -> Measure:
    """Records a second. What is due of the tiles is written afterwards, and not counted."""

    def once() -> float:
        started = time.perf_counter()
        for _ in range(commits):
            append()
        seconds = time.perf_counter() - started
        after()
        return records / seconds

    return once


class Bare:
    """The floor."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = FULL")
        self.connection.execute(
            "CREATE TABLE records (idx INTEGER PRIMARY KEY, entry BLOB NOT NULL, salt BLOB NOT NULL, body BLOB) STRICT"
        )
        self.connection.execute("CREATE TABLE checkpoints (size INTEGER PRIMARY KEY, note BLOB NOT NULL) STRICT")
        self._key = Ed25519PrivateKey.from_private_bytes(bytes(32))
        self._body = encode_body(BODY)
        self._peaks: list[bytes] = []
        self._size = 0

    def append(self, count: int) -> None:
        """One commit."""
        sha256, body, peaks, size = hashlib.sha256, self._body, self._peaks, self._size
        rows = []
        for _ in range(count):
            salt = secrets.token_bytes(16)
            entry = (
                b"\x85\x01\x06\x68measured\x1a" + size.to_bytes(4, "big") + b"\x58\x20" + sha256(salt + body).digest()
            )
            node, at = sha256(b"\x00" + entry).digest(), size
            while at & 1:
                node, at = sha256(b"\x01" + peaks.pop() + node).digest(), at >> 1
            peaks.append(node)
            rows.append((size, entry, salt, body))
            size += 1
        root = peaks[-1]
        for peak in reversed(peaks[:-1]):
            root = sha256(b"\x01" + peak + root).digest()
        text = b"bench.example/log\n%d\n%s\n" % (size, root.hex().encode())
        note = text + self._key.sign(text)
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?)", rows)
        self.connection.execute("INSERT INTO checkpoints VALUES (?, ?)", (size, note))
        self.connection.execute("COMMIT")
        self._size = size


if __name__ == "__main__":
    main()
