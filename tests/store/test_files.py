"""Files that a reader sees whole or not at all."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from testbed.core.errors import StoreError
from testbed.store.files import growing, write_atomic, write_new

# Replaces a file while the system lets no file grow beyond 10 kB; then again without that limit.
REFUSED = """
import resource, sys
from pathlib import Path
from testbed.core.errors import StoreError
from testbed.store.files import write_atomic

path, durable = Path(sys.argv[1]), sys.argv[2] == "durable"
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
try:
    write_atomic(path, b"new" * 20_000, durable=durable)
except StoreError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
assert path.read_bytes() == b"old", "the old file was touched"
assert [file.name for file in path.parent.iterdir()] == [path.name], "something was left behind"
write_atomic(path, b"new" * 20_000, durable=durable)
"""


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_written_and_replaced(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "tile" / "0" / "x001" / "000"
    for data in (b"first", b"", b"third" * 10_000):
        write_atomic(path, data, durable=durable)
        assert path.read_bytes() == data
        assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_reader_never_sees_a_torn_file(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    contents = [bytes([65 + n]) * (n * 70_000) for n in range(4)]
    write_atomic(path, contents[0])
    done = threading.Event()

    def write() -> None:
        for n in range(400):
            write_atomic(path, contents[n % 4])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen: set[int] = set()
    reads = 0
    while not done.is_set() or reads < 100:
        data = path.read_bytes()
        assert data in contents
        seen.add(len(data))
        reads += 1
    writer.join()
    assert len(seen) > 1


@pytest.mark.parametrize("durable", ["durable", "derived"])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, durable: str) -> None:
    path = tmp_path / "checkpoint"
    path.write_bytes(b"old")
    command = [sys.executable, "-c", REFUSED, str(path), durable]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f"{path}: not written: ")
    assert "mend: " in ended.stdout
    assert path.read_bytes() == b"new" * 20_000


def test_a_place_that_cannot_hold_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"kept")
    (tmp_path / "folder" / "within").mkdir(parents=True)
    for path in (tmp_path / "file" / "name", tmp_path / "folder"):
        with pytest.raises(StoreError, match=path.name):
            write_atomic(path, b"new")
    assert (tmp_path / "file").read_bytes() == b"kept"
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["file", "folder", "within"]


def test_a_new_file_is_written_whole_and_never_over_another(tmp_path: Path) -> None:
    path = tmp_path / "trust.toml"
    write_new(path, b"mine")
    with pytest.raises(FileExistsError):
        write_new(path, b"another")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("trust.toml", b"mine")]
    with pytest.raises(FileNotFoundError):
        write_new(tmp_path / "absent" / "trust.toml", b"mine")


def test_a_new_file_has_no_name_before_it_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trust.toml"

    def refuse(_: int) -> None:
        assert not path.exists()
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="Input/output error"):
        write_new(path, b"mine")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_grows_piece_by_piece_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "states.csv"

    def broken_off() -> None:
        with growing(path) as aside:
            aside.write_bytes(b"half of")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert list(tmp_path.iterdir()) == []
    with growing(path) as aside:
        aside.write_bytes(b"all of it")
        assert not path.exists()
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("states.csv", b"all of it")]
    with pytest.raises(FileExistsError), growing(path) as aside:
        aside.write_bytes(b"another")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("states.csv", b"all of it")]
