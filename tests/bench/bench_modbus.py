"""The Modbus server against pymodbus's own and one in C, each in a process of its own: reads of 125 registers a second.

waited: a pymodbus client that waits for each answer. raw: the same with a bare socket, so that the client costs little.
pipelined: 16 requests on their way at a time; the stock server loses most of these, so it has no such number.
Behind each rate of a peer stands ours / peer, measured in turn with it.
"""

import asyncio
import socket
import struct
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

from pymodbus.client import AsyncModbusTcpClient

from tests.bench.measure import Compared, compare, serving, table
from tests.debian.libmodbus import LIBRARY, NotBuilt, build

SERVE = Path(__file__).parents[1] / "fieldbus" / "serve_modbus.py"
LOCAL = "127.0.0.1"
REGISTERS = 125
READS = 3000
AT_ONCE = 16
REQUEST = struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, 0, REGISTERS)
ANSWER = 9 + 2 * REGISTERS
IN_C = "C server (libmodbus)"


def main() -> None:
    """Print the table."""
    kinds = {"waited": waited, "raw": raw, "pipelined": pipelined}
    with serving(SERVE, "ours") as ours, tempfile.TemporaryDirectory() as folder:
        with serving(SERVE, "stock") as stock:
            lossless = {name: measure for name, measure in kinds.items() if name != "pipelined"}
            to_stock = against(stock.port, ours.port, lossless)
        try:
            program = build("server", Path(folder))
        except NotBuilt:
            in_c = {}
        else:
            with serving(program) as peer:
                in_c = against(peer.port, ours.port, kinds)
        alone = in_c.get("pipelined") or against(ours.port, ours.port, {"pipelined": pipelined})["pipelined"]
    rates = {**{name: f"{one.ours:,.0f}/s" for name, one in to_stock.items()}, "pipelined": f"{alone.ours:,.0f}/s"}
    table(
        (f"reads of {REGISTERS} registers", *(cell for name in kinds for cell in (name, "ours / it"))),
        ("ours", *(cell for name in kinds for cell in (rates[name], "1"))),
        ("stock (pymodbus)", *_cells(kinds, to_stock)),
        (IN_C, *_cells(kinds, in_c)),
    )
    if not in_c:
        print(f"{IN_C}: not measured: install {LIBRARY}, gcc and pkg-config")


def against(peer: int, ours: int, kinds: Mapping[str, Callable[[int], float]]) -> dict[str, Compared]:
    """Ours against a peer, by kind of measurement; ports."""
    found = {}
    for name, measure in kinds.items():
        (found[name],) = compare(partial(measure, peer), partial(measure, ours))
    return found


def _cells(kinds: Mapping[str, object], found: Mapping[str, Compared]) -> list[str]:
    rows = [found[name].cells() if name in found else ("-", "-", "-") for name in kinds]
    return [cell for peer, _, ratio in rows for cell in (peer, ratio)]


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
