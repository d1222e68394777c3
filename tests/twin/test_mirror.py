"""The mirror consumes what a verified checkpoint covers, each entry once, and nothing of a log that was changed."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.core.bodies import Body, Heartbeat, Peer, State, TwinRecord
from testbed.core.entropy import SeededEntropy, SystemEntropy
from testbed.core.entry import Kind
from testbed.core.errors import StoreError
from testbed.core.tags import DataType, ModbusAddress, ModbusTable, Tag
from testbed.fieldbus.readings import readings_of
from testbed.fieldbus.registers import encode
from testbed.keys.checkpoint import open_checkpoint
from testbed.keys.ed25519 import SigningKey
from testbed.merkle.tree import Tree, leaf_hash
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.store.sqlite import LogStore
from testbed.tlog.publisher import Publisher
from testbed.tlog.sequencer import Log
from testbed.twin.mirror import Mirror, Recipe

SOURCE_KEY = SigningKey.from_seed("bench.example/source", bytes([1]) * 32)
TWIN_KEY = SigningKey.from_seed("bench.example/twin", bytes([2]) * 32)
LEVEL = Tag("level", DataType.FLOAT32, "m", 0.0, 2.0, False, ModbusAddress(ModbusTable.INPUT_REGISTER, 0), "cell.level")
Floats = tuple[float, ...]


class Mean:
    """A model: how many values it has read, their sum, and the mean that follows."""

    def initial(self, parameters: dict[str, float]) -> Floats:
        return (0.0, parameters["offset"])

    def step(
        self, parameters: dict[str, float], state: Floats, inputs: tuple[float | None, ...]
    ) -> tuple[Floats, Floats]:
        level = inputs[0] if inputs[0] is not None else 0.0
        after = (state[0] + 1.0, state[1] + parameters["gain"] * level)
        return after, (after[1] / after[0],)


RECIPE = Recipe(Mean(), b"m" * 32, {"offset": 0.5, "gain": 3.0}, b"p" * 32, readings_of((LEVEL,), ("level",)))


def state(n: int) -> Body:
    return State(1, n, None, n, (encode(LEVEL, (n * 37 % 100) / 50),), (0,))


def beat(n: int) -> Body:
    return Heartbeat(n, "no answer", ())


@dataclass
class Bench:
    """A source log and a twin log on disk."""

    folder: Path
    entries: int = 0
    batch: int = 1024

    def __post_init__(self) -> None:
        self.source_file, self.twin_file = self.folder / "source.sqlite", self.folder / "twin.sqlite"
        self.source_store = LogStore.create(self.source_file)
        self.source = self._log(SOURCE_KEY, self.source_store, "source")
        self.start_twin()

    def _log(self, key: SigningKey, store: LogStore, name: str) -> Log:
        return Log(key, store, Publisher(self.folder / name), SystemEntropy())

    def start_twin(self) -> None:
        self.twin_store = LogStore.create(self.twin_file)
        self.twin = self._log(TWIN_KEY, self.twin_store, "twin")
        self.reader = LogStore.read(self.source_file)
        self.start_mirror()

    def start_mirror(self) -> None:
        self.mirror = Mirror(
            "twin", RECIPE, self.reader, SOURCE_KEY.verifier(), self.twin, self.twin_store.rows(), self.batch
        )

    def restart_twin(self) -> None:
        """As after a kill: nothing but the files goes on."""
        self.stop_twin()
        self.start_twin()

    def stop_twin(self) -> None:
        self.twin_store.close()
        self.reader.close()

    def stop(self) -> None:
        self.stop_twin()
        self.source_store.close()

    def commit(self, kinds: str) -> None:
        """One commit to the source: "s" is a state, "h" a heartbeat."""
        bodies = [state(self.entries + n) if kind == "s" else beat(self.entries + n) for n, kind in enumerate(kinds)]
        self.source.append([("cell", body) for body in bodies])
        self.entries += len(kinds)

    def edit(self, change: Callable[[sqlite3.Connection], object]) -> None:
        with closing(sqlite3.connect(self.source_file)) as connection:
            change(connection)
            connection.commit()

    def bodies(self, kind: Kind) -> list[bytes]:
        return [row.body or b"" for row in self.twin_store.rows() if decode_entry(row.entry).kind is kind]

    def records(self) -> list[TwinRecord]:
        found = [decode_body(Kind.TWIN, body) for body in self.bodies(Kind.TWIN)]
        return [record for record in found if isinstance(record, TwinRecord)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.stop()


def test_each_state_gives_a_record_that_follows_from_its_inputs(bench: Bench) -> None:
    bench.commit("hsshs")
    assert bench.mirror.step() == 3
    assert bench.mirror.consumed == 5
    rows = list(bench.source_store.rows())
    records = bench.records()
    assert [[ref.index for ref in record.inputs] for record in records] == [[0, 1], [2], [3, 4]]
    now = RECIPE.model.initial(RECIPE.parameters)
    for record in records:
        assert (record.model, record.parameters) == (RECIPE.model_hash, RECIPE.parameters_hash)
        for ref in record.inputs:
            assert ref.origin == SOURCE_KEY.name
            assert ref.leaf_hash == leaf_hash(rows[ref.index].entry)
        body = decode_body(Kind.STATE, rows[record.inputs[-1].index].body or b"")
        assert isinstance(body, State)
        now, outputs = RECIPE.model.step(RECIPE.parameters, now, RECIPE.readings(body))
        assert (record.state, record.outputs) == (now, outputs)


def test_the_checkpoint_stands_before_the_records_that_it_covers(bench: Bench) -> None:
    covered = 0
    for kinds in ("ss", "hs", "sss"):
        bench.commit(kinds)
        bench.mirror.step()
    for row in bench.twin_store.rows():
        body = decode_body(decode_entry(row.entry).kind, row.body or b"")
        if isinstance(body, Peer):
            covered = open_checkpoint(body.checkpoint, SOURCE_KEY.verifier(), SOURCE_KEY.name).size
        elif isinstance(body, TwinRecord):
            assert all(ref.index < covered for ref in body.inputs)
    assert covered == 7


def test_nothing_new_gives_nothing(bench: Bench) -> None:
    assert bench.mirror.step() == 0
    bench.commit("hh")
    # Heartbeats are consumed with the next state, and make no record of their own.
    assert bench.mirror.step() == 0
    assert bench.twin.size == 0
    assert bench.mirror.step() == 0
    bench.commit("s")
    assert bench.mirror.step() == 1
    assert [ref.index for ref in bench.records()[0].inputs] == [0, 1, 2]


def test_what_no_checkpoint_covers_is_not_consumed(bench: Bench) -> None:
    bench.commit("ss")
    bench.edit(lambda db: db.execute("INSERT INTO records SELECT 2, entry, salt, body FROM records WHERE idx = 1"))
    assert bench.mirror.step() == 2
    assert bench.mirror.step() == 0
    assert bench.mirror.consumed == 2


def test_a_commit_larger_than_the_batch_is_consumed_whole(tmp_path: Path) -> None:
    bench = Bench(tmp_path, batch=4)
    for count in (3, 3, 10, 1, 2, 1):
        bench.commit("s" * count)
    done = []
    while step := bench.mirror.step():
        done.append(step)
    assert done == [3, 3, 10, 4]
    assert [ref.index for record in bench.records() for ref in record.inputs] == list(range(20))
    bench.stop()


COMMITS = st.lists(st.text("sh", min_size=1, max_size=5), max_size=8)


@settings(max_examples=20, deadline=None)
@given(COMMITS, st.integers(1, 6), st.data())
def test_a_twin_that_was_stopped_anywhere_says_the_same(
    tmp_path_factory: pytest.TempPathFactory, commits: list[str], batch: int, data: st.DataObject
) -> None:
    bench = Bench(tmp_path_factory.mktemp("bench"), batch=batch)
    for commit in commits:
        bench.commit(commit)
        for _ in range(data.draw(st.integers(0, 2))):
            bench.mirror.step()
            if data.draw(st.booleans()):
                bench.restart_twin()
    while bench.mirror.consumed < bench.entries:
        bench.mirror.step()
    bodies, records = bench.bodies(Kind.TWIN), bench.records()
    bench.stop_twin()
    bench.twin_file.unlink()
    # The uninterrupted run over the same source.
    (bench.folder / "twin" / "checkpoint").unlink(missing_ok=True)
    bench.start_twin()
    while bench.mirror.consumed < bench.entries:
        bench.mirror.step()
    assert bench.bodies(Kind.TWIN) == bodies
    indices = [ref.index for record in records for ref in record.inputs]
    assert indices == list(range("".join(commits).rfind("s") + 1))
    tree = Tree(leaf_hash(row.entry) for row in bench.source_store.rows())
    assert [ref.leaf_hash for record in records for ref in record.inputs] == [tree.leaf(n) for n in indices]
    bench.stop()


def flip(table: str, column: str, where: str, place: int) -> Callable[[sqlite3.Connection], object]:
    def change(connection: sqlite3.Connection) -> object:
        (data,) = connection.execute(f"SELECT {column} FROM {table} WHERE {where}").fetchone()  # noqa: S608  # own names
        changed = bytearray(data)
        changed[place] ^= 1
        return connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (bytes(changed),))  # noqa: S608

    return change


def statement(text: str) -> Callable[[sqlite3.Connection], object]:
    return lambda connection: connection.execute(text)


CHANGES = {
    "a commitment": (flip("records", "entry", "idx = 4", -1), "record 4 does not open"),
    "the kind of an entry": (flip("records", "entry", "idx = 4", 2), "record"),
    "the encoding of an entry": (flip("records", "entry", "idx = 4", 0), "record 4 cannot be read"),
    "a heartbeat's commitment": (flip("records", "entry", "idx = 5", -1), "do not give the root"),
    "a body": (flip("records", "body", "idx = 4", -1), "record 4 does not open its commitment"),
    "a salt": (flip("records", "salt", "idx = 4", 0), "record 4 does not open its commitment"),
    "a salt's length": (statement("UPDATE records SET salt = x'00' WHERE idx = 4"), "record 4 cannot be read"),
    "a body erased": (statement("UPDATE records SET body = NULL WHERE idx = 4"), "record 4 does not open"),
    "a record taken out": (statement("DELETE FROM records WHERE idx = 4"), "record 4 is missing"),
    "the last record taken out": (statement("DELETE FROM records WHERE idx = 6"), "do not give the root"),
    "the root of the checkpoint": (flip("checkpoints", "note", "size = 7", 30), "checkpoint of size 7 is not valid"),
    "the signature": (flip("checkpoints", "note", "size = 7", -9), "checkpoint of size 7 is not valid"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_source_that_somebody_changed_stops_the_twin(bench: Bench, name: str) -> None:
    bench.commit("sss")
    bench.mirror.step()
    bench.commit("sshs")
    whole = list(bench.source_store.rows()), list(bench.source_store.checkpoints())
    change, words = CHANGES[name]
    bench.edit(change)
    for restart in (False, True):
        if restart:
            bench.restart_twin()
        with pytest.raises(StoreError, match=words) as raised:
            bench.mirror.step()
        assert SOURCE_KEY.name in raised.value.problem
        assert raised.value.mend
        assert bench.mirror.consumed == 3
        assert len(bench.records()) == 3
    # The same bytes as before, and it goes on.
    bench.edit(statement("DELETE FROM records"))
    bench.edit(statement("DELETE FROM checkpoints"))
    rows, notes = whole
    bench.edit(
        lambda db: db.executemany(
            "INSERT INTO records VALUES (?, ?, ?, ?)", [(row.index, row.entry, row.salt, row.body) for row in rows]
        )
    )
    bench.edit(lambda db: db.executemany("INSERT INTO checkpoints VALUES (?, ?)", notes))
    assert bench.mirror.step() == 3
    assert bench.mirror.consumed == 7


def test_a_checkpoint_by_another_key_stops_the_twin(bench: Bench) -> None:
    bench.commit("s")
    bench.mirror.step()
    other = SigningKey.from_seed(SOURCE_KEY.name, bytes(32))
    mirror = Mirror("twin", RECIPE, bench.reader, other.verifier(), bench.twin, [])
    with pytest.raises(StoreError, match="is not valid"):
        mirror.step()
    with pytest.raises(StoreError, match="does not say where it stood"):
        Mirror("twin", RECIPE, bench.reader, other.verifier(), bench.twin, bench.twin_store.rows())


def set_back(bench: Bench, size: int) -> None:
    """The source is as it was at `size`, in every file."""
    bench.edit(lambda db: db.execute("DELETE FROM records WHERE idx >= ?", (size,)))
    bench.edit(lambda db: db.execute("DELETE FROM checkpoints WHERE size > ?", (size,)))


def test_a_source_that_was_set_back_stops_the_twin(bench: Bench) -> None:
    for kinds in ("ss", "ss"):
        bench.commit(kinds)
        bench.mirror.step()
    set_back(bench, 2)
    with pytest.raises(StoreError, match="ends below record 3"):
        bench.mirror.step()
    with pytest.raises(StoreError, match="first 4 records are not those that the twin has seen"):
        bench.start_mirror()
    assert len(bench.records()) == 4


@pytest.mark.parametrize("restart", [False, True])
def test_a_source_that_its_own_writer_wrote_anew_stops_the_twin(bench: Bench, restart: bool) -> None:
    for kinds in ("ss", "ss"):
        bench.commit(kinds)
        bench.mirror.step()
    set_back(bench, 2)
    # The writer signs another history, longer than the one that the twin has seen.
    with LogStore.create(bench.source_file) as store:
        other = Log(SOURCE_KEY, store, Publisher(bench.folder / "other"), SeededEntropy(9, "other"))
        for _ in range(2):
            other.append([("cell", state(90)), ("cell", state(91))])
    if restart:
        with pytest.raises(StoreError, match="are not those that the twin has seen"):
            bench.start_mirror()
    else:
        with pytest.raises(StoreError, match="do not give the root"):
            bench.mirror.step()
    assert len(bench.records()) == 4
