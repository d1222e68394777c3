"""The bench's own servers of a PLC: Modbus TCP and OPC UA over one process image, and those that a bench file adds."""

import asyncio
import gc
from typing import Protocol

from testbed.core.clock import Clock
from testbed.fieldbus.modbus_access import Access as ModbusAccess
from testbed.fieldbus.modbus_serial_server import ModbusSerialServer
from testbed.fieldbus.modbus_server import ModbusServer
from testbed.fieldbus.modbus_transports import Serial
from testbed.fieldbus.opcua_access import Access as OpcUaAccess
from testbed.fieldbus.opcua_access import Role
from testbed.fieldbus.opcua_server import OpcUaServer
from testbed.fieldbus.signed_frames import FrameSource
from testbed.fieldbus.source import ImageSource
from testbed.keys.certificates import role_of
from testbed.keys.trust import TrustList
from testbed.rig.bench import Bench
from testbed.rig.papers import keep_papers
from testbed.rig.paths import Paths
from testbed.rig.ports import check_ports

_PUBLISH_S = 0.05
"""How often changed values go to OPC UA subscribers, s."""


class _Server(Protocol):
    async def start(self) -> None: ...
    async def stop(self) -> None: ...


class Servers:
    """`image`, served as the bench file says.

    clock: None for real time; otherwise `publish` is called after each scan, and Modbus TCP and OPC UA take ports that
    the system chooses; there are no others then. frames: of a PLC that signs its scans.
    """

    def __init__(
        self, bench: Bench, image: ImageSource, clock: Clock | None = None, frames: FrameSource | None = None
    ) -> None:
        self._bench = bench
        self._image = image
        self._frames = frames
        self._clock = clock
        self._real_time = real_time = clock is None
        plc = bench.plc
        self.modbus = ModbusServer(
            bench.shown, image, plc.modbus.host, plc.modbus.port if real_time else 0, plc.modbus.unit, frames=frames
        )
        self.opcua = self._opcua(None)
        read_by_opcua = any(reader.protocol == "opcua" for reader in bench.readers)
        self._serves_opcua = plc.opcua.enabled and (real_time or read_by_opcua)
        self._others: list[_Server] = []
        self._opening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Serve Modbus; in real time OPC UA follows a second later. Raises UsageError where a port is in use."""
        if not self._real_time:
            await self.modbus.start()
            if self._serves_opcua:
                await self.opcua.start()
            return
        await check_ports(self._bench, "plc")  # of all, before anybody is served
        if self._bench.plc.tls.enabled:
            await asyncio.to_thread(keep_papers, self._bench)
        for server in (self.modbus, *self._asked_for()):
            await server.start()
            self._others.append(server)
        if self._serves_opcua:
            self._opening = asyncio.create_task(self._open_opcua())

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
        for server in reversed(self._others):
            await server.stop()
        await self.modbus.stop()

    def _asked_for(self) -> list[_Server]:
        """Those that only some bench files have."""
        bench, plc, paths = self._bench, self._bench.plc, Paths(self._bench.data)
        found: list[_Server] = []
        if plc.tls.enabled:
            access = ModbusAccess(paths.tls_certificate, paths.tls_key, paths.clients, role_of)
            host, port, unit = plc.tls.host, plc.tls.port, plc.modbus.unit
            secure = ModbusServer(bench.shown, self._image, host, port, unit, access=access, frames=self._frames)
            found.append(secure)
        if plc.serial is not None:
            line = Serial(plc.serial.device, plc.serial.baud, plc.serial.parity, plc.serial.stop_bits)
            found.append(ModbusSerialServer(bench.shown, self._image, line, plc.serial.unit, frames=self._frames))
        return found

    def _opcua(self, access: OpcUaAccess | None) -> OpcUaServer:
        plc, paths, real_time = self._bench.plc, Paths(self._bench.data), self._real_time
        return OpcUaServer(
            self._bench.shown,
            self._image,
            plc.opcua.host,
            plc.opcua.port if real_time else 0,
            plc.name,
            period=_PUBLISH_S if real_time else None,
            clock=self._clock,
            # A simulated bench has no secrets of its own: its keys come from a seed.
            certificate=paths.plc_certificate if real_time else None,
            key=paths.plc_certificate_key if real_time else None,
            access=access,
            frames=self._frames,
        )

    async def _open_opcua(self) -> None:
        await asyncio.to_thread(keep_papers, self._bench)
        if self._bench.plc.opcua.security != "None":
            trusted = TrustList.load(Paths(self._bench.data).clients)
            self.opcua = self._opcua(OpcUaAccess.closed(trusted, anonymous=Role.OPERATOR))
        # The address space is there to stay. A collector that walks it holds scan and servers up, 150 to 250 ms.
        gc.disable()
        try:
            await self.opcua.start()
            gc.freeze()
        finally:
            gc.enable()
