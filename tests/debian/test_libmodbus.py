"""Modbus clients of Debian, libmodbus and mbpoll: what one writes the other reads back, and refusals are what they are.

The server is a process of its own; its inputs mirror what is written, a scan later. `make judges` runs this.
"""

import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.debian.libmodbus import build
from tests.fieldbus.processes import Served, served

COILS, REGISTERS, HIGHEST = 40, 125, 40_000
PATIENCE_S = 10.0
TABLES = {1: "0", 2: "1", 3: "4", 4: "3"}
"""mbpoll's names of the tables, by the function that reads them."""

pytestmark = pytest.mark.judges


class LibModbus:
    """Our client over libmodbus."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, function: int | str, *given: int | str) -> str:
        """What libmodbus says."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join(map(str, (function, *given))) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().rstrip("\n")

    def read(self, function: int, address: int, count: int) -> list[int]:
        said, *values = self.ask(function, address, count).split()
        assert said == "ok"
        return [int(value) for value in values]


class MbPoll:
    """mbpoll, once for each request."""

    def __init__(self, port: int) -> None:
        self._port = port

    def run(self, function: int, address: int, *more: str, unit: int = 1) -> subprocess.CompletedProcess[str]:
        options = ("-m", "tcp", "-q", "-1", "-0", "-o", "5", "-p", str(self._port), "-a", str(unit))
        place = ("-t", TABLES[function], "-r", str(address))
        command = ("mbpoll", *options, *place, *more)
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    def read(self, function: int, address: int, count: int) -> list[int]:
        done = self.run(function, address, "-c", str(count), "127.0.0.1")
        assert done.returncode == 0, done.stderr
        lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
        # From 32768 on it adds the number with a sign: "40000 (-25536)".
        return [int(line.partition(":")[2].split()[0]) for line in lines]

    def write(self, function: int, address: int, values: Sequence[int]) -> None:
        done = self.run(function, address, "127.0.0.1", *map(str, values))
        assert done.returncode == 0, done.stderr
        assert f"Written {len(values)} references." in done.stdout


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served("serve_modbus.py", "mirror") as server:
        yield server


@pytest.fixture
def mbpoll(server: Served) -> MbPoll:
    return MbPoll(server.port)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("client", tmp_path_factory.mktemp("client"))


@pytest.fixture
def libmodbus(server: Served, client: Path) -> Iterator[LibModbus]:
    pipe = subprocess.PIPE
    with subprocess.Popen([str(client), str(server.port)], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield LibModbus(process)
            _, errors = process.communicate(timeout=10)
        finally:
            process.kill()
    assert (process.returncode, errors) == (0, "")


def shows(judge: LibModbus | MbPoll, function: int, address: int, values: Sequence[int]) -> None:
    """Wait until the judge reads these values: a write takes effect in the next scan."""
    deadline = time.monotonic() + PATIENCE_S
    while (read := judge.read(function, address, len(values))) != list(values):
        assert time.monotonic() < deadline, (read, values)


def both(written: int, shown: int, address: int, values: Sequence[int], judges: Sequence[LibModbus | MbPoll]) -> None:
    """Each judge reads the values, where they were written and where they are mirrored."""
    for judge in judges:
        for function in (written, shown):
            shows(judge, function, address, values)


def test_what_libmodbus_writes_mbpoll_reads(libmodbus: LibModbus, mbpoll: MbPoll) -> None:
    judges = (mbpoll, libmodbus)
    for value in (1, 0):
        assert libmodbus.ask(5, 17, value) == "ok"
        both(1, 2, 17, [value], judges)
    bits = [at % 3 == 0 for at in range(19)]
    assert libmodbus.ask(15, 5, *map(int, bits)) == "ok"
    both(1, 2, 5, bits, judges)
    assert libmodbus.ask(6, 124, HIGHEST) == "ok"
    both(3, 4, 124, [HIGHEST], judges)
    words = [(at * 317) % HIGHEST for at in range(123)]
    assert libmodbus.ask(16, 0, *words) == "ok"
    both(3, 4, 0, words, judges)
    # Bits 4 to 7 of 0x1234 become those of 0x0050.
    assert libmodbus.ask(6, 9, 0x1234) == "ok"
    assert libmodbus.ask(22, 9, 0xFF0F, 0x0050) == "ok"
    both(3, 4, 9, [0x1254], judges)
    # The write comes before the read: its values stand in the answer.
    assert libmodbus.ask(23, 9, 4, 10, 5, 6, 7) == f"ok {0x1254} 5 6 7"
    both(3, 4, 10, [5, 6, 7], judges)


def test_what_mbpoll_writes_libmodbus_reads(libmodbus: LibModbus, mbpoll: MbPoll) -> None:
    judges = (libmodbus, mbpoll)
    for value in (1, 0):
        mbpoll.write(1, 3, [value])
        both(1, 2, 3, [value], judges)
    bits = [at % 2 for at in range(COILS)]
    mbpoll.write(1, 0, bits)
    both(1, 2, 0, bits, judges)
    mbpoll.write(3, 77, [11])
    both(3, 4, 77, [11], judges)
    words = list(range(100, 160))
    mbpoll.write(3, 30, words)
    both(3, 4, 30, words, judges)


FUNCTION, ADDRESS, VALUE, UNIT = (
    "Illegal function",
    "Illegal data address",
    "Illegal data value",
    "Target device failed to respond",
)


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        *(
            pytest.param(f"raw {function:02x} 00 00", FUNCTION, id=f"function {function}")
            for function in (7, 8, 20, 0x55)
        ),
        *(pytest.param(f"{read} {end} 1", ADDRESS, id=f"{read} behind the end") for read, end in ((1, 40), (2, 40))),
        *(pytest.param(f"{read} {end} 2", ADDRESS, id=f"{read} across the end") for read, end in ((3, 124), (4, 124))),
        pytest.param("5 40 1", ADDRESS, id="5 behind the end"),
        pytest.param("6 125 1", ADDRESS, id="6 behind the end"),
        pytest.param("15 39 1 1", ADDRESS, id="15 across the end"),
        pytest.param("16 124 1 1", ADDRESS, id="16 across the end"),
        pytest.param("22 125 0 0", ADDRESS, id="22 behind the end"),
        pytest.param("23 0 1 124 1 1", ADDRESS, id="23 writes across the end"),
        pytest.param("23 124 2 0 1", ADDRESS, id="23 reads across the end"),
        *(pytest.param(f"raw {read:02x} 00 00 00 00", VALUE, id=f"{read} of none") for read in (1, 2, 3, 4)),
        *(pytest.param(f"raw {read:02x} 00 00 07 d1", VALUE, id=f"{read} of 2001") for read in (1, 2)),
        *(pytest.param(f"raw {read:02x} 00 00 00 7e", VALUE, id=f"{read} of 126") for read in (3, 4)),
        pytest.param("raw 05 00 00 12 34", VALUE, id="5 neither on nor off"),
        pytest.param("raw 0f 00 00 00 00 00", VALUE, id="15 of none"),
        pytest.param("raw 0f 00 00 00 09 01 ff", VALUE, id="15 with a byte too few"),
        pytest.param("raw 10 00 00 00 00 00", VALUE, id="16 of none"),
        pytest.param("raw 10 00 00 00 02 02 00 01", VALUE, id="16 with a register too few"),
        pytest.param("raw 17 00 00 00 7e 00 00 00 01 02 00 01", VALUE, id="23 reads 126"),
        pytest.param("raw 17 00 00 00 01 00 00 00 00 00", VALUE, id="23 writes none"),
        pytest.param(f"6 0 {HIGHEST + 1}", VALUE, id="6 out of range"),
        pytest.param(f"16 0 1 {HIGHEST + 1}", VALUE, id="16 out of range"),
        pytest.param(f"22 0 0 {HIGHEST + 1}", VALUE, id="22 out of range"),
        pytest.param(f"23 0 1 0 {HIGHEST + 1}", VALUE, id="23 out of range"),
    ],
)
def test_libmodbus_is_refused_and_nothing_is_changed(libmodbus: LibModbus, request_: str, says: str) -> None:
    assert libmodbus.ask(6, 0, 1234) == "ok"
    assert libmodbus.ask(5, 0, 1) == "ok"
    shows(libmodbus, 4, 0, [1234])
    shows(libmodbus, 2, 0, [1])
    before = libmodbus.read(3, 0, REGISTERS), libmodbus.read(1, 0, COILS)
    assert libmodbus.ask(*request_.split()) == f"error {says}"
    # The twin of it, on the same connection: what was refused left no trace in the scan that a later write shows in.
    assert libmodbus.ask(6, 60, before[0][60] ^ 1) == "ok"
    shows(libmodbus, 4, 60, [before[0][60] ^ 1])
    before[0][60] ^= 1
    assert (libmodbus.read(3, 0, REGISTERS), libmodbus.read(1, 0, COILS)) == before


@pytest.mark.parametrize("request_", ["1 0 1", "2 0 1", "3 0 1", "4 0 1", "5 0 1", "6 0 1", "16 0 1 1", "22 0 1 1"])
def test_another_unit_does_not_answer(libmodbus: LibModbus, request_: str) -> None:
    assert libmodbus.ask("unit", 9) == "ok"
    assert libmodbus.ask(*request_.split()) == f"error {UNIT}"
    assert libmodbus.ask("unit", 1) == "ok"
    assert libmodbus.ask(*request_.split()).startswith("ok")


def test_mbpoll_says_what_was_refused(mbpoll: MbPoll) -> None:
    refused = {
        ADDRESS: mbpoll.run(3, 125, "-c", "1", "127.0.0.1"),
        VALUE: mbpoll.run(3, 0, "127.0.0.1", str(HIGHEST + 1)),
        UNIT: mbpoll.run(3, 0, "-c", "1", "127.0.0.1", unit=9),
    }
    for says, done in refused.items():
        assert done.returncode == 1
        assert says in done.stderr
    assert mbpoll.run(3, 0, "-c", "1", "127.0.0.1").returncode == 0
