"""A runner of tests, as far as the watchdog sees one: it beats the PLC of a bench until somebody ends it."""

import asyncio
import sys
from pathlib import Path

from testbed.rig.bench import load_bench
from testbed.rig.controllers import modbus_reader
from testbed.rig.safety import watchdog_of


async def beat(file: Path) -> None:
    bench = load_bench(file)
    device = modbus_reader(bench)
    await device.connect()
    watchdog = watchdog_of(bench, device, device.tags, asyncio.sleep)
    assert watchdog is not None
    await watchdog.arm()
    print("armed", flush=True)
    await watchdog.run()


if __name__ == "__main__":
    asyncio.run(beat(Path(sys.argv[1])))
