"""A log goes on only from what its writer left, and acknowledges only what is on disk."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from testbed.core.bodies import Body, Heartbeat
from testbed.core.checkpoint import Checkpoint
from testbed.core.errors import InvalidData, StoreError
from testbed.keys.checkpoint import open_checkpoint, sign_checkpoint
from testbed.keys.ed25519 import SigningKey
from testbed.merkle.tiles import encode_bundle, entry_bundles, tile_hashes, tile_widths
from testbed.merkle.tree import Tree, leaf_hash
from testbed.store.files import write_atomic
from testbed.store.sqlite import LogStore
from testbed.tlog import publisher
from testbed.tlog.publisher import Publisher
from testbed.tlog.sequencer import Log

OpenLog = Callable[[], AbstractContextManager[Log]]
Change = Callable[[sqlite3.Connection], object]


def beats(count: int, source: str = "cell") -> list[tuple[str, Body]]:
    return [(source, Heartbeat(n, "", ())) for n in range(count)]


@pytest.fixture
def store(tmp_path: Path, open_log: OpenLog) -> Path:
    """The store of a log of 3 + 2 records, published at size 3."""
    with open_log() as log:
        log.append(beats(3))
        log.publish()
        log.append(beats(2))
    return tmp_path / "log.sqlite"


def test_each_commit_has_a_signed_checkpoint(store: Path, key: SigningKey) -> None:
    with LogStore.read(store) as reader:
        tree = Tree(leaf_hash(row.entry) for row in reader.rows())
        notes = list(reader.checkpoints())
    assert [open_checkpoint(note, key.verifier(), key.name) for _, note in notes] == [
        Checkpoint(key.name, size, tree.root(size)) for size in (3, 5)
    ]
    for _, note in notes:
        with pytest.raises(InvalidData):
            open_checkpoint(flipped(note, len(note) - 8), key.verifier(), key.name)


def test_every_record_has_a_salt_of_its_own(store: Path) -> None:
    with LogStore.read(store) as reader:
        assert len({row.salt for row in reader.rows()}) == 5
        assert all(len(row.salt) == 16 for row in reader.rows())


def flipped(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


def flip(table: str, column: str, where: str, place: int) -> Change:
    def change(connection: sqlite3.Connection) -> None:
        query = f"SELECT {column} FROM {table} WHERE {where}"  # noqa: S608  # names are this test's own
        (data,) = connection.execute(query).fetchone()
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (flipped(data, place),))  # noqa: S608

    return change


def statement(text: str) -> Change:
    return lambda connection: connection.execute(text)


CHANGES = {
    "no change": (None, ""),
    "the commitment of a record": (flip("records", "entry", "idx = 1", -1), "do not give the root"),
    "the version of an entry": (flip("records", "entry", "idx = 4", 1), "record 4 is no entry"),
    "a record taken out": (statement("DELETE FROM records WHERE idx = 2"), "record 2 is missing"),
    "the last record taken out": (statement("DELETE FROM records WHERE idx = 4"), "do not give the root"),
    "a record added": (
        statement("INSERT INTO records SELECT 5, entry, salt, body FROM records WHERE idx = 4"),
        "do not give the root",
    ),
    "the root in the last checkpoint": (flip("checkpoints", "note", "size = 5", 30), "checkpoint of size 5"),
    "the signature of the last checkpoint": (flip("checkpoints", "note", "size = 5", -9), "checkpoint of size 5"),
    "the last checkpoint taken out": (statement("DELETE FROM checkpoints WHERE size = 5"), "do not give the root"),
    "all checkpoints taken out": (statement("DELETE FROM checkpoints"), "there are records and no checkpoint"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_log_that_somebody_changed_is_not_continued(store: Path, open_log: OpenLog, name: str) -> None:
    change, words = CHANGES[name]
    if change is None:
        with open_log() as log:
            assert log.append(beats(1)).checkpoint.size == 6
        return
    with closing(sqlite3.connect(store)) as connection:
        change(connection)
        connection.commit()
    published = (store.parent / "tlog" / "checkpoint").read_bytes()
    with pytest.raises(StoreError, match=words) as raised, open_log():
        pass
    assert str(store) in raised.value.problem
    assert raised.value.mend
    assert (store.parent / "tlog" / "checkpoint").read_bytes() == published


def test_another_key_does_not_continue_a_log(store: Path, key: SigningKey) -> None:
    for other in (SigningKey.from_seed(key.name, bytes(32)), SigningKey.from_seed("another/log", key.seed)):
        with LogStore.create(store) as opened, pytest.raises(StoreError, match="is not valid"):
            Log(other, opened, Publisher(store.parent / "tlog"), NoEntropy())


def test_a_log_of_another_name_is_named(store: Path, key: SigningKey) -> None:
    other = SigningKey.from_seed("another/log", key.seed)
    with LogStore.create(store) as opened, pytest.raises(StoreError) as raised:
        Log(other, opened, Publisher(store.parent / "tlog"), NoEntropy())
    assert f"it is of origin {key.name}, and the bench says another/log" in raised.value.problem
    assert raised.value.mend.startswith("undo the change of names in the bench file")


def test_older_partials_go_only_once_the_newer_checkpoint_is_there(
    store: Path, open_log: OpenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader of what was published at size 3 finds its tiles until size 5 is published, also across a crash."""
    folder = store.parent / "tlog"

    def refuse(path: Path, data: bytes) -> None:
        if path.name == "checkpoint":
            raise StoreError("the disk is full")
        write_atomic(path, data)

    monkeypatch.setattr(publisher, "write_atomic", refuse)
    with pytest.raises(StoreError, match="the disk is full"), open_log():
        pass
    for tile in (*tile_widths(3), *entry_bundles(3)):
        assert (folder / tile.path).is_file(), tile.path


class NoEntropy:
    def take(self, count: int) -> bytes:
        raise AssertionError(count)


def test_a_log_that_was_set_back_is_not_continued(tmp_path: Path, open_log: OpenLog) -> None:
    store, copy = tmp_path / "log.sqlite", tmp_path / "copy"
    with open_log() as log:
        log.append(beats(3))
        log.publish()
    shutil.copy(store, copy)
    with open_log() as log:
        log.append(beats(2))
        log.publish()
    published = (tmp_path / "tlog" / "checkpoint").read_bytes()
    shutil.copy(copy, store)
    with pytest.raises(StoreError, match="published checkpoint of size 5"), open_log():
        pass
    store.unlink()
    with pytest.raises(StoreError, match="published checkpoint of size 5"), open_log():
        pass
    assert (tmp_path / "tlog" / "checkpoint").read_bytes() == published


def test_a_fork_of_a_log_is_not_continued(store: Path, open_log: OpenLog, key: SigningKey) -> None:
    (store.parent / "tlog" / "checkpoint").write_bytes(sign_checkpoint(Checkpoint(key.name, 5, bytes(32)), key))
    with pytest.raises(StoreError, match="published checkpoint of size 5"), open_log():
        pass


@pytest.mark.parametrize("content", [b"", b"no checkpoint\n", b"\xff\xfe"])
def test_a_published_checkpoint_that_is_none_is_written_anew(store: Path, open_log: OpenLog, content: bytes) -> None:
    file = store.parent / "tlog" / "checkpoint"
    file.write_bytes(content)
    with open_log() as log:
        assert log.size == 5
    with LogStore.read(store) as reader:
        assert reader.latest_checkpoint() == (5, file.read_bytes())


def test_what_cannot_be_encoded_leaves_the_log_as_it_was(store: Path, open_log: OpenLog) -> None:
    with open_log() as log:
        for wrong in ([("cell", Heartbeat(-1, "", ()))], [*beats(2), ("x" * 70_000, Heartbeat(0, "", ()))]):
            with pytest.raises(InvalidData):
                log.append(wrong)
        with pytest.raises(ValueError, match="at least one"):
            log.append([])
        assert log.append(beats(1)).first_index == 5
    with LogStore.read(store) as reader:
        assert reader.count() == 6


# Appends, and publishes, until the system lets no file grow any more; then publishes again without that limit.
REFUSED = """
import resource, sys
from pathlib import Path
from testbed.core.bodies import Event
from testbed.core.entropy import SystemEntropy
from testbed.core.errors import StoreError
from testbed.keys.ed25519 import SigningKey
from testbed.store.sqlite import LogStore
from testbed.tlog.publisher import Publisher
from testbed.tlog.sequencer import Log

folder, what = Path(sys.argv[1]), sys.argv[2]
key = SigningKey.from_seed("bench.example/source", bytes(range(32)))
log = Log(key, LogStore.create(folder / "log.sqlite"), Publisher(folder / "tlog"), SystemEntropy())
log.append([("cell", Event(0, "one", b""))])
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
if what == "append":
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        while log.size < 10_000:
            log.append([("cell", Event(n, "many", bytes(500))) for n in range(7)])
    except StoreError as error:
        print(log.size, str(error).replace(chr(10), " "))
else:
    log.append([("cell", Event(n, "many", b"")) for n in range(700)])
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, hard))
    try:
        log.publish()
    except StoreError as error:
        print(log.size, str(error).replace(chr(10), " "))
    assert not (folder / "tlog" / "checkpoint").exists()
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log.publish()
"""


def refuse(folder: Path, what: str) -> tuple[int, str]:
    """The size that was acknowledged, and the words of the refusal."""
    command = [sys.executable, "-c", REFUSED, str(folder), what]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    size, _, words = ended.stdout.strip().partition(" ")
    return int(size), words


def test_a_full_disk_acknowledges_nothing(tmp_path: Path, open_log: OpenLog) -> None:
    size, words = refuse(tmp_path, "append")
    assert "log.sqlite: the records were not written" in words
    assert "mend: " in words
    assert 7 < size < 10_000
    with open_log() as log:
        assert log.size == size
        assert log.append(beats(3)).first_index == size


def test_a_full_disk_publishes_nothing_until_there_is_room(tmp_path: Path, key: SigningKey) -> None:
    size, words = refuse(tmp_path, "publish")
    assert "not written" in words
    assert size == 701
    folder = tmp_path / "tlog"
    assert open_checkpoint((folder / "checkpoint").read_bytes(), key.verifier(), key.name).size == 701
    files = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert files == {"checkpoint", *(tile.path for tile in (*tile_widths(701), *entry_bundles(701)))}


def test_tiles_where_a_third_level_begins(tmp_path: Path) -> None:
    entries = [n.to_bytes(4, "big") for n in range(65_537)]
    hashes = [leaf_hash(entry) for entry in entries]
    tree = Tree(hashes)
    publisher = Publisher(tmp_path)
    done = 0
    for size in (255, 256, 257, 65_535, 65_536, 65_537):
        for entry, digest in zip(entries[done:size], hashes[done:size], strict=True):
            publisher.add(entry, digest)
        done = size
        publisher.publish(b"note %d" % size)
        found = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
        bundles = list(entry_bundles(size))
        assert found == {"checkpoint", *(tile.path for tile in (*tile_widths(size), *bundles))}
        for tile in tile_widths(size):
            assert (tmp_path / tile.path).read_bytes() == tile_hashes(tree, tile)
        last = bundles[-1]
        bundle = encode_bundle(entries[last.n * 256 : last.n * 256 + last.width])
        assert (tmp_path / last.path).read_bytes() == bundle
        assert (tmp_path / "checkpoint").read_bytes() == b"note %d" % size
