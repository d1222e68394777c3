"""50 devices of 100 registers, each read at 100 ms: as many drivers, and one driver of 50 units behind one gateway.

All drivers are in this process, the server in another one. *late* polls were over only after the next one should have
begun; *left out* are those that could not begin at all. A poll of the one driver is one of all 50 units, by one or
several connections, without and with the durable log; of those figures divide the devices. The bottleneck is the
process that is busy for more than nine tenths of the time; where polls are late although neither is, other work took
the machine.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from testbed.core.tags import Tag
from testbed.fieldbus.modbus_client import ModbusController
from testbed.fieldbus.modbus_transports import Tcp, Transport
from testbed.fieldbus.registers import decoder_of
from tests.bench.bench_drivers import FLOATS, REGISTERS, TAGS, ways_of
from tests.bench.bench_gateway import LOCAL
from tests.bench.measure import SERVE, percentile, processor_s, serving, table
from tests.bench.polling import COMMIT_NS, logged

DEVICES = 50
PERIOD_S = 0.1
LASTS_S = 10.0
BUSY = 0.9
CONNECTIONS = (1, 8)

Step = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class Paced:
    """took: s that each poll took; late, left_out: how many were."""

    took: list[float] = field(default_factory=list)
    late: int = 0
    left_out: int = 0

    async def go(self, step: Step, begin: float) -> None:
        """`step` in each period for LASTS_S from `begin` on, on the loop's clock."""
        loop = asyncio.get_running_loop()
        due, end = max(begin, loop.time()), begin + LASTS_S
        while due < end - PERIOD_S / 2:  # a sum of periods is not quite their product
            await asyncio.sleep(max(0.0, due - loop.time()))
            started = loop.time()
            await step()
            self.took.append(loop.time() - started)
            due += PERIOD_S
            behind = loop.time() - due
            if behind > 0:
                self.late += 1
                skipped = int(behind / PERIOD_S)
                self.left_out += skipped
                due += skipped * PERIOD_S


def main() -> None:
    """Print the table."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, way in ways_of(Path(folder)).items():
            if way.kind != "serial":  # a line has one device at a time on it
                rows.append((f"{DEVICES} drivers, {name}", *row(way.kind, folder, partial(by_many, way.ours), 1)))
        for count in CONNECTIONS:
            for says, log in (("", False), (", log", True)):
                name = f"1 driver, {DEVICES} units, {count} connection{'s' if count > 1 else ''}{says}"
                rows.append((name, *row("units", folder, partial(by_one, count, log), DEVICES)))
    heading = ("devices/s", "p50 of a poll", "p99", "late", "left out", "this process", "server", "bottleneck")
    table((f"{REGISTERS} registers, {PERIOD_S * 1000:g} ms", *heading), *rows)


def row(kind: str, folder: str, run: Callable[[int], Awaitable[Paced]], devices: int) -> Sequence[str]:
    """The cells of a row; devices: that one poll reads."""

    async def measured(port: int) -> tuple[Paced, float]:
        used = time.process_time()
        return await run(port), time.process_time() - used

    with serving(SERVE, kind, str(FLOATS), folder) as server:
        before, started = processor_s(server.pid), time.perf_counter()
        paced, own = asyncio.run(measured(server.port))
        seconds = time.perf_counter() - started
        loads = {"this process": own / seconds, "server": (processor_s(server.pid) - before) / seconds}
    busy = [name for name, load in loads.items() if load > BUSY]
    return (
        f"{len(paced.took) * devices / LASTS_S:,.0f}",
        *(f"{percentile(paced.took, share) * 1000:.1f} ms" for share in (50, 99)),
        str(paced.late),
        str(paced.left_out),
        *(f"{load:.0%}" for load in loads.values()),
        " and ".join(busy) or ("other work on this machine" if paced.late else "none"),
    )


def polling(controller: ModbusController) -> Step:
    """A poll, decoded."""
    decode = decoder_of(controller.tags)

    async def step() -> None:
        decode((await controller.poll()).values)

    return step


async def by_many(way: Callable[[int], Transport], port: int) -> Paced:
    """A driver for each device."""
    paced = Paced()
    async with AsyncExitStack() as stack:
        controllers = [ModbusController(TAGS, way(port), timeout=5.0) for _ in range(DEVICES)]
        for one in controllers:
            await one.connect()
            stack.push_async_callback(one.close)
        # One after the other in a period, as devices that nobody has brought into step.
        first = asyncio.get_running_loop().time() + PERIOD_S
        starts = (first + at * PERIOD_S / DEVICES for at in range(DEVICES))
        await asyncio.gather(*(paced.go(polling(one), start) for one, start in zip(controllers, starts, strict=True)))
    return paced


async def by_one(connections: int, log: bool, port: int) -> Paced:
    """One driver, without or with the gateway and its log; a gateway serves so many connections."""
    tags = [tag for unit in range(1, DEVICES + 1) for tag in _of(unit)]
    driver = ModbusController(
        tags, Tcp(LOCAL, port), 1, None, None, period=PERIOD_S, timeout=5.0, connections=connections
    )
    paced = Paced()
    begin = asyncio.get_running_loop().time() + PERIOD_S
    if log:
        with logged(driver, COMMIT_NS) as gateway:
            await paced.go(gateway.step, begin)
            gateway.commit()
    else:
        await driver.connect()
        await paced.go(polling(driver), begin)
    await driver.close()
    return paced


def _of(unit: int) -> list[Tag]:
    return [replace(tag, name=f"u{unit}.{tag.name}", unit_id=unit) for tag in TAGS]


if __name__ == "__main__":
    main()
