"""Logs in memory: leaves, signed checkpoints and tiles, as a witness is shown them."""

from collections.abc import Sequence

from testbed.core.checkpoint import Checkpoint
from testbed.keys.checkpoint import sign_checkpoint
from testbed.keys.ed25519 import SigningKey
from testbed.merkle.tiles import parse_tile_path, tile_hashes
from testbed.merkle.tree import Tree, leaf_hash
from testbed.witness.request import AddCheckpoint

ORIGIN = "example.org/log"
LOG = SigningKey.from_seed(ORIGIN, bytes([1]) * 32)
WITNESS = SigningKey.from_seed("example.org/w1", bytes([2]) * 32)


def leaves(count: int, name: str = "a", start: int = 0) -> list[bytes]:
    return [leaf_hash(f"{name} {number}".encode()) for number in range(start, count)]


def checkpoint(tree: Tree, size: int | None = None, origin: str = ORIGIN) -> Checkpoint:
    size = tree.size if size is None else size
    return Checkpoint(origin, size, tree.root(size))


def note(tree: Tree, size: int | None = None, key: SigningKey = LOG) -> bytes:
    return sign_checkpoint(checkpoint(tree, size, key.name), key)


def request(tree: Tree, old: int, new: int) -> bytes:
    """A request that a log makes which grew from `old` to `new`."""
    return AddCheckpoint(old, tuple(tree.consistency_path(old, new)), note(tree, new)).encode()


class Served:
    """A log as its server shows it, at the size that `show` said last. asked: what was read."""

    def __init__(self, hashes: Sequence[bytes], key: SigningKey = LOG) -> None:
        self.key = key
        self.become(hashes)
        self.missing: set[str] = set()
        self.asked: list[str] = []
        self.changes: list[bytes] = []

    def become(self, hashes: Sequence[bytes]) -> None:
        """From now on it is this log."""
        self.tree = Tree(hashes)
        self.size = self.tree.size

    def show(self, size: int) -> None:
        self.size = size

    def read(self, name: str, most: int) -> bytes | None:
        self.asked.append(name)
        if name in self.missing:
            return None
        if name.startswith("key-changes/"):
            number = int(name.partition("/")[2])
            return self.changes[number] if number < len(self.changes) else None
        if name == "checkpoint":
            return note(self.tree, self.size, self.key)
        data = tile_hashes(self.tree, parse_tile_path(name))
        assert len(data) <= most
        return data
