"""What a role prints: its file has a bound, and its last words are known when it dies, also on a full disk."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from testbed.rig.output import CappedFile, RoleOutput, last_words

LINE = {"timestamp": "2026-11-25T00:00:00Z", "level": "info", "bench": "b", "role": "r"}
RAISED = "Traceback (most recent call last):\n  File ...\nZeroDivisionError: division by zero"

WORDS = {
    "nothing": ("", ""),
    "only blank lines": ("\n \n\n", ""),
    "a plain line": ("starting\nlistening on 5020\n", "listening on 5020"),
    "an error with its mend": ("error: a.sqlite: no log here\n  mend: start it once\n", "a.sqlite: no log here"),
    "the last of two errors": ("error: one\nerror: two\n", "two"),
    "an error before other lines": ("error: one\nclosing\n", "one"),
    "a line of JSON": (json.dumps({**LINE, "event": "role starts"}), "role starts"),
    "a JSON error before others": (
        json.dumps({**LINE, "level": "critical", "event": "the disk is full"})
        + "\n"
        + json.dumps({**LINE, "event": "x"}),
        "the disk is full",
    ),
    "a JSON warning is no error": (
        json.dumps({**LINE, "level": "error", "event": "one"})
        + "\n"
        + json.dumps({**LINE, "level": "warning", "event": "two"}),
        "one",
    ),
    "a plain error after a JSON one": (
        json.dumps({**LINE, "level": "error", "event": "one"}) + "\nerror: two\n",
        "two",
    ),
    "what was raised": (
        json.dumps({**LINE, "level": "critical", "event": "the role broke", "exception": RAISED}),
        "the role broke: ZeroDivisionError: division by zero",
    ),
    "a plain traceback": (RAISED, "ZeroDivisionError: division by zero"),
    "JSON that is no record": ("[1, 2]\n", "[1, 2]"),
    "JSON without an event": ('{"level": "error"}\n', '{"level": "error"}'),
    "an error that is long past": ("error: one\n" + "later\n" * 20, "later"),
    "line breaks": (json.dumps({**LINE, "level": "error", "event": "one\n two"}), "one two"),
    "very deep JSON": ("[" * 100_000, "[" * 400),
}


@pytest.mark.parametrize("name", WORDS)
def test_last_words(name: str) -> None:
    printed, words = WORDS[name]
    assert last_words(printed.encode()) == words


def test_last_words_that_are_no_text() -> None:
    assert last_words(b"\xff\xfe") == "\N{REPLACEMENT CHARACTER}" * 2


def test_a_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "role" / "output.log"
    file = CappedFile(path, most=100)
    for number in range(1000):
        file.write(b"line %04d\n" % number)
    file.close()
    old, new = path.with_name("output.log.1"), path
    assert (old.stat().st_size, new.stat().st_size) == (100, 100)
    assert new.read_bytes().endswith(b"line 0999\n")
    assert old.read_bytes().endswith(b"line 0989\n"), "nothing between the two is missing"
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["output.log", "output.log.1"]


def test_a_file_that_is_there_counts(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    path.write_bytes(b"x" * 90)
    file = CappedFile(path, most=100)
    file.write(b"y" * 10)
    assert path.stat().st_size == 100
    file.close()
    file = CappedFile(path, most=100)
    file.write(b"z" * 1000)  # more than fits is written whole
    file.close()
    assert (path.with_name("output.log.1").stat().st_size, path.stat().st_size) == (100, 1000)


def test_a_disk_that_refuses_raises_nothing_and_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    path.symlink_to("/dev/full")
    file = CappedFile(path)
    file.write(b"lost\n")
    path.unlink()
    file.write(b"kept\n")
    (tmp_path / "folder").touch()
    CappedFile(tmp_path / "folder" / "output.log").write(b"lost\n")
    file.close()
    assert path.read_bytes() == b"kept\n"


async def printed_by(code: str, file: CappedFile) -> str:
    """Last words of a Python program."""
    output = RoleOutput(file)
    descriptor = await output.open()
    try:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=descriptor, stderr=descriptor)
    finally:
        os.close(descriptor)
    await process.wait()
    return await output.finish()


async def test_a_process_is_heard_out(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    words = await printed_by("print('x' * 50_000); raise SystemExit('error: no more')", CappedFile(path))
    assert words == "no more"
    assert path.read_bytes() == b"x" * 50_000 + b"\nerror: no more\n"


async def test_a_full_disk_can_be_told(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    path.symlink_to("/dev/full")
    assert await printed_by("raise SystemExit('error: no room')", CappedFile(path)) == "no room"


async def test_a_grandchild_that_holds_the_pipe_is_not_waited_for(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    code = (
        "import os, sys\n"
        f"if os.fork() == 0: os.read({ours}, 1); os._exit(0)\n"
        "print('error: gone', flush=True); os._exit(1)"
    )
    output = RoleOutput(CappedFile(tmp_path / "output.log"))
    descriptor = await output.open()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, stdout=descriptor, stderr=descriptor, pass_fds=(ours,)
        )
        await process.wait()
        async with asyncio.timeout(20):
            assert await output.finish() == "gone"
    finally:
        for one in (descriptor, ours, theirs):
            os.close(one)


def _fill(descriptor: int) -> None:
    for _ in range(10_000):
        os.write(descriptor, b"x" * 4096)


async def test_who_prints_does_not_wait_for_a_listener_that_is_held_up(tmp_path: Path) -> None:
    output = RoleOutput(CappedFile(tmp_path / "output.log"))
    descriptor = await output.open()
    try:
        # Nobody listens while this loop is busy: the pipe fills, and writing is refused and not waited for.
        with pytest.raises(BlockingIOError):
            _fill(descriptor)
    finally:
        os.close(descriptor)
    assert await output.finish() == "x" * 400
