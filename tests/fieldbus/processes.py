"""Servers in processes of their own, floods of idle connections, and what a process holds."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MIB = 2**20
MOST_GROWTH = 10 * MIB
"""Bytes by which a server may grow under whatever strangers send."""
SOON = 1.0
"""Seconds within which each answer comes meanwhile."""

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the memory of another process is read from /proc"
)


def resident(pid: int) -> int:
    """Bytes of memory that a process holds now (proc(5), VmRSS)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


@dataclass(frozen=True, slots=True)
class Served:
    """A server in a process of its own."""

    port: int
    pid: int

    def open_files(self) -> int:
        """Its files, connections among them."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))


@contextmanager
def served(program: str, *arguments: str) -> Iterator[Served]:
    """`program` of this folder, which prints its port and ends when its input does.

    Fails where it has ended before, ends with another code than 0, or says anything on its standard error.
    """
    command = (sys.executable, str(HERE / program), *arguments)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        try:
            yield Served(int(process.stdout.readline()), process.pid)
            assert process.poll() is None, "the server has ended"
            _, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, errors.decode()) == (0, "")


@dataclass(frozen=True, slots=True)
class Flood:
    """Connections of another process. connected: done once they have all been made."""

    connected: "asyncio.Task[bytes]"


@asynccontextmanager
async def flooded(port: int, count: int, said: bytes) -> AsyncIterator[Flood]:
    """`count` connections that say `said` and no more; they are closed at the end."""
    pipe = asyncio.subprocess.PIPE
    arguments = (str(HERE / "flood.py"), str(port), str(count), said.hex())
    flood = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=pipe, stdout=pipe)
    assert flood.stdin is not None
    assert flood.stdout is not None
    connected = asyncio.ensure_future(flood.stdout.readline())
    try:
        yield Flood(connected)
        assert await connected == b"connected\n"
        flood.stdin.close()
        assert await flood.wait() == 0
    finally:
        if flood.returncode is None:
            flood.kill()
            await flood.wait()
