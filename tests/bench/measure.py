"""What the measurements share: taking turns with a peer, servers in processes of their own, processor time, tables.

A shared machine has its moods, so a rate by itself says little. Ours and the peer are measured in turn, and what counts
is the median over the rounds of their ratio.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.core.tags import DataType, ModbusAddress, ModbusTable, Tag

ROUNDS = 11
SERVE = Path(__file__).with_name("serve.py")

Measure = Callable[[], float]
"""Measures once; a rate, per second."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Medians of two rates, and the median, least and most of ours / peer in one round."""

    peer: float
    ours: float
    ratio: float
    least: float
    most: float

    def cells(self) -> tuple[str, str, str]:
        """Peer, ours and ratio, for a table."""
        return f"{self.peer:,.0f}/s", f"{self.ours:,.0f}/s", f"{self.ratio:.2f} ({self.least:.2f}..{self.most:.2f})"


def compare(peer: Measure, *ours: Measure, rounds: int = ROUNDS) -> list[Compared]:
    """The peer and each of ours, once a round, in turn. One round before that is not counted."""
    taken = [[measure() for measure in (peer, *ours)] for _ in range(rounds + 1)][1:]
    first, *others = zip(*taken, strict=True)
    return [of(first, other) for other in others]


def of(peer: Sequence[float], ours: Sequence[float]) -> Compared:
    """Rates that were measured in turn."""
    ratios = [new / old for old, new in zip(peer, ours, strict=True)]
    return Compared(
        statistics.median(peer), statistics.median(ours), statistics.median(ratios), min(ratios), max(ratios)
    )


def table(*rows: Sequence[str]) -> None:
    """Print rows as columns, the first to the left and the others to the right; the first row is the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        print("  ".join(cells).rstrip())


@dataclass(frozen=True, slots=True)
class Server:
    """A server in a process of its own."""

    port: int
    pid: int


@contextmanager
def serving(program: Path, *arguments: str) -> Iterator[Server]:
    """A server that prints its port and ends when its input does."""
    # A program in another language is started by itself.
    command = (*((sys.executable,) if program.suffix == ".py" else ()), str(program), *arguments)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # it was asked for
        yield Server(int(process.stdout.readline()), process.pid)
        process.communicate()


def processor_s(pid: int) -> float:
    """Processor time that a process has used so far, s (proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def percentile(values: Sequence[float], share: int) -> float:
    """The value that `share` in a hundred do not exceed."""
    return statistics.quantiles(values, n=100, method="inclusive")[share - 1]


def counters() -> list[Tag]:
    """Scan and restart counter, in input registers 0 to 3."""
    return [
        Tag(name, DataType.UINT32, "", 0, 2**32 - 1, False, ModbusAddress(ModbusTable.INPUT_REGISTER, at), name)
        for name, at in (("plc.scan", 0), ("plc.boot", 2))
    ]


def numbers(count: int) -> list[Tag]:
    """Counters and `count` floats behind them, twenty in a folder."""
    places = ((f"g{at // 20}.n{at}", ModbusAddress(ModbusTable.INPUT_REGISTER, 4 + 2 * at)) for at in range(count))
    return [*counters(), *(Tag(name, DataType.FLOAT32, "", 0, 1e9, False, place, name) for name, place in places)]
