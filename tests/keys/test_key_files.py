"""Key files: only their owner reads them, and nobody overwrites them."""

import os
import stat
from pathlib import Path

import pytest

from testbed.core.errors import InvalidData, UsageError
from testbed.keys.files import read_secret, write_secret

SECRET = bytes(range(32))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_key_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "data" / "gateway" / "key"
    write_secret(path, SECRET)
    assert read_secret(path) == SECRET


def test_only_the_owner_gets_at_it_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "data" / "gateway" / "key"
    before = os.umask(0)
    try:
        write_secret(path, SECRET)
    finally:
        os.umask(before)
    assert mode(path) == 0o600
    assert mode(path.parent) == mode(path.parent.parent) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_secret(path, SECRET)
    with pytest.raises(UsageError, match="there already"):
        write_secret(path, bytes(32))
    assert read_secret(path) == SECRET
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_is_32_bytes(tmp_path: Path, length: int) -> None:
    path = tmp_path / "key"
    with pytest.raises(InvalidData):
        write_secret(path, bytes(length))
    assert not path.exists()
    path.write_bytes(bytes(length))
    path.chmod(0o600)
    with pytest.raises(UsageError, match="32 bytes"):
        read_secret(path)


def test_a_missing_key_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        read_secret(tmp_path / "key")
    assert "testbed init" in raised.value.mend


@pytest.mark.parametrize("open_to_others", [0o640, 0o604, 0o620, 0o601, 0o644, 0o777])
def test_a_key_that_others_can_get_at_is_refused(tmp_path: Path, open_to_others: int) -> None:
    path = tmp_path / "key"
    write_secret(path, SECRET)
    path.chmod(open_to_others)
    with pytest.raises(UsageError) as raised:
        read_secret(path)
    assert raised.value.mend == f"chmod 600 {path}"
    path.chmod(0o600)
    assert read_secret(path) == SECRET


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "folder").mkdir(mode=0o700)
    for name in ("pipe", "folder"):
        with pytest.raises(UsageError, match="not a file"):
            read_secret(tmp_path / name)
