"""Polls a second of the reader, without and with the durable log, against a bare pymodbus client that does the same.

The server, ours, is in a process of its own. The bare client reads the same registers in as few requests, decodes every
value by one struct for each answer, and, as the reader does, asks once more for the scan counter where the tags stand
in several tables: else its values might be of two scans, and it would do less (4 requests against 5 for the water
cell). *log off*: poll and decode. *a commit each*: the gateway, where each poll is one state in one synced commit under
one signature, so the rate is that of commits as well. *a commit each 50 ms*: the gateway as a bench runs it, which
keeps states back and commits them together.
"""

import asyncio
import struct
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from pymodbus.client import AsyncModbusTcpClient

from testbed.acquire.gateway import Gateway
from testbed.core.clock import SystemClock
from testbed.core.entropy import SystemEntropy
from testbed.core.tags import DataType, ModbusTable, Tag
from testbed.fieldbus.layout import Block, plan
from testbed.fieldbus.modbus_client import ModbusController
from testbed.fieldbus.modbus_transports import Tcp, Transport
from testbed.fieldbus.poll import Poll
from testbed.fieldbus.registers import decoder_of
from testbed.keys.ed25519 import SigningKey
from testbed.rig.bench import load_bench
from testbed.rig.roles.role import Publishing
from testbed.store.sqlite import LogStore
from testbed.tlog.publisher import Publisher
from testbed.tlog.sequencer import Log
from tests.bench.measure import SERVE, Compared, Measure, compare, numbers, serving, table

POLLS = 300
ROUNDS = 21
LOCAL = "127.0.0.1"
GAP = 16
COMMIT_NS = 50_000_000
_FORMATS = {DataType.UINT16: "H", DataType.UINT32: "I", DataType.FLOAT32: "f"}


def main() -> None:
    """Print the table."""
    rows = []
    benches = {"water cell, 4 tables": ("cell", load_bench(None).tags), "50 tags, 1 table": ("numbers", numbers(48))}
    for name, (kind, tags) in benches.items():
        with serving(SERVE, kind, "48") as server, tempfile.TemporaryDirectory() as folder:
            found = measure(tags, server.port, Path(folder))
        for what, one in zip(("log off", "a commit each", "a commit each 50 ms"), found, strict=True):
            rows.append((f"{name}: {what}", *one.cells()))
    table(("polls a second", "bare client", "ours", "ours / bare"), *rows)


def measure(tags: Sequence[Tag], port: int, folder: Path) -> list[Compared]:
    """Log off, a commit each, a commit each 50 ms, against the bare client."""
    with LogStore.create(folder / "log.sqlite") as store:
        key = SigningKey.from_seed("bench.example/gateway", bytes(32))
        log = Log(key, store, Publisher(folder / "tlog"), SystemEntropy())
        return compare(
            rate(lambda: bare(tags, lambda: AsyncModbusTcpClient(LOCAL, port=port, retries=0))),
            rate(lambda: log_off(tags, Tcp(LOCAL, port))),
            rate(lambda: logged(tags, port, log, 0)),
            rate(lambda: logged(tags, port, log, COMMIT_NS)),
            rounds=ROUNDS,
        )


def rate(run: Callable[[], Awaitable[float]]) -> Measure:
    """Polls a second of a coroutine that returns how long POLLS of them took."""

    async def once() -> float:
        return POLLS / await run()

    return lambda: asyncio.run(once())


async def bare(tags: Sequence[Tag], made: Callable[[], AsyncModbusTcpClient]) -> float:
    """As few requests as read all tags, and every value decoded by one struct for each answer."""
    blocks = [(block, *_structs(block)) for block in plan(tags, GAP)]
    blocks.sort(key=lambda found: tags[0] not in found[0].tags)
    async with made() as client:
        reads = {
            ModbusTable.COIL: client.read_coils,
            ModbusTable.DISCRETE_INPUT: client.read_discrete_inputs,
            ModbusTable.HOLDING_REGISTER: client.read_holding_registers,
            ModbusTable.INPUT_REGISTER: client.read_input_registers,
        }
        started = time.perf_counter()
        for _ in range(POLLS):
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
            if len(values) != len(tags):
                raise RuntimeError(f"{len(values)} values came for {len(tags)} tags")
        return time.perf_counter() - started


def _structs(block: Block) -> tuple[struct.Struct, struct.Struct]:
    """All registers of an answer, and the tags that lie in them one after another."""
    if block.table.is_bit:
        return struct.Struct(""), struct.Struct("")
    fields, at = ">", block.address
    for tag in block.tags:
        fields += f"{2 * (tag.modbus.address - at)}x{_FORMATS[tag.type]}"
        at = tag.modbus.address + tag.type.size // 2
    return struct.Struct(f">{block.count}H"), struct.Struct(fields)


async def log_off(tags: Sequence[Tag], way: Transport) -> float:
    """The reader, and every value decoded."""
    async with connected(ModbusController(tags, way, gap=GAP)) as reader:
        decode = decoder_of(tags)
        started = time.perf_counter()
        for _ in range(POLLS):
            values = decode((await reader.poll()).values)
            if len(values) != len(tags):
                raise RuntimeError(f"{len(values)} values came for {len(tags)} tags")
        return time.perf_counter() - started


async def logged(tags: Sequence[Tag], port: int, log: Log, commit_ns: int) -> float:
    """The gateway with its log, published once a second as its role does it."""
    async with connected(Counting(tags, Tcp(LOCAL, port), gap=GAP)) as reader:
        gateway = Gateway("cell", reader, log, SystemClock(), 10**9, commit_ns=commit_ns)
        publishing = Publishing(log, SystemClock(), 10**9)
        started, size = time.perf_counter(), log.size
        for _ in range(POLLS):
            await gateway.step()
            publishing.step()
        gateway.commit()
        seconds = time.perf_counter() - started
        if gateway.states != POLLS or log.size - size < POLLS:
            raise RuntimeError(f"{gateway.states} states were logged in {POLLS} polls")
        return seconds


class Counting(ModbusController):
    """The server stands still; here every poll counts as a scan of its own."""

    polls = 0

    async def poll(self) -> Poll:
        self.polls += 1
        poll = await super().poll()
        return Poll(poll.boot, self.polls, poll.values, poll.statuses)


@asynccontextmanager
async def connected(reader: ModbusController) -> AsyncIterator[ModbusController]:
    """The reader while it is connected."""
    await reader.connect()
    try:
        yield reader
    finally:
        await reader.close()


if __name__ == "__main__":
    main()
