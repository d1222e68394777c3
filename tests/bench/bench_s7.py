"""The S7 controller against python-snap7's two clients, in front of python-snap7's server in another process.

Tags a second, read and decoded: a hundred numbers that stand together, and a hundred in five places of two data
blocks. The bare clients read the same bytes (the scattered ones by read_multi_vars) and decode them by one
struct. Behind each rate of a peer stands ours / peer, measured in turn with it.
"""

import asyncio
import struct
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from snap7.async_client import AsyncClient
from snap7.client import Client
from snap7.type import Area

from testbed.core.tags import DataType, ModbusAddress, ModbusTable, Tag
from testbed.fieldbus.registers import decoder_of
from testbed.fieldbus.s7_client import S7Controller
from tests.bench.measure import compare, serving, table

SERVE = Path(__file__).parents[1] / "fieldbus" / "serve_s7.py"
LOCAL = "127.0.0.1"
NUMBERS = 100
POLLS = 300
TOGETHER = ((1, 0, 4 * NUMBERS),)
APART = ((1, 0, 80), (1, 100, 80), (1, 200, 80), (1, 300, 80), (3, 0, 80))
"""Data block, first byte, bytes."""


def main() -> None:
    """Print the table."""
    rows = []
    with serving(SERVE, "still") as server:
        for name, spans in (("together", TOGETHER), ("in 5 places", APART)):
            ours = partial(controller, server.port, spans)
            for peer, measure in (("AsyncClient", awaited), ("Client", blocking)):
                (found,) = compare(partial(measure, server.port, spans), ours)
                rows.append((f"{NUMBERS} tags {name}, {peer}", *found.cells()))
    table(("poll and decode, tags", "snap7", "ours", "ours / it"), *rows)


def controller(port: int, spans: Sequence[tuple[int, int, int]]) -> float:
    """Tags a second of ours."""
    tags = [
        Tag(f"n{db}.{at}", DataType.FLOAT32, "", 0, 1, False, ModbusAddress(ModbusTable.HOLDING_REGISTER, 0), "", s7=s7)
        for db, start, size in spans
        for at in range(start, start + size, 4)
        for s7 in (f"DB{db}.DBD{at}",)
    ]

    async def run() -> float:
        one = S7Controller(tags, LOCAL, port, None, None, gap=0)
        decoded = decoder_of(one.tags)
        await one.connect()
        started = time.perf_counter()
        for _ in range(POLLS):
            if len(decoded((await one.poll()).values)) != NUMBERS:
                raise RuntimeError("a value is missing")
        took = time.perf_counter() - started
        await one.close()
        return POLLS * NUMBERS / took

    return asyncio.run(run())


def awaited(port: int, spans: Sequence[tuple[int, int, int]]) -> float:
    """Tags a second of python-snap7's asynchronous client, which asks for one range after another."""

    async def run() -> float:
        client = AsyncClient()
        await client.connect(LOCAL, 0, 1, port)
        wanted, layout = _wanted(spans)
        started = time.perf_counter()
        for _ in range(POLLS):
            _, blocks = await client.read_multi_vars(wanted)
            layout.unpack(b"".join(blocks))
        took = time.perf_counter() - started
        await client.disconnect()
        return POLLS * NUMBERS / took

    return asyncio.run(run())


def blocking(port: int, spans: Sequence[tuple[int, int, int]]) -> float:
    """Tags a second of its blocking client, which asks for all ranges at once."""
    client = Client()
    client.connect(LOCAL, 0, 1, port)
    wanted, layout = _wanted(spans)
    started = time.perf_counter()
    for _ in range(POLLS):
        _, blocks = client.read_multi_vars(wanted)
        layout.unpack(b"".join(bytes(block) for block in blocks))
    took = time.perf_counter() - started
    client.disconnect()
    return POLLS * NUMBERS / took


def _wanted(spans: Sequence[tuple[int, int, int]]) -> tuple[list[dict[str, object]], struct.Struct]:
    wanted: list[dict[str, object]] = [
        {"area": Area.DB, "db_number": db, "start": start, "size": size} for db, start, size in spans
    ]
    return wanted, struct.Struct(f">{NUMBERS}f")


if __name__ == "__main__":
    main()
