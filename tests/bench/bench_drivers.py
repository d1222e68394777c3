"""The Modbus driver by each of its transports: registers a second, through the driver and through the gateway's log.

100 registers in one read, against a bare pymodbus client that reads and decodes the same by the same transport; the
server is in another process. On the serial line, a pair of pseudo-terminals, which have no line time, both clients keep
the silence of 1.75 ms that the standard asks for between two frames: it is most of what is seen there. On a real line of
115,200 baud the frames of one such poll would take 20 ms. What the clients cost by themselves is in the last columns.
"""

import asyncio
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient, AsyncModbusTlsClient
from pymodbus.client.base import ModbusBaseClient
from pymodbus.framer import FramerSocket, FramerType
from pymodbus.pdu import DecodePDU

from testbed.fieldbus.modbus_client import ModbusController
from testbed.fieldbus.modbus_transports import RtuOverTcp, Serial, Tcp, Tls, Transport
from tests.bench.bench_gateway import LOCAL, bare
from tests.bench.measure import SERVE, numbers, serving, table
from tests.bench.polling import HEADING, Read, against, cells
from tests.fieldbus.certificates import certified

FLOATS = 48
TAGS = numbers(FLOATS)
REGISTERS = 2 * len(TAGS)
BAUD = 115_200


@dataclass(frozen=True, slots=True)
class Way:
    """kind: of the server; port to our transport, and to a bare client by the same one."""

    kind: str
    ours: Callable[[int], Transport]
    peer: Callable[[int], ModbusBaseClient]


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [(name, *measured(way, folder)) for name, way in ways_of(Path(folder)).items()]
    table((f"registers a second, {REGISTERS} a read", *HEADING), *rows)


def ways_of(folder: Path) -> dict[str, Way]:
    """By name. folder: where the certificates go."""
    (server, _), client = certified(folder, "server"), certified(folder, "client", "operator")

    def secured(port: int) -> AsyncModbusTcpClient:
        context = ssl.create_default_context(cafile=server)
        context.check_hostname = False
        context.load_cert_chain(*client)
        made = AsyncModbusTlsClient(LOCAL, port=port, sslctx=context, retries=0)
        made.ctx.framer = FramerSocket(DecodePDU(False))  # its own framer has no header
        return made

    return {
        "TCP": Way(
            "numbers", lambda port: Tcp(LOCAL, port), lambda port: AsyncModbusTcpClient(LOCAL, port=port, retries=0)
        ),
        "TLS": Way("tls", lambda port: Tls(LOCAL, port, *client, server), secured),
        "RTU over TCP": Way(
            "rtu",
            lambda port: RtuOverTcp(LOCAL, port),
            lambda port: AsyncModbusTcpClient(LOCAL, port=port, retries=0, framer=FramerType.RTU),
        ),
        "RTU on a pty pair (its silences)": Way(
            "serial",
            line,
            lambda port: AsyncModbusSerialClient(line(port).device, baudrate=BAUD, parity="N", retries=0),
        ),
    }


def line(number: int) -> Serial:
    """The pseudo-terminal of that number."""
    return Serial(f"/dev/pts/{number}", BAUD, "N")


def measured(way: Way, folder: str) -> tuple[str, ...]:
    """The cells of one row."""

    async def run(port: int, other: int) -> tuple[str, ...]:
        transport = way.ours(port)
        async with way.peer(other) as client:
            ours = ModbusController(TAGS, transport)
            return cells(await against(keeping(bare(client, TAGS), transport.silence), ours), REGISTERS)

    arguments = (way.kind, str(FLOATS), folder)
    # One for each: a serial line has room for one client.
    with serving(SERVE, *arguments) as server, serving(SERVE, *arguments) as other:
        return asyncio.run(run(server.port, other.port))


def keeping(read: Read, silence: float) -> Read:
    """The same with a silence between an answer and the next request, s."""
    free_at = 0.0

    async def waiting() -> list[object]:
        nonlocal free_at
        loop = asyncio.get_running_loop()
        if (left := free_at - loop.time()) > 0:
            await asyncio.sleep(left)
        values = await read()
        free_at = loop.time() + silence
        return list(values)

    return waiting if silence else read


if __name__ == "__main__":
    main()
