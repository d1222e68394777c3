"""A Modbus/TCP server in a process of its own: `serve_modbus.py KIND` prints its port and ends when its input does.

cell: the emulated water cell, scanned every 50 ms. ours: 125 holding registers, 62 numbers and a counter, that do not
change. stock: 125 such registers behind pymodbus's own server. mirror: 40 coils and 125 holding registers that can be
written, and as many discrete inputs and input registers that show the same; a scan every 10 ms.
"""

import asyncio
import logging
import sys
from typing import cast

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType as SimType
from pymodbus.simulator import SimData, SimDevice

from testbed.core.tags import DataType, ModbusAddress, ModbusTable, Tag, Value
from testbed.fieldbus.modbus_server import ModbusServer
from testbed.plc.emulator import Emulator
from testbed.plc.image import ProcessImage
from testbed.plc.thread import ScanThread
from testbed.rig.bench import load_bench

REGISTERS = 125
COILS = 40
HIGHEST = 40_000
SCAN_S = 0.01


async def cell() -> None:
    """The water cell."""
    tags = load_bench(None).tags
    plc = Emulator(tags, seed=1, scan_s=0.05)
    server = ModbusServer(tags, plc.image)
    scan = ScanThread(plc)
    await server.start()
    scan.start()
    await _until_the_end(server.port)
    scan.stop()
    await server.stop()


async def ours() -> None:
    """Numbers that fill one read."""
    kinds = [DataType.FLOAT32] * (REGISTERS // 2) + [DataType.UINT16]
    tags = [
        Tag(f"n{at}", kind, "", 0, 1000, True, ModbusAddress(ModbusTable.HOLDING_REGISTER, 2 * at), f"n{at}")
        for at, kind in enumerate(kinds)
    ]
    values = {tag.name: 7 if tag.type is DataType.UINT16 else 0.5 for tag in tags}
    server = ModbusServer(tags, ProcessImage(tags, values))
    await server.start()
    await _until_the_end(server.port)
    await server.stop()


async def mirror() -> None:
    """Everything that is written, in two tables."""
    pairs = {
        DataType.BOOL: (ModbusTable.COIL, ModbusTable.DISCRETE_INPUT, COILS),
        DataType.UINT16: (ModbusTable.HOLDING_REGISTER, ModbusTable.INPUT_REGISTER, REGISTERS),
    }
    tags = [
        Tag(
            f"{table.value}.{at}",
            kind,
            "",
            0,
            HIGHEST,
            table.is_writable,
            ModbusAddress(table, at),
            f"{table.value}.{at}",
        )
        for kind, (written, shown, count) in pairs.items()
        for table in (written, shown)
        for at in range(count)
    ]
    values: dict[str, Value] = {tag.name: False if tag.type is DataType.BOOL else 0 for tag in tags}
    image = ProcessImage(tags, values)
    server = ModbusServer(tags, image)
    mirrored = {written.value: shown.value for written, shown, _ in pairs.values()}

    async def scan() -> None:
        while True:
            for name, value in image.take_writes().items():
                table, _, at = name.partition(".")
                values[name] = values[f"{mirrored[table]}.{at}"] = value
            image.publish(values)
            await asyncio.sleep(SCAN_S)

    await server.start()
    scanning = asyncio.create_task(scan())
    await _until_the_end(server.port)
    scanning.cancel()
    await server.stop()


async def stock() -> None:
    """The same over pymodbus's own server."""
    registers = [SimData(0, values=[7] * REGISTERS, datatype=SimType.REGISTERS)]
    bits = [SimData(0, values=[False] * 16, datatype=SimType.BITS)]
    server = ModbusTcpServer(SimDevice(1, (bits, bits, registers, registers)), address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    await _until_the_end(cast("asyncio.Server", server.transport).sockets[0].getsockname()[1])
    await server.shutdown()  # type: ignore[no-untyped-call]  # not typed in pymodbus


async def _until_the_end(port: int) -> None:
    print(port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    asyncio.run({"cell": cell, "ours": ours, "stock": stock, "mirror": mirror}[sys.argv[1]]())
