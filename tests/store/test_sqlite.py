"""A log's store: a commit is there whole or not at all, and nobody else's file is touched."""

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testbed.core.entry import Row
from testbed.core.errors import StoreError
from testbed.store.sqlite import LogStore

BYTES = st.binary(max_size=60)
PARTS = st.tuples(BYTES, BYTES, st.none() | BYTES)
COMMITS = st.lists(st.lists(PARTS, min_size=1, max_size=4), max_size=6)


def commit(store: LogStore, first: int, count: int) -> int:
    """Append `count` records behind `first` others; the new size."""
    rows = [Row(n, b"entry %d" % n, b"salt", b"body %d" % n) for n in range(first, first + count)]
    store.append(rows, first + count, b"note %d" % (first + count))
    return first + count


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway" / "log.sqlite"


def wal_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(COMMITS, st.integers(0, 25), st.integers(0, 25))
def test_what_was_appended_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    commits: list[list[tuple[bytes, bytes, bytes | None]]],
    start: int,
    stop: int,
) -> None:
    path = tmp_path_factory.mktemp("store") / "log.sqlite"
    expected: list[Row] = []
    notes: list[tuple[int, bytes]] = []
    with LogStore.create(path) as store:
        for number, parts in enumerate(commits):
            rows = [Row(len(expected) + i, *part) for i, part in enumerate(parts)]
            expected += rows
            notes.append((len(expected), b"note %d" % number))
            store.append(rows, *notes[-1])
    for open_ in (LogStore.read, LogStore.create):
        with open_(path) as store:
            assert list(store.rows()) == expected
            assert list(store.rows(start, stop)) == expected[start:stop]
            assert list(store.rows(start)) == expected[start:]
            assert store.count() == len(expected)
            assert list(store.checkpoints()) == notes
            assert store.snapshot() == (expected, notes)
            assert store.latest_checkpoint() == (notes[-1] if notes else None)
            below = [note for note in notes if note[0] <= stop]
            beyond = [note for note in notes if note[0] > stop]
            assert store.latest_checkpoint(stop) == (below[-1] if below else None)
            assert store.next_checkpoint(stop) == (beyond[0] if beyond else None)


@pytest.mark.parametrize(
    ("indices", "size"),
    [([2], 4), ([3, 4, 1], 6), ([3, 3], 5), ([3], 3)],
    ids=["taken", "taken behind free ones", "twice in one commit", "size has a checkpoint"],
)
def test_a_taken_index_is_refused_with_nothing_written(path: Path, indices: list[int], size: int) -> None:
    with LogStore.create(path) as store:
        commit(store, 0, 3)
        before = store.snapshot()
        with pytest.raises(StoreError, match=r"log\.sqlite: the records were not written") as raised:
            store.append([Row(n, b"other", b"salt", None) for n in indices], size, b"other")
        assert raised.value.mend
        assert store.snapshot() == before
        # And the store goes on.
        assert commit(store, 3, 2) == 5
        assert store.count() == 5


def test_a_second_writer_does_not_get_between(path: Path) -> None:
    with LogStore.create(path) as first, LogStore.create(path) as second:
        commit(first, 0, 2)
        with pytest.raises(StoreError):
            commit(second, 1, 2)
        assert second.snapshot() == first.snapshot()
        assert second.count() == 2


def test_a_reader_sees_whole_commits_only_while_the_writer_goes_on(path: Path) -> None:
    LogStore.create(path).close()
    stop, failures = threading.Event(), []

    def write() -> None:
        try:
            with LogStore.create(path) as store:
                size = 0
                while not stop.is_set():
                    size = commit(store, size, 1 + size % 7)
        except StoreError as error:
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with LogStore.read(path) as store:
            sizes: set[int] = set()
            deadline = time.monotonic() + 30
            while len(sizes) < 25 and time.monotonic() < deadline and writer.is_alive():
                rows, notes = store.snapshot()
                assert [row.index for row in rows] == list(range(len(rows)))
                assert len(rows) == (notes[-1][0] if notes else 0)
                sizes.add(len(rows))
    finally:
        stop.set()
        writer.join()
    assert not failures
    assert len(sizes) == 25


def test_rows_that_are_being_read_do_not_grow_with_the_log(path: Path) -> None:
    with LogStore.create(path) as writer, LogStore.read(path) as reader:
        commit(writer, 0, 3)
        rows = reader.rows()
        assert next(rows).index == 0
        commit(writer, 3, 3)
        assert [row.index for row in rows] == [1, 2]
        assert reader.count() == 6


def test_a_reader_writes_nothing(path: Path) -> None:
    with LogStore.create(path) as store:
        commit(store, 0, 3)
    before = path.read_bytes()
    with LogStore.read(path) as reader:
        with pytest.raises(StoreError):
            commit(reader, 3, 1)
        assert reader.count() == 3
    assert path.read_bytes() == before


@pytest.mark.parametrize("synced", [True, False])
def test_a_writer_that_ends_leaves_one_file(path: Path, synced: bool) -> None:
    with LogStore.create(path, synced=synced) as store:
        commit(store, 0, 2000)
        assert wal_of(path).stat().st_size > 0
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with LogStore.read(path) as reader:
        assert reader.count() == 2000


def test_a_reader_that_stays_open_does_not_keep_the_write_ahead_log(path: Path) -> None:
    store = LogStore.create(path)
    with LogStore.read(path) as reader:
        commit(store, 0, 2000)
        assert reader.count() == 2000
        store.close()
        assert wal_of(path).stat().st_size == 0
        assert reader.count() == 2000
        assert next(reader.rows(1999)).body == b"body 1999"


def test_a_reader_amid_a_query_delays_the_end_and_loses_nothing(path: Path) -> None:
    store = LogStore.create(path)
    with LogStore.read(path) as reader:
        commit(store, 0, 50)
        rows = reader.rows()
        next(rows)
        commit(store, 50, 50)
        started = time.monotonic()
        store.close()
        assert time.monotonic() - started < 5
        assert [row.index for row in rows] == list(range(1, 50))
        assert reader.count() == 100
    with LogStore.create(path) as again:
        assert again.count() == 100
    assert not wal_of(path).exists()


def test_closing_twice_is_harmless(path: Path) -> None:
    store = LogStore.create(path)
    store.close()
    store.close()


def test_no_log_is_said_with_its_mend(path: Path) -> None:
    with pytest.raises(StoreError, match=r"log\.sqlite: there is no log here") as raised:
        LogStore.read(path)
    assert raised.value.mend
    assert not path.parent.exists()


def a_text(path: Path) -> None:
    path.write_text("a table of contents, and no database\n" * 40, encoding="utf-8")


def another_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
        connection.commit()


def a_later_version(path: Path) -> None:
    with LogStore.create(path) as store:
        commit(store, 0, 1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")


def a_header_with_a_flipped_bit(path: Path) -> None:
    with LogStore.create(path) as store:
        commit(store, 0, 1)
    flip(path, 68)  # within the application id (SQLite file format, section 1.3)


@pytest.mark.parametrize("make", [a_text, another_database, a_later_version, a_header_with_a_flipped_bit])
def test_a_foreign_file_is_named_and_left_as_it_is(path: Path, make: Callable[[Path], None]) -> None:
    path.parent.mkdir()
    make(path)
    before = path.read_bytes()
    for open_ in (LogStore.read, LogStore.create):
        with pytest.raises(StoreError, match=r"log\.sqlite: ") as raised:
            open_(path)
        assert raised.value.mend
        assert path.read_bytes() == before
        assert not wal_of(path).exists() or wal_of(path).stat().st_size == 0


def test_a_damaged_log_is_named(path: Path) -> None:
    with LogStore.create(path) as store:
        commit(store, 0, 2000)
    whole = path.read_bytes()
    damaged = (
        whole[: len(whole) // 2],
        whole[:8192] + bytes(len(whole) - 8192),
        whole[:8192] + b"\xff" * (len(whole) - 8192),
    )
    for data in damaged:
        path.write_bytes(data)
        for read in (lambda store: list(store.rows()), LogStore.snapshot):
            with pytest.raises(StoreError, match=r"log\.sqlite: ") as raised, LogStore.read(path) as store:
                read(store)
            assert raised.value.mend
    path.write_bytes(whole)
    with LogStore.read(path) as store:
        assert store.count() == len(list(store.rows())) == 2000


def test_a_place_that_cannot_hold_a_log_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "log.sqlite", tmp_path / "folder"):
        with pytest.raises(StoreError, match=path.name):
            LogStore.create(path)


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)
