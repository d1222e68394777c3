"""`testbed up` on a terminal: the live table, and Ctrl-C."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.flow.live.conftest import LiveBench, MakeBench


def test_the_live_table_and_ctrl_c(make_bench: MakeBench, recorded: LiveBench) -> None:
    bench = make_bench("bench", recorded)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _ON_TERMINAL, "up", "--bench", str(bench.file)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "140", "LINES": "40"},
    )
    os.close(theirs)
    try:
        shown = _read_until(ours, ", anchors ")
        for role in ("plc", "chain", "gateway", "reader", "twin", "anchor"):
            assert role in shown
        assert "Ctrl-C stops it" in shown
        os.write(ours, b"\x03")
        shown = _read_until(ours, "stopped; everything is in")
        assert process.wait(timeout=30) == 0
        assert "Traceback" not in shown
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(ours)
    bench.genuine()


# A terminal belongs to a session's first process once that process asks for it.
_ON_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "testbed.cli.main", *sys.argv[1:]])
"""


def _read_until(terminal: int, text: str) -> str:
    shown, deadline = b"", time.monotonic() + 60
    while text.encode() not in shown:
        assert time.monotonic() < deadline, shown[-2000:].decode(errors="replace")
        if select.select([terminal], [], [], 1.0)[0]:
            shown += os.read(terminal, 65_536)
    return shown.decode(errors="replace")
