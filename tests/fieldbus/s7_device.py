"""A PLC of the conformance suite behind python-snap7's server: what is written to it is collected, as a scan would."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from snap7.datatypes import S7Area
from snap7.server import Server
from snap7.type import SrvArea

from testbed.core.tags import ByteOrder, DataType, Tag, Value
from testbed.fieldbus.registers import decode, encode
from testbed.fieldbus.s7_address import address_of
from testbed.fieldbus.s7_client import S7Controller

LOCAL = "127.0.0.1"
SIZE = 2000


class Collecting(Server):
    """python-snap7's server, in which a write changes nothing until somebody takes it. stop ends all connections."""

    def __init__(self, tags: Sequence[Tag]) -> None:
        super().__init__(log=False)
        self.block = bytearray(SIZE)
        self.register_area(SrvArea.DB, 1, self.block)
        self.taken: dict[str, Value] = {}
        self._tags = {address_of(tag).byte: tag for tag in tags}
        self._guard = threading.Lock()
        self._sockets: set[socket.socket] = set()

    def _write_to_memory_area(self, area: S7Area, db_number: int, start: int, write_data: bytearray) -> bool:
        tag = self._tags.get(start)
        if (area, db_number) != (S7Area.DB, 1) or tag is None:
            return False
        value = decode(tag, bytes(write_data))
        allowed = tag.writable and (tag.type is DataType.BOOL or tag.low <= value <= tag.high)
        if allowed:
            self.taken[tag.name] = value
        return allowed

    def _handle_client(self, client_socket: socket.socket, address: tuple[str, int]) -> None:
        with self._guard:
            self._sockets.add(client_socket)
        super()._handle_client(client_socket, address)
        with self._guard:
            self._sockets.discard(client_socket)

    def stop(self) -> int:
        with self._guard:
            for one in self._sockets:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
        return super().stop()


class OverS7:
    """Values in data block 1."""

    controller: S7Controller

    def __init__(self, served: Sequence[Tag]) -> None:
        self._tags = [replace(tag, modbus=replace(tag.modbus, byte_order=ByteOrder.ABCD)) for tag in served]
        self._server = Collecting(self._tags)
        self.port = 0

    def show(self, values: Mapping[str, Value]) -> None:
        whole = bytearray(SIZE)
        for tag in self._tags:
            raw, at = encode(tag, values[tag.name]), address_of(tag).byte
            whole[at : at + len(raw)] = raw
        self._server.lock_area(SrvArea.DB, 1)
        self._server.block[:] = whole
        self._server.unlock_area(SrvArea.DB, 1)

    def written(self) -> Mapping[str, Value]:
        taken, self._server.taken = self._server.taken, {}
        return taken

    async def start(self) -> None:
        await asyncio.to_thread(self._server.start_to, LOCAL, self.port)
        assert self._server.server_socket is not None
        self.port = self._server.server_socket.getsockname()[1]

    async def stop(self) -> None:
        await asyncio.to_thread(self._server.stop)


@asynccontextmanager
async def s7(tags: Sequence[Tag], served: Sequence[Tag], counted: bool) -> AsyncIterator[OverS7]:
    """S7."""
    device = OverS7(served)
    await device.start()
    names = ("plc.scan", "plc.boot") if counted else (None, None)
    device.controller = S7Controller(tags, LOCAL, device.port, *names, timeout=5.0)
    try:
        yield device
    finally:
        await device.controller.close()
        await device.stop()
