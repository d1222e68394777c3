"""What is erased is gone from the files: neither database nor write-ahead log holds a byte of it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.entry import Row
from testbed.core.errors import StoreError
from testbed.store.sqlite import LogStore


def row(index: int) -> Row:
    """A record of some hundred bytes that stand nowhere else."""
    return Row(index, f"entry {index:06}".encode(), f"salt of {index:08}".encode(), f"<body {index:06}>".encode() * 20)


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


def written(path: Path, count: int) -> LogStore:
    store = LogStore.create(path)
    for size in range(0, count, 7):
        store.append([row(index) for index in range(size, min(size + 7, count))], min(size + 7, count), b"note")
    return store


@pytest.mark.parametrize("reopened", [False, True])
def test_salt_and_body_are_gone_from_every_file(tmp_path: Path, *, reopened: bool) -> None:
    gone = [0, 17, 18, 250, 299]
    store = written(tmp_path / "log.sqlite", 300)
    before = bytes_of(tmp_path)
    if reopened:
        store.close()
        store = LogStore.create(tmp_path / "log.sqlite")
    assert all(row(index).salt in before for index in gone)
    store.erase(gone)
    while_open = bytes_of(tmp_path)
    store.close()
    for files in (while_open, bytes_of(tmp_path)):
        for index in range(300):
            found = (row(index).salt in files, f"<body {index:06}>".encode() in files)
            assert found == ((False, False) if index in gone else (True, True)), index
    with LogStore.read(tmp_path / "log.sqlite") as reader:
        for one in reader.rows():
            right = row(one.index)
            assert one == (Row(right.index, right.entry, b"", None) if one.index in gone else right)
        assert len(list(reader.checkpoints())) == 43


@given(st.lists(st.sets(st.integers(0, 79)), max_size=4))
def test_what_is_not_erased_stays(erased: list[set[int]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name, written(Path(name) / "log.sqlite", 80) as store:
        for some in erased:
            store.erase(some)
            store.erase(())
        gone = set().union(*erased)
        assert [one.body for one in store.rows()] == [None if index in gone else row(index).body for index in range(80)]
        store.append([row(80)], 81, b"note")


def test_it_is_not_called_erased_while_somebody_reads(tmp_path: Path) -> None:
    with written(tmp_path / "log.sqlite", 20) as store:
        with closing(sqlite3.connect(tmp_path / "log.sqlite", isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM records").fetchone()
            store._connection.execute("PRAGMA busy_timeout = 50")
            with pytest.raises(StoreError, match="not erased"):
                store.erase([3])
        store.erase([3])
        assert row(3).salt not in bytes_of(tmp_path)


def test_one_changed_byte_more_would_be_found(tmp_path: Path) -> None:
    """The search sees what it looks for: without the new file a page keeps what was in it."""
    with written(tmp_path / "log.sqlite", 20) as store:
        store._connection.execute("UPDATE records SET body = NULL, salt = x'' WHERE idx = 3")
        assert row(3).salt in bytes_of(tmp_path)
