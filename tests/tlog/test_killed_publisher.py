"""A log whose writer is killed at any instant: what it published is whole, and the log goes on."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from testbed.core.checkpoint import Checkpoint
from testbed.core.entropy import SystemEntropy
from testbed.keys.checkpoint import open_checkpoint
from testbed.keys.ed25519 import SigningKey
from testbed.merkle.tiles import encode_bundle, entry_bundles, tile_hashes, tile_widths
from testbed.merkle.tree import Tree, leaf_hash
from testbed.store.sqlite import LogStore
from testbed.tlog.publisher import Publisher
from testbed.tlog.sequencer import Log

KILLS = 5
KEY = SigningKey.from_seed("bench.example/source", bytes(range(32)))

# Appends and publishes without end, and says the size of what it has published.
WRITER = """
import sys
from pathlib import Path
from testbed.core.bodies import Heartbeat
from testbed.core.entropy import SystemEntropy
from testbed.keys.ed25519 import SigningKey
from testbed.store.sqlite import LogStore
from testbed.tlog.publisher import Publisher
from testbed.tlog.sequencer import Log

folder = Path(sys.argv[1])
key = SigningKey.from_seed("bench.example/source", bytes(range(32)))
log = Log(key, LogStore.create(folder / "log.sqlite"), Publisher(folder / "tlog"), SystemEntropy())
while True:
    log.append([("cell", Heartbeat(n, "", ())) for n in range(1 + 11 * (log.size % 13))])
    log.publish()
    print(log.size, flush=True)
"""


def test_what_was_published_is_whole_after_a_kill(tmp_path: Path) -> None:
    chance = random.Random(20260102)
    published = tmp_path / "tlog"
    for _ in range(KILLS):
        said = write_until_killed(tmp_path, chance)
        with LogStore.read(tmp_path / "log.sqlite") as store:
            entries = [row.entry for row in store.rows()]
        size = check_published(published, entries)
        assert said <= size <= len(entries)
        with LogStore.create(tmp_path / "log.sqlite") as store:
            log = Log(KEY, store, Publisher(published), SystemEntropy())
            assert log.size == len(entries)
            assert log.rebuilt_tiles == []
        assert check_published(published, entries) == len(entries)
        tiles = {tile.path for tile in (*tile_widths(len(entries)), *entry_bundles(len(entries)))}
        files = {str(file.relative_to(published)) for file in published.rglob("*") if file.is_file()}
        assert files == {"checkpoint", *tiles}


def check_published(folder: Path, entries: list[bytes]) -> int:
    """Every tile under the published checkpoint is there; the size that it speaks of."""
    signed = open_checkpoint((folder / "checkpoint").read_bytes(), KEY.verifier(), KEY.name)
    tree = Tree(leaf_hash(entry) for entry in entries[: signed.size])
    assert signed == Checkpoint(KEY.name, tree.size, tree.root())
    for tile in tile_widths(signed.size):
        assert (folder / tile.path).read_bytes() == tile_hashes(tree, tile)
    for bundle in entry_bundles(signed.size):
        start = bundle.n * 256
        assert (folder / bundle.path).read_bytes() == encode_bundle(entries[start : start + bundle.width])
    return signed.size


def write_until_killed(folder: Path, chance: random.Random) -> int:
    """Let a writer publish, kill it at an instant that it does not know; the last size that it said."""
    command = [sys.executable, "-c", WRITER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(chance.randrange(1, 12))]
        time.sleep(chance.uniform(0, 0.02))
        writer.kill()
        said += writer.stdout.readlines()
    assert writer.returncode == -signal.SIGKILL
    return int([line for line in said if line.endswith("\n")][-1])
