"""The role `plc` of a physical PLC that the bench shows on servers of its own."""

from testbed.plc.bridge import Bridge
from testbed.rig.bench import Bench
from testbed.rig.devices import device_of
from testbed.rig.roles.role import Facts
from testbed.rig.roles.servers import Servers


class BridgeRole:
    """Polls the PLC each scan period and shows the same tags by Modbus TCP and OPC UA; what is written goes to it.

    time_scale: how much more often it scans, where it is an emulated one that has another time than the wall.
    """

    def __init__(self, bench: Bench, *, time_scale: float = 1.0) -> None:
        self.period_s = bench.plc.scan_ms / 1000 / time_scale
        self.bridge = Bridge(bench.shown, device_of(bench))
        self._servers = Servers(bench, self.bridge)

    async def start(self) -> None:
        """Serve; until the PLC answers, every tag is without a value."""
        await self._servers.start()

    async def step(self) -> None:
        self._servers.check()
        await self.bridge.step()

    async def stop(self) -> None:
        await self._servers.stop()
        await self.bridge.close()

    def facts(self) -> Facts:
        return {"polls": self.bridge.polls, "refused": self.bridge.refused, "modbus": self._servers.modbus.port}
