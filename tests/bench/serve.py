"""A server to measure against: `serve.py KIND [COUNT [FOLDER]]` prints its port and ends when its input does.

cell: the water cell's tags over Modbus, standing still. numbers: counters and COUNT floats over Modbus, standing still;
rtu, tls: the same in RTU frames over TCP, or over TLS with the certificates of FOLDER. serial: the same on one end of a
pair of pseudo-terminals; what it prints is the number of the other. units: the same behind each unit of a gateway.
opcua, asyncua: COUNT floats that all change each PERIOD_S, served by ours and by asyncua as it is. still: counters and
COUNT floats over OPC UA, standing still, with server.der and server.pem of FOLDER.
"""

import asyncio
import contextlib
import itertools
import logging
import sys
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC
from functools import partial
from pathlib import Path

from asyncua import ua
from asyncua.server.server import Server

from testbed.core.tags import Tag, Value
from testbed.fieldbus.modbus_access import Access
from testbed.fieldbus.modbus_frames import HEADER, Frame, encode_frame
from testbed.fieldbus.modbus_identity import DeviceIdentity
from testbed.fieldbus.modbus_memory import Memory
from testbed.fieldbus.modbus_requests import Requests
from testbed.fieldbus.modbus_serial_server import ModbusSerialServer
from testbed.fieldbus.modbus_server import ConnectionLimits, ModbusServer
from testbed.fieldbus.modbus_station import TcpStation
from testbed.fieldbus.modbus_transports import Serial
from testbed.fieldbus.opcua_server import OpcUaServer
from testbed.keys.certificates import role_of
from testbed.plc.emulator import Emulator
from testbed.plc.image import ProcessImage
from testbed.rig.bench import load_bench
from tests.bench.measure import numbers
from tests.fieldbus.ptys import cable

PERIOD_S = 0.05
CONNECTIONS = 64


async def cell() -> None:
    """The water cell after one scan."""
    tags = load_bench(None).tags
    plc = Emulator(tags, seed=1, scan_s=0.05)
    plc.scan()
    await _modbus(ModbusServer(tags, plc.image))


async def still_numbers(count: int, access: Access | None = None, *, rtu: bool = False) -> None:
    """Numbers in one table."""
    tags = numbers(count)
    limits = ConnectionLimits(connections=CONNECTIONS)
    await _modbus(ModbusServer(tags, ProcessImage(tags, standing(tags)), limits=limits, access=access, rtu=rtu))


async def numbers_over_tls(count: int, folder: Path) -> None:
    """The same for clients of that folder's certificate."""
    access = Access(folder / "server.pem", folder / "server.key", folder / "client.pem", role_of)
    await still_numbers(count, access)


async def numbers_on_a_line(count: int) -> None:
    """The same on a serial line."""
    tags = numbers(count)
    with cable() as ends:
        server = ModbusSerialServer(tags, ProcessImage(tags, standing(tags)), Serial(ends.far, 115_200, "N"))
        await server.start()
        await _until_the_end(int(Path(ends.near).name))
        await server.stop()


class Units(TcpStation):
    """A gateway whose every unit shows the same."""

    def answer(self, frame: Frame, may_write: bool) -> bytes | None:
        found = super().answer(frame._replace(unit=1), may_write)
        return None if found is None else encode_frame(frame.transaction, frame.unit, found[HEADER.size :])


async def numbers_of_units(count: int) -> None:
    """The same behind a gateway."""
    tags = numbers(count)
    server = ModbusServer(tags, source := ProcessImage(tags, standing(tags)))
    server.station = Units(Requests(Memory(tags, source), DeviceIdentity()), 1)
    await _modbus(server)


def standing(tags: list[Tag]) -> dict[str, Value]:
    """What all of them show."""
    return {tag.name: 1 if tag.name.startswith("plc.") else 0.5 for tag in tags}


async def _modbus(server: ModbusServer) -> None:
    await server.start()
    await _until_the_end(server.port)
    await server.stop()


class Changing:
    """An image in which every value differs from one look to the next."""

    def __init__(self, tags: list[Tag]) -> None:
        self._names = [tag.name for tag in tags]
        self._looks = itertools.count()

    def snapshot(self) -> Mapping[str, Value]:
        value = float(next(self._looks) % 1000)
        return dict.fromkeys(self._names, value)

    def latest(self, name: str) -> Value:
        return self.snapshot()[name]

    def write(self, name: str, value: Value) -> None:
        """Nothing is written here."""

    def write_all(self, values: Mapping[str, Value]) -> None:
        """Nothing is written here."""


async def opcua(count: int) -> None:
    """Our server."""
    tags = numbers(count)[2:]
    server = OpcUaServer(tags, Changing(tags), period=PERIOD_S)
    await server.start()
    await _until_the_end(server.port)
    await server.stop()


async def still_nodes(count: int, folder: Path) -> None:
    """Numbers in nodes."""
    tags = numbers(count)
    files = folder / "server.der", folder / "server.pem"
    server = OpcUaServer(tags, ProcessImage(tags, standing(tags)), period=None, certificate=files[0], key=files[1])
    await server.start()
    await _until_the_end(server.port)
    await server.stop()


async def asyncua(count: int) -> None:
    """The library by itself, written to in the quickest way that it has."""
    server = Server()
    await server.init()
    server.set_endpoint("opc.tcp://127.0.0.1:0/attestbed")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = await server.register_namespace("urn:attestbed:cell")
    folders, nodes = {}, []
    for tag in numbers(count)[2:]:
        path, _, leaf = tag.name.partition(".")
        if path not in folders:
            folders[path] = await server.nodes.objects.add_folder(index, path)
        name = ua.NodeId(ua.String(tag.opcua), ua.Int16(index))
        nodes.append((await folders[path].add_variable(name, leaf, 0.0, ua.VariantType.Float)).nodeid)
    await server.start()
    assert server.bserver is not None  # it has started

    async def change() -> None:
        for look in itertools.count():
            now = ua.DateTime.now(UTC)
            for node in nodes:
                variant = ua.Variant(float(look % 1000), ua.VariantType.Float)
                value = ua.DataValue(variant, SourceTimestamp=now, ServerTimestamp=now)
                await server.write_attribute_value(node, value)
            await asyncio.sleep(PERIOD_S)

    changing = asyncio.create_task(change())
    await _until_the_end(server.bserver.port)
    changing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await changing
    await server.stop()


async def _until_the_end(port: int) -> None:
    print(port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def main(kind: str, count: str = "0", folder: str = "") -> None:
    """Serve."""
    logging.disable(logging.ERROR)
    served: dict[str, Callable[[int], Coroutine[None, None, None]]] = {
        "cell": lambda _: cell(),
        "numbers": still_numbers,
        "rtu": partial(still_numbers, rtu=True),
        "tls": lambda count: numbers_over_tls(count, Path(folder)),
        "serial": numbers_on_a_line,
        "units": numbers_of_units,
        "opcua": opcua,
        "asyncua": asyncua,
        "still": lambda count: still_nodes(count, Path(folder)),
    }
    asyncio.run(served[kind](int(count)))


if __name__ == "__main__":
    main(*sys.argv[1:])
