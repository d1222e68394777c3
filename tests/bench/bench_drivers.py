"""The Modbus driver by each of its transports, and many devices at once; the server is in another process.

Registers a second, read and decoded: 100 registers in one read, against a bare pymodbus client that reads and decodes
the same by the same transport, measured in turn with it. Behind it what was asked of it: 0.85 of the bare client.

50 devices of 100 registers at 100 ms: one driver each, all in this process. *late* polls were over only after the next
one should have begun; *left out* are those that could not begin at all. The bottleneck is the process that is busy for
more than nine tenths of the time; where polls are late although neither is, other work took the machine.
"""

import asyncio
import ssl
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pymodbus.client import AsyncModbusTcpClient, AsyncModbusTlsClient
from pymodbus.framer import FramerSocket, FramerType
from pymodbus.pdu import DecodePDU

from testbed.fieldbus.modbus_client import ModbusController
from testbed.fieldbus.modbus_transports import RtuOverTcp, Tcp, Tls, Transport
from testbed.fieldbus.registers import decoder_of
from tests.bench.bench_gateway import bare, log_off, rate
from tests.bench.measure import SERVE, Compared, compare, numbers, processor_s, serving, table
from tests.fieldbus.certificates import certified

LOCAL = "127.0.0.1"
FLOATS = 48
TAGS = numbers(FLOATS)
REGISTERS = 2 * len(TAGS)
DEVICES = 50
PERIOD_S = 0.1
LASTS_S = 10.0
BUSY = 0.9


@dataclass(frozen=True, slots=True)
class Way:
    """port to our transport, and to a bare client by the same one."""

    ours: Callable[[int], Transport]
    peer: Callable[[int], AsyncModbusTcpClient]


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        ways = ways_of(Path(folder))
        rows = [(kind, *cells(against(kind, way, folder))) for kind, way in ways.items()]
        table((f"registers a second, {REGISTERS} a read", "bare client", "ours", "ours / bare"), *rows)
        print()
        many = [(kind, *crowd(kind, way, folder)) for kind, way in ways.items()]
    heading = ("polls/s", "p50", "p99", "late", "left out", "this process", "server", "bottleneck")
    table((f"{DEVICES} devices, {REGISTERS} registers, {PERIOD_S * 1000:g} ms", *heading), *many)


def ways_of(folder: Path) -> dict[str, Way]:
    """By the server's kind. folder: where the certificates go."""
    (server, _), client = certified(folder, "server"), certified(folder, "client", "operator")

    def secured(port: int) -> AsyncModbusTcpClient:
        context = ssl.create_default_context(cafile=server)
        context.check_hostname = False
        context.load_cert_chain(*client)
        made = AsyncModbusTlsClient(LOCAL, port=port, sslctx=context, retries=0)
        made.ctx.framer = FramerSocket(DecodePDU(False))  # its own framer has no header
        return made

    return {
        "numbers": Way(lambda port: Tcp(LOCAL, port), lambda port: AsyncModbusTcpClient(LOCAL, port=port, retries=0)),
        "rtu": Way(
            lambda port: RtuOverTcp(LOCAL, port),
            lambda port: AsyncModbusTcpClient(LOCAL, port=port, retries=0, framer=FramerType.RTU),
        ),
        "tls": Way(lambda port: Tls(LOCAL, port, *client, server), secured),
    }


@contextmanager
def numbered(kind: str, folder: str) -> Iterator[tuple[int, int]]:
    """Port and process of a server of that kind."""
    with serving(SERVE, kind, str(FLOATS), folder) as server:
        yield server.port, server.pid


def against(kind: str, way: Way, folder: str) -> Compared:
    """Polls a second."""
    with numbered(kind, folder) as (port, _):
        (found,) = compare(
            rate(lambda: bare(TAGS, lambda: way.peer(port))), rate(lambda: log_off(TAGS, way.ours(port)))
        )
        return found


def cells(found: Compared) -> tuple[str, str, str]:
    """Registers a second."""
    _, _, ratio = found.cells()
    return f"{found.peer * REGISTERS:,.0f}/s", f"{found.ours * REGISTERS:,.0f}/s", ratio


def crowd(kind: str, way: Way, folder: str) -> Sequence[str]:
    """The cells of one transport's row."""
    with numbered(kind, folder) as (port, pid):
        before, own, started = processor_s(pid), time.process_time(), time.perf_counter()
        took, late, left_out = asyncio.run(polled(way.ours, port))
        seconds = time.perf_counter() - started
        here, there = (time.process_time() - own) / seconds, (processor_s(pid) - before) / seconds
    busy = [name for name, load in (("this process", here), ("server", there)) if load > BUSY]
    centiles = statistics.quantiles(took, n=100)
    return (
        f"{len(took) / LASTS_S:,.0f}",
        f"{centiles[49] * 1000:.1f} ms",
        f"{centiles[98] * 1000:.1f} ms",
        str(late),
        str(left_out),
        f"{here:.0%}",
        f"{there:.0%}",
        " and ".join(busy) or ("other work on this machine" if late else "none"),
    )


async def polled(way: Callable[[int], Transport], port: int) -> tuple[list[float], int, int]:
    """Seconds that each poll took, decoded; how many were late, and how many left out."""
    took: list[float] = []
    late = left_out = 0
    decode = decoder_of(TAGS)

    async def one(begin: float) -> None:
        nonlocal late, left_out
        controller = ModbusController(TAGS, way(port), timeout=5.0)
        await controller.connect()
        loop = asyncio.get_running_loop()
        due, end = max(begin, loop.time()), begin + LASTS_S
        while due < end:
            await asyncio.sleep(max(0.0, due - loop.time()))
            started = loop.time()
            if len(decode((await controller.poll()).values)) != len(TAGS):
                raise RuntimeError("a value is missing")
            took.append(loop.time() - started)
            due += PERIOD_S
            behind = loop.time() - due
            if behind > 0:
                late += 1
                skipped = int(behind / PERIOD_S)
                left_out += skipped
                due += skipped * PERIOD_S
        await controller.close()

    # One after the other in a period, as devices that nobody has brought into step.
    first = asyncio.get_running_loop().time() + 1.0
    await asyncio.gather(*(one(first + at * PERIOD_S / DEVICES) for at in range(DEVICES)))
    return took, late, left_out


if __name__ == "__main__":
    main()
