"""The role `plc`: the emulated PLC in front of the emulated plant."""

import asyncio
import gc

from testbed.core.clock import Clock, SystemClock
from testbed.fieldbus.modbus_server import ModbusServer
from testbed.fieldbus.opcua_server import APPLICATION_URI, OpcUaServer
from testbed.keys.certificates import keep_certificate
from testbed.plant.cell import CellParameters
from testbed.plc.emulator import Emulator
from testbed.plc.thread import ScanThread
from testbed.rig.bench import Bench
from testbed.rig.boot import count_boot
from testbed.rig.paths import Paths
from testbed.rig.ports import check_ports
from testbed.rig.roles.role import Facts

_PUBLISH_S = 0.05
"""How often changed values go to OPC UA subscribers, s."""


class PlcRole:
    """The emulated PLC: plant, program and process image, served as Modbus TCP and OPC UA.

    clock: None for real time, where the scan runs in a thread of its own; otherwise each step is one scan, at the time
    of that clock, and both servers take ports that the system chooses.
    """

    def __init__(self, bench: Bench, clock: Clock | None = None) -> None:
        self._bench = bench
        self._real_time = real_time = clock is None
        self.period_s = 0.2 if real_time else bench.plc.scan_ms / 1000
        self.emulator = Emulator(
            bench.tags,
            CellParameters(**bench.plant.parameters),
            bench.seed,
            count_boot(Paths(bench.data).plc_boot),
            bench.plc.scan_ms / 1000,
        )
        plc = bench.plc
        modbus_port, opcua_port = (plc.modbus.port, plc.opcua.port) if real_time else (0, 0)
        self.modbus = ModbusServer(bench.tags, self.emulator.image, plc.modbus.host, modbus_port, plc.modbus.unit)
        paths = Paths(bench.data)
        self.opcua = OpcUaServer(
            bench.tags,
            self.emulator.image,
            plc.opcua.host,
            opcua_port,
            plc.name,
            period=_PUBLISH_S if real_time else None,
            clock=clock,
            # A simulated bench has no secrets of its own: its keys come from a seed.
            certificate=paths.plc_certificate if real_time else None,
            key=paths.plc_certificate_key if real_time else None,
        )
        read_by_opcua = any(reader.protocol == "opcua" for reader in bench.readers)
        self._serves_opcua = plc.opcua.enabled and (real_time or read_by_opcua)
        self._thread = ScanThread(self.emulator)
        self._opening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Serve Modbus; in real time OPC UA follows a second later. Raises UsageError where a port is in use."""
        if self._real_time:
            await check_ports(self._bench, "plc")  # of both, before anybody is served
        await self.modbus.start()
        if self._real_time:
            self._thread.start()
            if self._serves_opcua:
                self._opening = asyncio.create_task(self._open_opcua())
        elif self._serves_opcua:
            await self.opcua.start()

    async def step(self) -> None:
        if self._opening is not None and self._opening.done():
            self._opening.result()
        if not self._real_time:
            self.emulator.scan()
            await self.opcua.publish()
        elif not self._thread.running:
            self._thread.stop()

    async def stop(self) -> None:
        if self._real_time:
            self._thread.stop()
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        await self.opcua.stop()
        await self.modbus.stop()

    def facts(self) -> Facts:
        image = self.emulator.image.snapshot()
        return {"scan": int(image["plc.scan"]), "overruns": self._thread.overruns, "modbus": self.modbus.port}

    async def _open_opcua(self) -> None:
        await asyncio.to_thread(self._keep_certificate)
        # The address space is there to stay. A collector that walks it holds scan and servers up, 150 to 250 ms.
        gc.disable()
        try:
            await self.opcua.start()
            gc.freeze()
        finally:
            gc.enable()

    def _keep_certificate(self) -> None:
        """Made at the first start, then kept: clients know the server by it. Making an RSA key may take a second."""
        paths = Paths(self._bench.data)
        keep_certificate(
            paths.plc_certificate,
            paths.plc_certificate_key,
            name="Attestbed PLC",
            uri=APPLICATION_URI,
            hosts=("localhost", "127.0.0.1", self._bench.plc.opcua.host),
            now_ns=SystemClock().now_ns(),
        )
