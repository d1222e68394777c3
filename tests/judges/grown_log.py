"""A log that the bench's own code wrote, published at the sizes at which its tiles change shape, for judges to read.

The fast path of it: thousands of small bodies in a commit, and no wait for the disk. Bytes are the same on every run.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.core.bodies import Body, Genesis, Heartbeat
from testbed.core.entropy import SeededEntropy
from testbed.keys.ed25519 import SigningKey
from testbed.merkle.tree import Tree, leaf_hash
from testbed.store.sqlite import LogStore
from testbed.tlog.publisher import Publisher
from testbed.tlog.sequencer import Log

SIZES = (1, 255, 256, 257, 65_536, 65_537, 200_001)
"""One leaf; around the first full tile; around the first full tile of level 1; and well into the second of them."""

KEY = SigningKey.from_seed("judged.example/gateway", bytes(range(32)))
_COMMIT = 8192


@dataclass(frozen=True, slots=True)
class GrownLog:
    """entries: every leaf's bytes; tree: over them; published: folder of the log as it was published, by its size."""

    entries: Sequence[bytes]
    tree: Tree
    published: dict[int, Path]


def grow(folder: Path, sizes: Sequence[int] = SIZES) -> GrownLog:
    """Write a log below `folder`, and publish it at each of `sizes`, in ascending order."""
    published: dict[int, Path] = {}
    with LogStore.create(folder / "log.sqlite", synced=False) as store:
        log = Log(KEY, store, Publisher(folder / "tlog"), SeededEntropy(1, "salts"))
        log.append([("cell", Genesis(log.origin, bytes(32), "judged", True))])
        for size in sizes:
            while log.size < size:
                bodies: list[tuple[str, Body]] = [
                    ("cell", Heartbeat(number, "", ())) for number in range(log.size, min(size, log.size + _COMMIT))
                ]
                log.append(bodies)
            log.publish()
            published[size] = folder / f"size-{size}"
            # A published file is replaced, never written to, so that a second name for it is as good as a copy.
            shutil.copytree(folder / "tlog", published[size], copy_function=os.link)
        entries = [row.entry for row in store.rows()]
    return GrownLog(entries, Tree(map(leaf_hash, entries)), published)
