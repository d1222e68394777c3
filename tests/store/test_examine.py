"""A log is examined without a trace beside it, whatever its writer is doing, and also from a read-only medium."""

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from testbed.core.entry import Row
from testbed.core.errors import StoreError
from testbed.store.sqlite import LogStore

Tree = dict[str, tuple[bytes, int]]


def commit(store: LogStore, first: int, count: int) -> int:
    rows = [Row(n, b"entry %d" % n, bytes(16), b"body %d" % n * 50) for n in range(first, first + count)]
    store.append(rows, first + count, b"note %d" % (first + count))
    return first + count


def tree(folder: Path) -> Tree:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "log").mkdir()
    return tmp_path / "log" / "log.sqlite"


def closed(path: Path) -> int:
    with LogStore.create(path) as store:
        commit(store, 0, 7)
    assert [file.name for file in path.parent.iterdir()] == ["log.sqlite"]
    return 7


def killed(path: Path) -> int:
    """What a killed writer leaves: the newest records are in the write-ahead log only."""
    with LogStore.create(path.with_name("running")) as store:
        commit(store, 0, 7)
        for end in ("", "-wal"):
            shutil.copy(path.with_name(f"running{end}"), path.with_name(f"log.sqlite{end}"))
    path.with_name("running").unlink()
    assert path.with_name("log.sqlite-wal").stat().st_size > 0
    return 7


def emptied(path: Path) -> int:
    """An empty write-ahead log, as it stays where a reader was longer there than the writer."""
    closed(path)
    path.with_name("log.sqlite-wal").touch()
    return 7


@pytest.mark.parametrize("left", [closed, killed, emptied])
def test_what_a_writer_left_is_read_and_nothing_is_made(path: Path, left: Callable[[Path], int]) -> None:
    size = left(path)
    before = tree(path.parent)
    with LogStore.examine(path) as store:
        rows, notes = store.snapshot()
        assert store.latest_checkpoint() == (size, b"note %d" % size)
        assert tree(path.parent) == before
    assert ([row.index for row in rows], notes) == (list(range(size)), [(size, b"note %d" % size)])
    assert tree(path.parent) == before


def test_a_running_writer_is_read_up_to_its_last_commit(path: Path) -> None:
    with LogStore.create(path) as writer:
        size = commit(writer, 0, 5)
        before = tree(path.parent)
        with LogStore.examine(path) as store:
            assert len(store.snapshot()[0]) == size
            commit(writer, size, 3)
            assert len(store.snapshot()[0]) == size, "as it stood when it was opened"
        assert set(tree(path.parent)) == set(before)
        with LogStore.examine(path) as store:
            assert len(store.snapshot()[0]) == size + 3


def test_whole_commits_are_seen_while_a_writer_is_busy(path: Path) -> None:
    closed(path)
    stop = threading.Event()

    def write() -> None:
        with LogStore.create(path) as store:
            size = 7
            while not stop.is_set():
                size = commit(store, size, 1 + size % 90)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        sizes: set[int] = set()
        deadline = time.monotonic() + 30
        while len(sizes) < 12 and time.monotonic() < deadline and writer.is_alive():
            try:
                with LogStore.examine(path) as store:
                    rows, notes = store.snapshot()
            except StoreError as error:
                assert "a writer changed it while it was read" in error.problem  # noqa: PT017  # it may be so busy
                continue
            assert [row.index for row in rows] == list(range(len(rows)))
            assert len(rows) == notes[-1][0]
            sizes.add(len(rows))
    finally:
        stop.set()
        writer.join()
    assert len(sizes) >= 12


def test_a_writer_that_came_meanwhile_is_noticed(path: Path) -> None:
    size = closed(path)
    with LogStore.examine(path) as store:
        with LogStore.create(path) as writer:
            commit(writer, size, 1)
        with pytest.raises(StoreError, match="a writer changed it while it was read"):
            store.snapshot()


def test_what_is_no_log_is_refused_and_left_alone(path: Path) -> None:
    with pytest.raises(StoreError, match="there is no log here"):
        LogStore.examine(path)
    path.write_bytes(b"no database" * 100)
    for wal in (b"", b"no write-ahead log"):
        path.with_name("log.sqlite-wal").write_bytes(wal)
        before = tree(path.parent)
        with pytest.raises(StoreError, match="SQLite cannot read the log"):
            LogStore.examine(path)
        assert tree(path.parent) == before
