"""The role `plc`: the emulated PLC in front of the emulated plant."""

from testbed.fieldbus.modbus_server import ModbusServer
from testbed.fieldbus.opcua_server import OpcUaServer
from testbed.plant.cell import CellParameters
from testbed.plc.emulator import COUNTER_MASK, Emulator
from testbed.plc.thread import ScanThread
from testbed.rig.bench import Bench
from testbed.rig.paths import Paths
from testbed.rig.roles.role import Facts
from testbed.store.files import write_atomic


class PlcRole:
    """The emulated PLC: plant, program and process image, served as Modbus TCP and OPC UA.

    real_time: the scan runs in a thread of its own; otherwise each step is one scan.
    """

    def __init__(self, bench: Bench, *, real_time: bool, modbus_port: int) -> None:
        self._bench = bench
        self._real_time = real_time
        self.period_s = 0.2 if real_time else bench.plc.scan_ms / 1000
        self.emulator = Emulator(
            bench.tags,
            CellParameters(**bench.plant.parameters),
            bench.seed,
            self._next_boot(),
            bench.plc.scan_ms / 1000,
        )
        plc = bench.plc
        self.modbus = ModbusServer(bench.tags, self.emulator.image, plc.modbus.host, modbus_port, plc.modbus.unit)
        self.opcua = OpcUaServer(bench.tags, self.emulator.image, plc.opcua.host, plc.opcua.port, plc.name)
        self._thread = ScanThread(self.emulator)

    async def start(self) -> None:
        await self.modbus.start()
        if self._real_time:
            self._thread.start()
            if self._bench.plc.opcua.enabled:
                await self.opcua.start()

    async def step(self) -> None:
        if not self._real_time:
            self.emulator.scan()
        elif not self._thread.running:
            self._thread.stop()

    async def stop(self) -> None:
        if self._real_time:
            self._thread.stop()
            await self.opcua.stop()
        await self.modbus.stop()

    def facts(self) -> Facts:
        image = self.emulator.image.snapshot()
        return {"scan": int(image["plc.scan"]), "overruns": self._thread.overruns, "modbus": self.modbus.port}

    def _next_boot(self) -> int:
        """The restart counter, one more each time; kept so that a restarted PLC is told from a running one."""
        path = Paths(self._bench.data).plc_boot
        boot = (int(path.read_text(encoding="ascii")) + 1) & COUNTER_MASK if path.is_file() else 1
        write_atomic(path, str(boot).encode(), durable=True)
        return boot
