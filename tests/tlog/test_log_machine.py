"""A log beside a model of ten lines: whatever is done to it, what is on disk is what the model says."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from testbed.core.bodies import Heartbeat
from testbed.core.checkpoint import Checkpoint
from testbed.core.entropy import SeededEntropy
from testbed.core.entry import Entry, Kind
from testbed.keys.checkpoint import open_checkpoint
from testbed.keys.ed25519 import SigningKey
from testbed.merkle.tiles import encode_bundle, entry_bundles, tile_hashes, tile_path, tile_widths
from testbed.merkle.tree import Tree, leaf_hash
from testbed.record.bodies import encode_body
from testbed.record.entry import commitment, decode_entry, encode_entry
from testbed.store.sqlite import LogStore
from testbed.tlog.publisher import Publisher
from testbed.tlog.sequencer import Log

KEY = SigningKey.from_seed("bench.example/source", bytes(range(32)))
SOURCES = st.sampled_from(["cell", "cell", "press", "anna"])
# Small commits, and such that fill tiles: 254 to 257 is where the second level begins.
BATCHES = st.lists(SOURCES, min_size=1, max_size=6) | st.sampled_from([250, 255, 256, 257, 700]).map(["cell"].__mul__)


class Model:
    """What a log is: its entries, a count for each source, and the tree over them."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self.counts: dict[str, int] = {}

    def append(self, source: str, salt: bytes, body: bytes) -> None:
        seq = self.counts.get(source, 0)
        self.counts[source] = seq + 1
        self.entries.append(encode_entry(Entry(Kind.HEARTBEAT, source, seq, commitment(salt, body))))

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(KEY.name, len(self.entries), Tree(map(leaf_hash, self.entries)).root())


class LogMachine(RuleBasedStateMachine):
    """Appends, publishes, restarts; tiles go missing, change, and are left over."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.published = self.folder / "tlog"
        self.model, self.salts = Model(), SeededEntropy(5, "salts")
        self.entropy = SeededEntropy(5, "salts")
        self.on_disk = 0  # size of the published tree
        self.open()

    def open(self) -> None:
        self.store = LogStore.create(self.folder / "log.sqlite")
        self.log = Log(KEY, self.store, Publisher(self.published), self.entropy)
        self.on_disk = len(self.model.entries)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.folder)

    @rule(sources=BATCHES)
    def append(self, sources: list[str]) -> None:
        first = len(self.model.entries)
        bodies = [(source, Heartbeat(first + n, "", ())) for n, source in enumerate(sources)]
        appended = self.log.append(bodies)
        for source, body in bodies:
            self.model.append(source, self.salts.take(16), encode_body(body))
        assert appended.first_index == first
        assert appended.checkpoint == self.model.checkpoint()
        assert open_checkpoint(appended.note, KEY.verifier(), KEY.name) == appended.checkpoint

    @rule()
    def publish(self) -> None:
        self.log.publish()
        self.on_disk = len(self.model.entries)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.open()
        assert self.log.rebuilt_tiles == []

    @precondition(lambda self: self.on_disk)
    @rule(data=st.data())
    def reopen_with_tiles_missing(self, data: st.DataObject) -> None:
        self.store.close()
        for path in data.draw(st.sets(st.sampled_from(self.tiles()), min_size=1)):
            (self.published / path).unlink()
        self.open()
        assert self.log.rebuilt_tiles == []

    @precondition(lambda self: self.on_disk)
    @rule(data=st.data())
    def reopen_with_a_tile_changed(self, data: st.DataObject) -> None:
        stale = self.on_disk != len(self.model.entries)
        self.store.close()
        path = data.draw(st.sampled_from(self.tiles()))
        content = bytearray((self.published / path).read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        (self.published / path).write_bytes(content)
        self.open()
        # A partial tile that the log has outgrown is not rebuilt but removed.
        outgrown = stale and ".p/" in path and not (self.published / path).exists()
        assert self.log.rebuilt_tiles == ([] if outgrown else [path])

    @rule(level=st.integers(0, 2), n=st.integers(0, 3), width=st.integers(1, 255))
    def reopen_with_leftovers(self, level: int, n: int, width: int) -> None:
        self.store.close()
        if self.model.entries:
            partial = self.published / tile_path(level, n, width)
            if not partial.exists():
                partial.parent.mkdir(parents=True, exist_ok=True)
                partial.write_bytes(b"left over")
            (self.published / "tile" / ".000.12345.tmp").write_bytes(b"half")
        partials = {tile.path for tile in tile_widths(len(self.model.entries))}
        overwritten = tile_path(level, n, width) in partials - set(self.tiles_of(self.on_disk))
        self.open()
        assert self.log.rebuilt_tiles == ([tile_path(level, n, width)] if overwritten and self.model.entries else [])

    @invariant()
    def the_store_holds_the_model(self) -> None:
        rows = list(self.store.rows())
        assert [row.entry for row in rows] == self.model.entries
        for source, count in self.model.counts.items():
            entries = [decode_entry(row.entry) for row in rows]
            assert [entry.seq for entry in entries if entry.source == source] == list(range(count))

    @invariant()
    def the_folder_holds_the_tiles_of_the_published_size(self) -> None:
        found = {
            str(file.relative_to(self.published)): file.read_bytes()
            for file in self.published.rglob("*")
            if file.is_file()
        }
        if self.on_disk == 0:
            assert found == {}
            return
        entries = self.model.entries[: self.on_disk]
        tree = Tree(map(leaf_hash, entries))
        signed = open_checkpoint(found.pop("checkpoint"), KEY.verifier(), KEY.name)
        assert signed == Checkpoint(KEY.name, len(entries), tree.root())
        expected = {tile.path: tile_hashes(tree, tile) for tile in tile_widths(len(entries))}
        for tile in entry_bundles(len(entries)):
            expected[tile.path] = encode_bundle(entries[tile.n * 256 : tile.n * 256 + tile.width])
        assert found == expected

    def tiles(self) -> list[str]:
        return self.tiles_of(self.on_disk)

    def tiles_of(self, size: int) -> list[str]:
        return sorted(tile.path for tiles in (tile_widths(size), entry_bundles(size)) for tile in tiles)


LogMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
TestLogMachine = LogMachine.TestCase
