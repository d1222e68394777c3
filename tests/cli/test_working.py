"""A long check shows how far it is: a bar on a terminal, lines of text elsewhere, and neither where it is short."""

import os
import subprocess
import sys

import pytest

from testbed.cli.working import Lines, working

PROGRAM = """
from testbed.cli.working import working
with working(1) as work:
    for part in range(4):
        work.told("records of a/b", part, 4)
"""


def test_lines_come_when_it_is_time_for_them(capsys: pytest.CaptureFixture[str]) -> None:
    for every_s, shown in ((0.0, "records of a/b: 1 of 4 parts\nrecords of a/b: 2 of 4 parts\n"), (3600.0, "")):
        lines = Lines(every_s)
        lines.tell("records of a/b", 1, 4)
        lines.tell("records of a/b", 2, 4)
        out, err = capsys.readouterr()
        assert (out, err) == ("", shown)


def test_a_short_check_says_nothing_and_nobody_helps(capsys: pytest.CaptureFixture[str]) -> None:
    with working(None) as work:
        work.told("records of a/b", 0, 1)
        assert work.crew.count >= 1
        assert work.crew.pids == []
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_a_bar_and_a_program_that_reads_the_answer_does_not() -> None:
    ours, theirs = os.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    try:
        command = (sys.executable, "-c", PROGRAM)
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, env=environment, check=True)
        shown = os.read(ours, 1 << 16).decode()
    finally:
        os.close(theirs)
        os.close(ours)
    assert done.stdout == b""
    assert "records of a/b" in shown
    assert "75%" in shown
