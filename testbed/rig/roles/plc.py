"""The role `plc` of an emulated PLC, in front of the emulated plant."""

from testbed.core.clock import Clock
from testbed.fieldbus.modbus_server import ModbusServer
from testbed.fieldbus.opcua_server import OpcUaServer
from testbed.plant.cell import CellParameters
from testbed.plc.emulator import Emulator
from testbed.plc.orders import obey
from testbed.plc.thread import ScanThread
from testbed.rig.bench import Bench
from testbed.rig.boot import count_boot
from testbed.rig.device_key import signer_of
from testbed.rig.paths import Paths
from testbed.rig.roles.role import Facts
from testbed.rig.roles.servers import Servers


class PlcRole:
    """The emulated PLC: plant, program and process image, and the servers that show it.

    clock: None for real time, where the scan runs in a thread of its own; otherwise each step is one scan, at the time
    of that clock. time_scale: in real time, seconds of the plant in a second of the wall.
    """

    def __init__(self, bench: Bench, clock: Clock | None = None, *, time_scale: float = 1.0) -> None:
        self._real_time = clock is None
        self.period_s = 0.2 if self._real_time else bench.plc.scan_ms / 1000
        signer = signer_of(bench)
        self.emulator = Emulator(
            bench.tags,
            CellParameters(**bench.plant.parameters),
            bench.seed,
            count_boot(Paths(bench.data).plc_boot),
            bench.plc.scan_ms / 1000,
            signer,
        )
        image = self.emulator.image
        self._servers = Servers(bench, image, clock, None if signer is None else image)
        self._thread = ScanThread(self.emulator, time_scale)

    @property
    def modbus(self) -> ModbusServer:
        return self._servers.modbus

    @property
    def opcua(self) -> OpcUaServer:
        return self._servers.opcua

    async def start(self) -> None:
        """Serve and scan. Raises UsageError where a port is in use."""
        await self._servers.start()
        if self._real_time:
            self._thread.start()

    async def step(self) -> None:
        self._servers.check()
        if not self._real_time:
            self.emulator.scan()
            await self._servers.publish()
        elif not self._thread.running:
            self._thread.stop()

    async def stop(self) -> None:
        if self._real_time:
            self._thread.stop()
        await self._servers.stop()

    def obey(self, line: bytes) -> bytes:
        """Disturb the plant, as plc/orders.py says; the answer."""
        return obey(self.emulator, line)

    def facts(self) -> Facts:
        image = self.emulator.image.snapshot()
        return {"scan": int(image["plc.scan"]), "overruns": self._thread.overruns, "modbus": self.modbus.port}
