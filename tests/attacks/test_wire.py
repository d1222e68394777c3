"""The men in the middle on real wires: one tag changes on its way, and not a byte besides."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.ua_binary import struct_to_binary
from pymodbus.client import AsyncModbusTcpClient

from testbed.attacks.opcua_bytes import values_in
from testbed.attacks.relay import HOST, Relay
from testbed.attacks.values import another
from testbed.attacks.wire import ModbusInTheMiddle, OpcUaInTheMiddle
from testbed.core.errors import DeviceError
from testbed.core.tags import Tag
from testbed.fieldbus.modbus_client import ModbusController
from testbed.fieldbus.modbus_frames import encode_frame
from testbed.fieldbus.modbus_server import ModbusServer
from testbed.fieldbus.modbus_transports import Tcp
from testbed.fieldbus.opcua_client import OpcUaReader
from testbed.fieldbus.opcua_security import Security
from testbed.fieldbus.opcua_server import OpcUaServer
from testbed.fieldbus.registers import as_read
from testbed.plc.emulator import Emulator
from testbed.rig.bench import load_bench

TAGS = load_bench(None).tags
OPCUA_TAGS = as_read(TAGS)
TAG = {tag.name: tag for tag in TAGS}
LEVEL = TAG["control.level_setpoint"]

# Building the address space of OPC UA takes more than a second: one server for the module.
pytestmark = pytest.mark.asyncio(loop_scope="module")


class Plc:
    """A PLC that is scanned by hand, served by both protocols."""

    def __init__(self) -> None:
        self.emulator = Emulator(TAGS, seed=5, boot=2)
        self.modbus = ModbusServer(TAGS, self.emulator.image)
        self.opcua = OpcUaServer(TAGS, self.emulator.image, period=None)

    def shows(self, tag: Tag) -> object:
        """The tag's value after another scan."""
        self.emulator.scan()
        return self.emulator.image.snapshot()[tag.name]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plc() -> AsyncIterator[Plc]:
    found = Plc()
    found.emulator.scan()
    await found.modbus.start()
    await found.opcua.start()
    yield found
    await found.opcua.stop()
    await found.modbus.stop()


@asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[int]:
    await relay.start()
    try:
        yield relay.port
    finally:
        await relay.close()


async def polled(reader: ModbusController | OpcUaReader) -> tuple[bytes | None, ...]:
    await reader.connect()
    try:
        return (await reader.poll()).values
    finally:
        await reader.close()


def modbus(port: int) -> ModbusController:
    return ModbusController(TAGS, Tcp(HOST, port), timeout=5.0)


def opcua(port: int) -> OpcUaReader:
    return OpcUaReader(
        TAGS,
        f"opc.tcp://{HOST}:{port}/attestbed",
        namespace="urn:attestbed:cell",
        security=Security.none(),
        timeout=5.0,
    )


def but_one(values: tuple[bytes | None, ...], place: int, tag: Tag) -> tuple[bytes | None, ...]:
    raw = values[place]
    assert raw is not None
    return (*values[:place], another(tag, raw), *values[place + 1 :])


async def test_any_tag_is_changed_alone_in_what_modbus_answers(plc: Plc) -> None:
    truth = await polled(modbus(plc.modbus.port))
    for place, tag in enumerate(TAGS):
        async with running(ModbusInTheMiddle(HOST, plc.modbus.port, tag, answers=partial(another, tag))) as port:
            assert await polled(modbus(port)) == but_one(truth, place, tag), tag.name


async def test_any_tag_is_changed_alone_in_what_opc_ua_answers(plc: Plc) -> None:
    await plc.opcua.publish()
    truth = await polled(opcua(plc.opcua.port))
    for place, tag in enumerate(OPCUA_TAGS):
        async with running(OpcUaInTheMiddle(HOST, plc.opcua.port, tag, partial(another, tag))) as port:
            assert await polled(opcua(port)) == but_one(truth, place, tag), tag.name


async def test_who_changes_nothing_is_not_seen(plc: Plc) -> None:
    def same(raw: bytes) -> bytes:
        return raw

    async with (
        running(ModbusInTheMiddle(HOST, plc.modbus.port, LEVEL)) as one,
        running(OpcUaInTheMiddle(HOST, plc.opcua.port, LEVEL, same)) as other,
    ):
        assert await polled(modbus(one)) == await polled(modbus(plc.modbus.port))
        assert await polled(opcua(other)) == await polled(opcua(plc.opcua.port))


@asynccontextmanager
async def commanding(plc: Plc, tag: Tag) -> AsyncIterator[AsyncModbusTcpClient]:
    """A client whose commands to that tag arrive changed."""
    async with running(ModbusInTheMiddle(HOST, plc.modbus.port, tag, commands=partial(another, tag))) as port:
        client = AsyncModbusTcpClient(HOST, port=port, timeout=5, retries=0, reconnect_delay=0)
        assert await client.connect()
        yield client
        client.close()


async def test_a_command_arrives_changed_by_every_function_that_writes(plc: Plc) -> None:
    mode, stop, reset = TAG["control.mode"], TAG["estop.pressed"], TAG["control.reset"]
    async with commanding(plc, mode) as client:
        answer = await client.write_register(mode.modbus.address, 1)
        # The client is told what it wrote.
        assert (answer.isError(), answer.registers) == (False, [1])
        assert plc.shows(mode) == 2
    async with commanding(plc, LEVEL) as client:
        registers = client.convert_to_registers(0.5, client.DATATYPE.FLOAT32)
        assert not (await client.write_registers(LEVEL.modbus.address, registers)).isError()
        assert plc.shows(LEVEL) == 1.5
        # The tag in the midst of others, of which none changes.
        beside = TAG["control.temperature_setpoint"]
        registers += client.convert_to_registers(33.0, client.DATATYPE.FLOAT32)
        assert not (await client.write_registers(LEVEL.modbus.address, registers)).isError()
        assert (plc.shows(LEVEL), plc.shows(beside)) == (1.5, 33.0)
    async with commanding(plc, stop) as client:
        answer = await client.write_coil(stop.modbus.address, value=False)
        assert (answer.isError(), answer.bits[0]) == (False, False)
        assert plc.shows(stop) is True
    async with commanding(plc, reset) as client:
        assert not (await client.write_coils(stop.modbus.address, [False, False])).isError()
        assert plc.shows(reset) is True
        assert plc.shows(stop) is False


async def test_what_is_written_to_another_tag_arrives_as_it_was(plc: Plc) -> None:
    other = TAG["control.temperature_setpoint"]
    async with commanding(plc, LEVEL) as client:
        before = plc.shows(LEVEL)
        registers = client.convert_to_registers(44.0, client.DATATYPE.FLOAT32)
        assert not (await client.write_registers(other.modbus.address, registers)).isError()
        # Half a tag is no value of it; the PLC refuses it, and says so.
        assert (await client.write_register(LEVEL.modbus.address, 1)).isError()
        assert (plc.shows(other), plc.shows(LEVEL)) == (44.0, before)


async def test_a_connection_ends_when_either_side_does(plc: Plc) -> None:
    before = asyncio.all_tasks()
    relay = ModbusInTheMiddle(HOST, plc.modbus.port, LEVEL)
    await relay.start()
    reader, writer = await asyncio.open_connection(HOST, relay.port)
    writer.write(encode_frame(1, 1, b"\x01\x00\x00\x00\x01"))
    async with asyncio.timeout(5):
        await reader.readexactly(10)
        await relay.close()
        assert await reader.read() == b""
    await relay.close()
    writer.close()
    with pytest.raises(DeviceError):
        await polled(modbus(relay.port))
    assert {task for task in asyncio.all_tasks() - before if "attacks" in repr(task.get_coro())} == set()


async def test_without_a_plc_behind_it_a_connection_ends() -> None:
    nobody = await asyncio.start_server(lambda *_: None, HOST, 0)
    port = nobody.sockets[0].getsockname()[1]
    nobody.close()
    await nobody.wait_closed()
    async with running(ModbusInTheMiddle(HOST, port, LEVEL)) as relayed, asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(HOST, relayed)
        assert await reader.read() == b""
        writer.close()


@asynccontextmanager
async def saying(answers: Callable[[bytes], bytes]) -> AsyncIterator[int]:
    """The port of a server that answers whatever comes in one piece with what `answers` makes of it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(answers(data))
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def ask(port: int, data: bytes, size: int) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(data)
    async with asyncio.timeout(5):
        found = await reader.readexactly(size)
    writer.close()
    return found


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\x00\x01\x00\x00\xff\xff\x01\x03" * 40, bytes(300)])
async def test_what_is_no_message_goes_through_as_it_is(data: bytes) -> None:
    async with saying(lambda said: said) as port:
        for relay in (
            ModbusInTheMiddle(HOST, port, LEVEL, answers=partial(another, LEVEL), commands=partial(another, LEVEL)),
            OpcUaInTheMiddle(HOST, port, LEVEL, partial(another, LEVEL)),
        ):
            async with running(relay) as relayed:
                assert await ask(relayed, data, len(data)) == data


READ = ua.ReadRequest()
READ.Parameters.NodesToRead = [
    ua.ReadValueId(ua.NodeId(ua.Int32(2255)), AttributeIds.Value),
    ua.ReadValueId(ua.NodeId(ua.String("cell.other"), ua.Int16(2)), AttributeIds.Value),
    ua.ReadValueId(ua.NodeId(ua.String(LEVEL.opcua), ua.Int16(2)), AttributeIds.Value),
]
VALUES = [
    ua.DataValue(ua.Variant(7, ua.VariantType.UInt16), SourceTimestamp=ua.DateTime(2026, 1, 1)),
    ua.DataValue(StatusCode=ua.StatusCode(ua.UInt32(0x80340000))),
    ua.DataValue(ua.Variant(1.0, ua.VariantType.Float), ua.StatusCode(ua.UInt32(0x40000000))),
]


def response(values: list[ua.DataValue]) -> bytes:
    found = ua.ReadResponse()
    found.Results = values
    return struct_to_binary(found)


def chunk(body: bytes, final: bytes = b"F") -> bytes:
    return b"MSG" + final + (24 + len(body)).to_bytes(4, "little") + bytes(12) + (9).to_bytes(4, "little") + body


async def test_a_value_is_changed_wherever_a_message_is_cut_into_chunks() -> None:
    request = struct_to_binary(READ)
    body = response(VALUES)
    (first, none, second) = values_in(body)
    assert none is None
    assert first is not None
    assert second is not None
    assert body[first] == b"\x07\x00"
    changed = body[: second.start] + b"\x00\x00\x80?"[::-1] + body[second.stop :]
    cut = 0

    def answers(_: bytes) -> bytes:
        return chunk(body[:cut], b"C") + chunk(body[cut:])

    async with saying(answers) as port, running(OpcUaInTheMiddle(HOST, port, LEVEL, lambda raw: raw[::-1])) as relayed:
        for cut in range(1, len(body), 7):
            whole = answers(b"")
            assert await ask(relayed, chunk(request), len(whole)) == chunk(changed[:cut], b"C") + chunk(changed[cut:])


async def test_an_answer_that_is_none_goes_through_as_it_is() -> None:
    request = struct_to_binary(READ)
    body = response(VALUES)
    array = response([*VALUES[:2], ua.DataValue(ua.Variant([1.0, 2.0], ua.VariantType.Float))])
    fault = struct_to_binary(ua.ServiceFault())
    said = b""

    async with (
        saying(lambda _: said) as port,
        running(OpcUaInTheMiddle(HOST, port, LEVEL, lambda _: b"!!!!")) as relayed,
    ):
        for said in (chunk(array), chunk(fault), chunk(b""), *(chunk(body[:n]) for n in range(0, 60, 5))):
            assert await ask(relayed, chunk(request), len(said)) == said
