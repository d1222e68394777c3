"""The water cell over OPC UA in a process of its own: `serve_opcua.py CERTIFICATE KEY` prints its port and ends when
its input does. It scans every 50 ms. What it logs, on standard error, is what `testbed run` would show.
"""

import asyncio
import gc
import logging
import sys
from pathlib import Path

from testbed.fieldbus.opcua_server import OpcUaServer
from testbed.plc.emulator import Emulator
from testbed.plc.thread import ScanThread
from testbed.rig.bench import load_bench


async def main(certificate: Path, key: Path) -> None:
    """Serve."""
    tags = load_bench(None).tags
    plc = Emulator(tags, seed=1, scan_s=0.05)
    server = OpcUaServer(tags, plc.image, certificate=certificate, key=key)
    scan = ScanThread(plc)
    await server.start()
    scan.start()
    gc.freeze()  # as the PLC of a bench does
    print(server.port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    scan.stop()
    await server.stop()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    # Of what strangers send, the library would say a line for each chunk.
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    asyncio.run(main(*map(Path, sys.argv[1:3])))
