"""A file of lines: what was acknowledged is there after a kill, a torn line does not count, and there is one writer."""

import subprocess
import sys
from pathlib import Path

import pytest

from testbed.core.errors import StoreError
from testbed.store.lines import LineFile

# Writes lines without end, and says each number once `append` has returned.
WRITER = """
import sys
from pathlib import Path
from testbed.store.lines import LineFile

file = LineFile.create(Path(sys.argv[1]))
for number in range(10**9):
    file.append(b"line %d\\n" % number)
    print(number, flush=True)
"""


def resumed(path: Path) -> tuple[LineFile, list[bytes]]:
    found = LineFile.resume(path)
    assert found is not None
    return found


def test_a_killed_writer_leaves_every_line_that_it_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(20)]
        assert LineFile.resume(path) is None  # it lives
        writer.kill()
        said += writer.stdout.readlines()
    file, lines = resumed(path)
    file.close()
    assert lines == [b"line %d" % number for number in range(len(lines))]
    assert len(lines) >= len([text for text in said if text.endswith("\n")])


@pytest.mark.parametrize("torn", [b"t", b'{"half":', b"\x00"])
def test_a_torn_line_is_cut_off_and_the_file_goes_on(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntwo\n" + torn)
    file, lines = resumed(path)
    assert lines == [b"one", b"two"]
    file.append(b"three\n")
    file.close()
    file.close()
    assert path.read_bytes() == b"one\ntwo\nthree\n"


def test_a_file_is_not_begun_over_another_and_has_one_writer(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    first = LineFile.create(path)
    with pytest.raises(StoreError, match="lines: not begun"):
        LineFile.create(path)
    assert LineFile.resume(path) is None
    first.close()
    file, lines = resumed(path)
    file.close()
    assert lines == []
