"""The S7 controller against python-snap7's two clients, in front of python-snap7's server in another process.

Tags a second, read and decoded, and through the gateway's log: a hundred numbers that stand together, and a hundred in
five places of two data blocks. The bare clients read the same bytes (the scattered ones by read_multi_vars) and decode
them by one struct. Client blocks its thread and asks for all ranges at once; AsyncClient, like ours, leaves the thread
to others while it waits, and asks for one range after another.
"""

import asyncio
import struct
from collections.abc import Sequence
from pathlib import Path

from snap7.async_client import AsyncClient
from snap7.client import Client
from snap7.type import Area

from testbed.core.tags import DataType, ModbusAddress, ModbusTable, Tag
from testbed.fieldbus.s7_client import S7Controller
from tests.bench.measure import serving, table
from tests.bench.polling import HEADING, against, cells

SERVE = Path(__file__).parents[1] / "fieldbus" / "serve_s7.py"
LOCAL = "127.0.0.1"
NUMBERS = 100
TOGETHER = ((1, 0, 4 * NUMBERS),)
APART = ((1, 0, 80), (1, 100, 80), (1, 200, 80), (1, 300, 80), (3, 0, 80))
"""Data block, first byte, bytes."""


def main() -> None:
    """Print the table."""
    rows = []
    with serving(SERVE, "still") as server:
        for name, spans in (("together", TOGETHER), ("in 5 places", APART)):
            for peer, measure in (("AsyncClient", awaited), ("Client", blocking)):
                rows.append((f"{NUMBERS} tags {name}, {peer}", *asyncio.run(measure(server.port, spans))))
    table(("tags a second", *HEADING), *rows)


def controller(port: int, spans: Sequence[tuple[int, int, int]]) -> S7Controller:
    """Ours."""
    tags = [
        Tag(f"n{db}.{at}", DataType.FLOAT32, "", 0, 1, False, ModbusAddress(ModbusTable.HOLDING_REGISTER, 0), "", s7=s7)
        for db, start, size in spans
        for at in range(start, start + size, 4)
        for s7 in (f"DB{db}.DBD{at}",)
    ]
    return S7Controller(tags, LOCAL, port, None, None, gap=0)


async def awaited(port: int, spans: Sequence[tuple[int, int, int]]) -> tuple[str, ...]:
    """The cells of a row: python-snap7's asynchronous client."""
    client = AsyncClient()
    await client.connect(LOCAL, 0, 1, port)
    wanted, layout = _wanted(spans)

    async def read() -> Sequence[object]:
        _, blocks = await client.read_multi_vars(wanted)
        return layout.unpack(b"".join(blocks))

    found = await against(read, controller(port, spans))
    await client.disconnect()
    return cells(found, NUMBERS)


async def blocking(port: int, spans: Sequence[tuple[int, int, int]]) -> tuple[str, ...]:
    """The cells of a row: its blocking client."""
    client = Client()
    client.connect(LOCAL, 0, 1, port)
    wanted, layout = _wanted(spans)

    async def read() -> Sequence[object]:
        _, blocks = client.read_multi_vars(wanted)
        return layout.unpack(b"".join(bytes(block) for block in blocks))

    found = await against(read, controller(port, spans))
    client.disconnect()
    return cells(found, NUMBERS)


def _wanted(spans: Sequence[tuple[int, int, int]]) -> tuple[list[dict[str, object]], struct.Struct]:
    wanted: list[dict[str, object]] = [
        {"area": Area.DB, "db_number": db, "start": start, "size": size} for db, start, size in spans
    ]
    return wanted, struct.Struct(f">{NUMBERS}f")


if __name__ == "__main__":
    main()
