"""The Modbus server against pymodbus's own, each in a process of its own: reads of 125 registers a second.

waited: a pymodbus client that waits for each answer. raw: the same with a bare socket, so that the client costs little.
pipelined: 16 requests on their way at a time; the stock server loses most of these, so it has no such number.
"""

import asyncio
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from pymodbus.client import AsyncModbusTcpClient

SERVE = Path(__file__).parents[1] / "fieldbus" / "serve_modbus.py"
LOCAL = "127.0.0.1"
REGISTERS = 125
ROUNDS = 7
"""Measurements of each kind, in turn; the ratio is the median over the rounds, since a shared machine has its moods."""
READS = 3000
AT_ONCE = 16
REQUEST = struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, 0, REGISTERS)
ANSWER = 9 + 2 * REGISTERS

Measure = Callable[[int], float]


def main() -> None:
    """Print the table."""
    kinds: dict[str, Measure] = {"waited": waited, "raw": raw, "pipelined": pipelined}
    print(f"{'125 registers':<14} {'stock':>9} {'ours':>9}   ours / stock, median of {ROUNDS} rounds (least..most)")
    with ExitStack() as stack:
        stock, ours = stack.enter_context(serving("stock")), stack.enter_context(serving("ours"))
        for name, measure in kinds.items():
            if measure is pipelined:
                print(f"{name:<14} {'-':>9} {statistics.median(measure(ours) for _ in range(ROUNDS)):>7,.0f}/s")
                continue
            pairs = [(measure(stock), measure(ours)) for _ in range(ROUNDS)]
            ratios = [new / old for old, new in pairs]
            theirs, mine = (statistics.median(column) for column in zip(*pairs, strict=True))
            spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
            print(f"{name:<14} {theirs:>7,.0f}/s {mine:>7,.0f}/s   {spread}")


@contextmanager
def serving(kind: str) -> Iterator[int]:
    """The port of a server of that kind, which ends with the block."""
    program = (sys.executable, str(SERVE), kind)
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # it was asked for
        yield int(process.stdout.readline())
        process.communicate()


def waited(port: int) -> float:
    """Reads a second of a pymodbus client."""

    async def run() -> float:
        async with AsyncModbusTcpClient(LOCAL, port=port, retries=0) as client:
            started = time.perf_counter()
            for _ in range(READS):
                answer = await client.read_holding_registers(0, count=REGISTERS)
                if len(answer.registers) != REGISTERS:
                    raise RuntimeError(f"the server answered {answer}")
            return READS / (time.perf_counter() - started)

    return asyncio.run(run())


def raw(port: int) -> float:
    """Reads a second of a bare socket."""
    return _over_a_socket(port, 1)


def pipelined(port: int) -> float:
    """Reads a second with several on their way."""
    return _over_a_socket(port, AT_ONCE)


def _over_a_socket(port: int, at_once: int) -> float:
    with closing(socket.create_connection((LOCAL, port), timeout=10)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        requests, due = REQUEST * at_once, ANSWER * at_once
        started = time.perf_counter()
        for _ in range(READS // at_once):
            connection.sendall(requests)
            left = due
            while left:
                received = len(connection.recv(left))
                if not received:
                    raise RuntimeError("the server ended the connection")
                left -= received
        return READS // at_once * at_once / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
