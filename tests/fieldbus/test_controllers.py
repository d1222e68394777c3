"""What every way to a PLC must do: one suite, and below the list of implementations that it runs on.

An implementation is a line in IMPLEMENTATIONS: a function that gives a PLC which shows what it is told, and a
`Controller` that reaches it.
"""

import struct
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest

from testbed.core.errors import DeviceError, DeviceRefused, UsageError
from testbed.core.tags import ByteOrder, DataType, ModbusAddress, ModbusTable, Tag, Value
from testbed.fieldbus.controller import Controller
from testbed.fieldbus.modbus_access import Access
from testbed.fieldbus.modbus_client import ModbusController
from testbed.fieldbus.modbus_serial_server import ModbusSerialServer
from testbed.fieldbus.modbus_server import ModbusServer
from testbed.fieldbus.modbus_transports import RtuOverTcp, Serial, Tcp, Tls
from testbed.fieldbus.registers import decode
from testbed.keys.certificates import role_of
from testbed.plc.image import ProcessImage
from tests.fieldbus.certificates import certified
from tests.fieldbus.opcua_devices import House, OpcUaWays
from tests.fieldbus.ptys import cable

LOCAL = "127.0.0.1"
PATIENCE_S = 5.0
BAUD = 115200
SCAN, BOOT = "plc.scan", "plc.boot"


class Device(Protocol):
    """A PLC of the tests, and the controller that reaches it, which nobody has connected yet."""

    @property
    def controller(self) -> Controller: ...
    def show(self, values: Mapping[str, Value]) -> None:
        """From now on the PLC shows these values, one for each tag, in engineering units."""

    def written(self) -> Mapping[str, Value]:
        """What arrived in writes since this was asked last, by tag name."""
        ...

    async def stop(self) -> None:
        """The PLC is gone: nobody answers in its place."""

    async def start(self) -> None:
        """It is there again, where it was."""


Make = Callable[[Sequence[Tag], Sequence[Tag], bool], AbstractAsyncContextManager[Device]]
"""(tags of the controller, the same tags as the PLC itself has them, whether the PLC counts its scans)"""


@dataclass(frozen=True, slots=True)
class Implementation:
    """make: as above; stops: the PLC can be gone; refuses: it refuses by itself what its own tags cannot hold."""

    name: str
    make: Make
    stops: bool = True
    refuses: bool = True
    vendor: str = "Attestbed"


class Image:
    """A device whose server stands in front of a process image."""

    controller: Controller

    def __init__(self, tags: Sequence[Tag]) -> None:
        self.image = ProcessImage(tags, {tag.name: blank(tag) for tag in tags})

    def show(self, values: Mapping[str, Value]) -> None:
        self.image.publish(values)

    def written(self) -> Mapping[str, Value]:
        return self.image.take_writes()


class OverTcp(Image):
    """A server on a port of its own."""

    def __init__(self, served: Sequence[Tag], access: Access | None = None, *, rtu: bool = False) -> None:
        super().__init__(served)
        self._serve = partial(ModbusServer, served, self.image, LOCAL, access=access, rtu=rtu)
        self._server = self._serve()

    async def start(self) -> None:
        self._server = self._serve(port=self._server.port)
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop()

    @property
    def port(self) -> int:
        return self._server.port


class OnLine(Image):
    """A server on a serial line."""

    def __init__(self, served: Sequence[Tag], line: Serial) -> None:
        super().__init__(served)
        self._server = ModbusSerialServer(served, self.image, line)

    async def start(self) -> None:
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop()


@asynccontextmanager
async def tcp(tags: Sequence[Tag], served: Sequence[Tag], counted: bool) -> AsyncIterator[Device]:
    """Modbus/TCP."""
    device = OverTcp(served)
    await device.start()
    device.controller = ModbusController(tags, Tcp(LOCAL, device.port), 1, *counters(counted), timeout=PATIENCE_S)
    async with _held(device):
        yield device


@asynccontextmanager
async def rtu_over_tcp(tags: Sequence[Tag], served: Sequence[Tag], counted: bool) -> AsyncIterator[Device]:
    """RTU frames over TCP."""
    device = OverTcp(served, rtu=True)
    await device.start()
    way = RtuOverTcp(LOCAL, device.port)
    device.controller = ModbusController(tags, way, 1, *counters(counted), timeout=PATIENCE_S)
    async with _held(device):
        yield device


@asynccontextmanager
async def tls(tags: Sequence[Tag], served: Sequence[Tag], counted: bool) -> AsyncIterator[Device]:
    """Modbus/TCP Security."""
    with tempfile.TemporaryDirectory() as folder:
        server, client = certified(Path(folder), "server"), certified(Path(folder), "client", "operator")
        device = OverTcp(served, access=Access(*server, client[0], role_of))
        await device.start()
        way = Tls(LOCAL, device.port, *client, server[0])
        device.controller = ModbusController(tags, way, 1, *counters(counted), timeout=PATIENCE_S)
        async with _held(device):
            yield device


@asynccontextmanager
async def rtu(tags: Sequence[Tag], served: Sequence[Tag], counted: bool) -> AsyncIterator[Device]:
    """RTU on a serial line."""
    with cable() as line:
        device = OnLine(served, Serial(line.far, BAUD, "N"))
        await device.start()
        # A line that is dead is found out by waiting alone.
        device.controller = ModbusController(tags, Serial(line.near, BAUD, "N"), 1, *counters(counted), timeout=1.0)
        async with _held(device):
            yield device


@asynccontextmanager
async def _held(device: "OverTcp | OnLine") -> AsyncIterator[None]:
    try:
        yield
    finally:
        await device.controller.close()
        await device.stop()


OPCUA = OpcUaWays()

IMPLEMENTATIONS = (
    Implementation("modbus-tcp", tcp),
    Implementation("modbus-tls", tls),
    Implementation("modbus-rtu", rtu),
    Implementation("modbus-rtu-tcp", rtu_over_tcp),
    Implementation("opcua-none", OPCUA.plain),
    Implementation("opcua-user", OPCUA.by_name),
    Implementation("opcua-certificate", OPCUA.by_certificate),
)


def counters(counted: bool) -> tuple[str | None, str | None]:
    """Names of the scan counter and the restart counter."""
    return (SCAN, BOOT) if counted else (None, None)


def blank(tag: Tag) -> Value:
    """Zero, or off."""
    if tag.type is DataType.BOOL:
        return False
    return 0.0 if tag.scaled or tag.type in (DataType.FLOAT32, DataType.FLOAT64) else 0


LIMITS = {
    DataType.BOOL: (0, 1),
    DataType.INT16: (-(2**15), 2**15 - 1),
    DataType.UINT16: (0, 2**16 - 1),
    DataType.INT32: (-(2**31), 2**31 - 1),
    DataType.UINT32: (0, 2**32 - 1),
    DataType.FLOAT32: (-3e38, 3e38),
    DataType.FLOAT64: (-1e308, 1e308),
}
S7 = {1: "DBX{}.0", 2: "DBW{}", 4: "DBD{}", 8: "DBL{}"}


def layout() -> tuple[Tag, ...]:
    """Counters; each type in each byte order, in a table that can be written and in one that cannot; scaled ones."""
    tags: list[Tag] = []
    ends = dict.fromkeys(ModbusTable, 0)
    places = 0

    def put(
        name: str, kind: DataType, table: ModbusTable, order: ByteOrder, scale: float = 1.0, offset: float = 0.0
    ) -> None:
        nonlocal places
        low, high = (held * scale + offset for held in LIMITS[kind])
        at = ModbusAddress(table, ends[table], order)
        s7 = "DB1." + S7[kind.size].format(places)
        tags.append(Tag(name, kind, "", low, high, table.is_writable, at, name, scale, offset, None, s7))
        ends[table] += max(1, kind.size // 2) + 1
        places += max(2, kind.size)

    put(SCAN, DataType.UINT32, ModbusTable.INPUT_REGISTER, ByteOrder.ABCD)
    put(BOOT, DataType.UINT32, ModbusTable.INPUT_REGISTER, ByteOrder.ABCD)
    for table in ModbusTable:
        for kind in DataType:
            if (kind is DataType.BOOL) is table.is_bit:
                for order in ByteOrder:
                    put(f"{table.value}.{kind.value}.{order.value}", kind, table, order)
    put("scaled.tenths", DataType.INT16, ModbusTable.HOLDING_REGISTER, ByteOrder.ABCD, 0.1, -40.0)
    put("scaled.thousandths", DataType.UINT32, ModbusTable.HOLDING_REGISTER, ByteOrder.CDAB, 0.001)
    put("scaled.doubled", DataType.FLOAT32, ModbusTable.HOLDING_REGISTER, ByteOrder.DCBA, 2.0, 1.0)
    return tuple(tags)


TAGS = layout()
TAG = {tag.name: tag for tag in TAGS}
_FORMATS = {"int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "float32": ">f", "float64": ">d"}
PATTERNS = (bytes(range(0x11, 0x19)), bytes(range(0xF8, 0xF0, -1)), bytes(8), b"\x41\x20\x03\x04\x05\x06\x07\x08")
"""Bytes of a value, of which no two are the same, or all."""


def values_of(pattern: bytes, scan: int = 1, boot: int = 1) -> dict[str, Value]:
    """A value for each tag whose bytes begin as the pattern does; neighbours differ."""
    values: dict[str, Value] = {}
    for at, tag in enumerate(TAGS):
        if tag.type is DataType.BOOL:
            values[tag.name] = bool(pattern[at % 8] >> (at % 3) & 1)
        elif tag.scaled:
            values[tag.name] = round((at + pattern[0]) * tag.scale, 3) + tag.offset
        else:
            kind = _FORMATS[tag.type.value]
            turned = pattern[:1] + pattern[1 + at % 3 :] + pattern[1 : 1 + at % 3]
            values[tag.name] = struct.unpack(kind, turned[: tag.type.size])[0]
    return {**values, SCAN: scan, BOOT: boot}


async def shown(controller: Controller) -> dict[str, Value]:
    """What one poll says, decoded."""
    poll = await controller.poll()
    assert set(poll.statuses) == {0}
    return {tag.name: decode(tag, raw) for tag, raw in zip(controller.tags, poll.values, strict=True)}


def close_to(values: Mapping[str, Value]) -> dict[str, object]:
    """The same values, but scaled ones as near as their steps let them be."""
    return {
        name: pytest.approx(value, abs=TAG[name].scale / 2) if TAG[name].scaled else value
        for name, value in values.items()
    }


@pytest.fixture(scope="module", autouse=True)
def opcua_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The OPC UA servers of this module."""
    OPCUA.house = House(tmp_path_factory.mktemp("opcua"))
    yield
    OPCUA.house.close()


@pytest.fixture(params=IMPLEMENTATIONS, ids=lambda one: one.name)
def implementation(request: pytest.FixtureRequest) -> Implementation:
    found: Implementation = request.param
    return found


@pytest.fixture
async def device(implementation: Implementation) -> AsyncIterator[Device]:
    """A PLC that counts its scans, connected."""
    async with implementation.make(TAGS, TAGS, True) as device:
        device.show(values_of(PATTERNS[0]))
        await device.controller.connect()
        yield device


async def test_the_tags_are_there_in_order_and_nothing_was_repeated(device: Device) -> None:
    assert [tag.name for tag in device.controller.tags] == [tag.name for tag in TAGS]
    await device.controller.poll()
    assert device.controller.repeats == 0


@pytest.mark.parametrize("pattern", PATTERNS, ids=bytes.hex)
async def test_a_poll_shows_each_type_in_each_byte_order(device: Device, pattern: bytes) -> None:
    values = values_of(pattern, 7, 3)
    device.show(values)
    assert await shown(device.controller) == close_to(values)


async def test_the_twin_one_bit_flipped_is_told_apart(device: Device) -> None:
    values = values_of(PATTERNS[0])
    for name in (f"holding_register.uint32.{order.value}" for order in ByteOrder):
        device.show({**values, name: int(values[name]) ^ 1})
        assert await shown(device.controller) != close_to(values)


async def test_connecting_and_closing_twice_is_fine(device: Device) -> None:
    await device.controller.connect()
    await device.controller.connect()
    assert (await device.controller.poll()).scan == 1
    await device.controller.close()
    await device.controller.close()
    with pytest.raises(DeviceError, match="connect"):
        await device.controller.poll()
    with pytest.raises(DeviceError, match="connect"):
        await device.controller.write(TAG["coil.bool.ABCD"], True)
    await device.controller.connect()
    assert (await device.controller.poll()).scan == 1


async def test_who_never_connected_is_told_so(implementation: Implementation) -> None:
    async with implementation.make(TAGS, TAGS, True) as device:
        with pytest.raises(DeviceError, match="connect"):
            await device.controller.poll()
        with pytest.raises(DeviceError, match="connect"):
            await device.controller.identify()
        with pytest.raises(DeviceError, match="connect"):
            await device.controller.write(TAG["coil.bool.ABCD"], True)
        assert device.written() == {}
        await device.controller.close()


@pytest.mark.parametrize("pattern", PATTERNS, ids=bytes.hex)
async def test_what_is_written_arrives_and_is_read_back(device: Device, pattern: bytes) -> None:
    shows = values_of(PATTERNS[2])
    writes = {name: value for name, value in values_of(pattern).items() if TAG[name].writable}
    device.show(shows)
    for name, value in writes.items():
        await device.controller.write(TAG[name], value)
        assert device.written() == {name: close_to({name: value})[name]}
    device.show({**shows, **writes})
    assert await shown(device.controller) == close_to({**shows, **writes})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("holding_register.int16.ABCD", 2**15),
        ("holding_register.uint32.CDAB", -1),
        ("holding_register.float32.ABCD", float("nan")),
        ("holding_register.float32.ABCD", 1e39),
        ("holding_register.int32.ABCD", 1.5),
        ("holding_register.uint16.BADC", True),
        ("coil.bool.ABCD", 1),
        ("scaled.tenths", 4000.0),
        ("input_register.uint16.ABCD", 1),
        ("discrete_input.bool.ABCD", True),
    ],
)
async def test_what_a_tag_cannot_hold_is_wrong_usage_and_is_never_sent(device: Device, name: str, value: Value) -> None:
    with pytest.raises(UsageError, match=name.replace(".", r"\.")):
        await device.controller.write(TAG[name], value)
    assert device.written() == {}


async def test_what_the_plc_refuses_has_no_effect_and_the_connection_goes_on(implementation: Implementation) -> None:
    if not implementation.refuses:
        pytest.skip("this PLC takes whatever it is given")
    name, closed = "holding_register.uint16.ABCD", "coil.bool.ABCD"
    narrower = {name: replace(TAG[name], high=100.0), closed: replace(TAG[closed], writable=False)}
    served = [narrower.get(tag.name, tag) for tag in TAGS]
    async with implementation.make(TAGS, served, True) as device:
        device.show(values_of(PATTERNS[0]) | {name: 5})
        await device.controller.connect()
        with pytest.raises(DeviceRefused, match=name.replace(".", r"\.")):
            await device.controller.write(TAG[name], 101)
        with pytest.raises(DeviceRefused, match=closed.replace(".", r"\.")):
            await device.controller.write(TAG[closed], True)
        assert device.written() == {}
        await device.controller.write(TAG[name], 100)
        assert device.written() == {name: 100}
        assert (await shown(device.controller))[name] == 5


async def test_scan_and_restart_counters_are_those_of_the_plc(device: Device) -> None:
    for scan, boot in ((2, 1), (2**32 - 1, 1), (0, 2**31)):
        device.show(values_of(PATTERNS[1], scan, boot))
        poll = await device.controller.poll()
        assert (poll.boot, poll.scan) == (boot, scan)


async def test_a_plc_that_does_not_count_is_read_all_the_same(implementation: Implementation) -> None:
    tags = [tag for tag in TAGS if tag.name not in (SCAN, BOOT)]
    async with implementation.make(tags, tags, False) as device:
        values = {name: value for name, value in values_of(PATTERNS[1]).items() if name not in (SCAN, BOOT)}
        device.show(values)
        await device.controller.connect()
        poll = await device.controller.poll()
        assert (poll.boot, poll.scan) == (0, None)
        assert await shown(device.controller) == close_to(values)


async def test_the_device_says_who_it_is(device: Device, implementation: Implementation) -> None:
    identity = await device.controller.identify()
    assert identity.vendor == implementation.vendor
    assert (await device.controller.poll()).scan == 1


async def test_where_nobody_answers_is_a_device_error(device: Device, implementation: Implementation) -> None:
    if not implementation.stops:
        pytest.skip("this PLC is a part of the process")
    await device.controller.close()
    await device.stop()
    with pytest.raises(DeviceError):  # a serial line is there although no device is
        await connect_and_poll(device.controller)


async def test_a_plc_that_goes_in_the_middle_is_one_device_error_and_is_found_again(
    device: Device, implementation: Implementation
) -> None:
    if not implementation.stops:
        pytest.skip("this PLC is a part of the process")
    await device.controller.poll()
    await device.stop()
    with pytest.raises(DeviceError):
        await device.controller.poll()
    await device.start()
    device.show(values_of(PATTERNS[3], 9, 2))
    await device.controller.connect()
    assert await shown(device.controller) == close_to(values_of(PATTERNS[3], 9, 2))
    await device.controller.write(TAG["holding_register.uint16.ABCD"], 77)
    assert device.written() == {"holding_register.uint16.ABCD": 77}


async def connect_and_poll(controller: Controller) -> None:
    await controller.connect()
    await controller.poll()
