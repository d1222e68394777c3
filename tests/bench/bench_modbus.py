"""The Modbus server against pymodbus's own, each in a process of its own: reads of 125 registers a second.

waited: a pymodbus client that waits for each answer. raw: the same with a bare socket, so that the client costs little.
pipelined: 16 requests on their way at a time; the stock server loses most of these, so it has no such number.
"""

import asyncio
import socket
import statistics
import struct
import time
from contextlib import closing
from functools import partial
from pathlib import Path

from pymodbus.client import AsyncModbusTcpClient

from tests.bench.measure import ROUNDS, compare, serving, table

SERVE = Path(__file__).parents[1] / "fieldbus" / "serve_modbus.py"
LOCAL = "127.0.0.1"
REGISTERS = 125
READS = 3000
AT_ONCE = 16
REQUEST = struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, 0, REGISTERS)
ANSWER = 9 + 2 * REGISTERS


def main() -> None:
    """Print the table."""
    rows = []
    with serving(SERVE, "stock") as stock, serving(SERVE, "ours") as ours:
        for name, measure in {"waited": waited, "raw": raw}.items():
            (one,) = compare(partial(measure, stock.port), partial(measure, ours.port))
            rows.append((name, *one.cells()))
        alone = statistics.median(pipelined(ours.port) for _ in range(ROUNDS))
    rows.append(("pipelined", "-", f"{alone:,.0f}/s", "-"))
    table((f"reads of {REGISTERS} registers", "stock", "ours", "ours / stock"), *rows)


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
