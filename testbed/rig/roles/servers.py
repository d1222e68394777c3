"""The bench's own servers of a PLC: Modbus TCP and OPC UA over one process image."""

import asyncio
import gc

from testbed.core.clock import Clock, SystemClock
from testbed.fieldbus.modbus_server import ModbusServer
from testbed.fieldbus.opcua_server import APPLICATION_URI, OpcUaServer
from testbed.fieldbus.source import ImageSource
from testbed.keys.certificates import keep_certificate
from testbed.rig.bench import Bench
from testbed.rig.paths import Paths
from testbed.rig.ports import check_ports

_PUBLISH_S = 0.05
"""How often changed values go to OPC UA subscribers, s."""


class Servers:
    """`image`, served as the bench file says.

    clock: None for real time; otherwise `publish` is called after each scan, and the servers take ports that the
    system chooses.
    """

    def __init__(self, bench: Bench, image: ImageSource, clock: Clock | None = None) -> None:
        self._bench = bench
        self._real_time = real_time = clock is None
        plc, paths = bench.plc, Paths(bench.data)
        modbus_port, opcua_port = (plc.modbus.port, plc.opcua.port) if real_time else (0, 0)
        self.modbus = ModbusServer(bench.shown, image, plc.modbus.host, modbus_port, plc.modbus.unit)
        self.opcua = OpcUaServer(
            bench.shown,
            image,
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
        self._opening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Serve Modbus; in real time OPC UA follows a second later. Raises UsageError where a port is in use."""
        if self._real_time:
            await check_ports(self._bench, "plc")  # of both, before anybody is served
        await self.modbus.start()
        if self._serves_opcua and self._real_time:
            self._opening = asyncio.create_task(self._open_opcua())
        elif self._serves_opcua:
            await self.opcua.start()

    def check(self) -> None:
        """Raises what kept OPC UA from being served."""
        if self._opening is not None and self._opening.done():
            self._opening.result()

    async def publish(self) -> None:
        """Show subscribers the newest scan; in real time it goes by itself."""
        await self.opcua.publish()

    async def stop(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        await self.opcua.stop()
        await self.modbus.stop()

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
