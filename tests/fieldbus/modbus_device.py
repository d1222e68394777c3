"""A Modbus/TCP device or gateway of the tests, that answers as it is told to: also too late, wrongly, or not at all."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

from testbed.core.tags import DataType, ModbusAddress, ModbusTable, Tag

LOCAL = "127.0.0.1"
Answering = Callable[[bytes], Awaitable[bytes | None]]
"""A request's PDU to that of its answer; None for silence."""


class Device:
    """units: how each unit answers; any other is unknown to the gateway, which says 0B. It serves one client at a time.

    asked: (unit, PDU) of each request; opened: connections that there were; raw: when set, sent instead of an answer,
    with the header of the request filled in by whoever wrote it.
    """

    def __init__(self, units: Mapping[int, Answering]) -> None:
        self.units = dict(units)
        self.asked: list[tuple[int, bytes]] = []
        self.opened = 0
        self.raw: Callable[[bytes], bytes] | None = None
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, LOCAL, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Nobody listens any more, and all connections end."""
        if self._server is not None:
            self._server.close()
            self.drop()
            if self._tasks:
                await asyncio.wait(self._tasks)
            await self._server.wait_closed()
            self._server = None

    def drop(self) -> None:
        """End all connections."""
        for writer in self._writers:
            writer.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.opened += 1
        self._writers.add(writer)
        self._tasks.add(task)
        try:
            while True:
                header = await reader.readexactly(7)
                pdu = await reader.readexactly(int.from_bytes(header[4:6], "big") - 1)
                self.asked.append((header[6], pdu))
                if self.raw is not None:
                    writer.write(self.raw(header + pdu))
                    continue
                answering = self.units.get(header[6], nobody)
                answer = await answering(pdu)
                if answer is not None:
                    writer.write(frame(header, answer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self._writers.discard(writer)
            self._tasks.discard(task)


def frame(header: bytes, pdu: bytes) -> bytes:
    """The frame that answers a request with this header."""
    return header[:4] + (len(pdu) + 1).to_bytes(2, "big") + header[6:7] + pdu


@asynccontextmanager
async def device(units: Mapping[int, Answering]) -> AsyncIterator[Device]:
    """A device while it serves."""
    served = Device(units)
    await served.start()
    try:
        yield served
    finally:
        await served.stop()


async def nobody(pdu: bytes) -> bytes | None:
    """A unit that the gateway cannot reach."""
    return bytes((pdu[0] | 0x80, 0x0B))


async def silent(pdu: bytes) -> bytes | None:  # noqa: ARG001  # whatever is asked
    """A unit that never answers."""
    return None


def holding(registers: Mapping[int, int], code: int = 2) -> Answering:
    """A unit with these holding registers and no other ones: reads and writes of others are refused with `code`."""
    held = dict(registers)

    async def answer(pdu: bytes) -> bytes | None:
        function, address, count = struct.unpack(">BHH", pdu[:5])
        if function == 6:
            if address not in held:
                return bytes((0x86, code))
            held[address] = count
            return pdu
        if function != 3:
            return bytes((function | 0x80, 1))
        if any(at not in held for at in range(address, address + count)):
            return bytes((0x83, code))
        return bytes((3, 2 * count)) + struct.pack(f">{count}H", *(held[address + at] for at in range(count)))

    return answer


def slow(answering: Answering, seconds: float) -> Answering:
    """The same, so much later."""

    async def answer(pdu: bytes) -> bytes | None:
        await asyncio.sleep(seconds)  # that is what it does: it is slow
        return await answering(pdu)

    return answer


def words(addresses: Iterable[int], unit: int | None = None) -> list[Tag]:
    """UINT16 tags at holding registers, named by unit and address."""
    return [
        Tag(
            f"u{unit}.r{at}",
            DataType.UINT16,
            "",
            0,
            65535,
            True,
            ModbusAddress(ModbusTable.HOLDING_REGISTER, at),
            f"r{at}",
            unit_id=unit,
        )
        for at in addresses
    ]
