"""The role `plc` of a physical PLC that the bench shows on servers of its own."""

from testbed.core.clock import SystemClock
from testbed.guard.controller import GuardedController
from testbed.plc.bridge import Bridge
from testbed.rig.bench import Bench
from testbed.rig.devices import device_of
from testbed.rig.roles.role import Facts
from testbed.rig.roles.servers import Servers
from testbed.rig.safety import policy_of, safe_state_of


class BridgeRole:
    """Polls the PLC each scan period and shows the same tags on the bench's own servers.

    What is written there goes to the PLC as far as the write policy allows; without a policy the safe state alone.
    time_scale: how much more often it scans, where it is an emulated one that has another time than the wall.
    """

    def __init__(self, bench: Bench, *, time_scale: float = 1.0) -> None:
        self.period_s = bench.plc.scan_ms / 1000 / time_scale
        always = safe_state_of(bench).settings
        guarded = GuardedController(device_of(bench), policy_of(bench, None), SystemClock(), always=always)
        self.bridge = Bridge(bench.shown, guarded, {tag.name: tag.deadband for tag in bench.plc.tag if tag.deadband})
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
        return {
            "polls": self.bridge.polls,
            "refused": self.bridge.refused,
            "lost": self.bridge.lost,
            "modbus": self._servers.modbus.port,
        }
