"""Polls a second of the reader, without and with the durable log, against a bare pymodbus client that does the same.

The server, ours, is in a process of its own. The bare client reads the same registers in as few requests, decodes every
value by one struct for each answer, and, as the reader does, asks once more for the scan counter where the tags stand
in several tables: else its values might be of two scans, and it would do less (4 requests against 5 for the water
cell). *a commit each*: each poll is one state in one synced commit under one signature, so the rate is that of commits
as well; *50 ms*: the gateway as a bench runs it, which keeps states back and commits them together.
"""

import asyncio
import struct
from collections.abc import Sequence

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.client.base import ModbusBaseClient

from testbed.core.tags import DataType, ModbusTable, Tag
from testbed.fieldbus.layout import Block, plan
from testbed.fieldbus.modbus_client import ModbusController
from testbed.fieldbus.modbus_transports import Tcp
from testbed.rig.bench import load_bench
from tests.bench.measure import SERVE, numbers, serving, table
from tests.bench.polling import COMMIT_NS, HEADING, Read, against, cells

LOCAL = "127.0.0.1"
GAP = 16
_FORMATS = {DataType.UINT16: "H", DataType.UINT32: "I", DataType.FLOAT32: "f"}


def main() -> None:
    """Print the table."""
    rows = []
    benches = {"water cell, 4 tables": ("cell", load_bench(None).tags), "50 tags, 1 table": ("numbers", numbers(48))}
    for name, (kind, tags) in benches.items():
        with serving(SERVE, kind, "48") as server:
            for what, commit_ns in (("a commit each", 0), ("50 ms", COMMIT_NS)):
                rows.append((f"{name}: {what}", *asyncio.run(measured(tags, server.port, commit_ns))))
    table(("polls", *(name.replace("log, 50 ms", "log") for name in HEADING)), *rows)


async def measured(tags: Sequence[Tag], port: int, commit_ns: int) -> tuple[str, ...]:
    """The cells of one row."""
    async with AsyncModbusTcpClient(LOCAL, port=port, retries=0) as client:
        ours = ModbusController(tags, Tcp(LOCAL, port), gap=GAP)
        return cells(await against(bare(client, tags), ours, commit_ns), 1)


def bare(client: ModbusBaseClient, tags: Sequence[Tag]) -> Read:
    """As few requests as read all tags, and every value decoded by one struct for each answer."""
    blocks = [(block, *_structs(block)) for block in plan(tags, GAP)]
    blocks.sort(key=lambda found: tags[0] not in found[0].tags)
    reads = {
        ModbusTable.COIL: client.read_coils,
        ModbusTable.DISCRETE_INPUT: client.read_discrete_inputs,
        ModbusTable.HOLDING_REGISTER: client.read_holding_registers,
        ModbusTable.INPUT_REGISTER: client.read_input_registers,
    }
    in_order = [tag for block, _, _ in blocks for tag in block.tags] == list(tags)
    places = {tag.name: at for at, tag in enumerate(tag for block, _, _ in blocks for tag in block.tags)}

    async def read() -> list[object]:
        values: list[object] = []
        for block, registers, fields in blocks:
            answer = await reads[block.table](block.address, count=block.count)
            if block.table.is_bit:
                values += answer.bits[: block.count]
            else:
                values += fields.unpack(registers.pack(*answer.registers))
        if len(blocks) > 1:
            answer = await client.read_input_registers(tags[0].modbus.address, count=4)
            again = struct.unpack(">II", struct.pack(">4H", *answer.registers))
            if again != tuple(values[:2]):
                raise RuntimeError("the server was to stand still")
        return values if in_order else [values[places[tag.name]] for tag in tags]

    return read


def _structs(block: Block) -> tuple[struct.Struct, struct.Struct]:
    """All registers of an answer, and the tags that lie in them one after another."""
    if block.table.is_bit:
        return struct.Struct(""), struct.Struct("")
    fields, at = ">", block.address
    for tag in block.tags:
        fields += f"{2 * (tag.modbus.address - at)}x{_FORMATS[tag.type]}"
        at = tag.modbus.address + tag.type.size // 2
    return struct.Struct(f">{block.count}H"), struct.Struct(fields)


if __name__ == "__main__":
    main()
