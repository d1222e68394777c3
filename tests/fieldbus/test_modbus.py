"""Modbus server and reader over real sockets, in front of an emulated PLC that is scanned by hand."""

import asyncio
import struct
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.pdu.mei_message import ReadDeviceInformationResponse
from pymodbus.pdu.register_message import MaskWriteRegisterResponse

from testbed.core.errors import DeviceError, UsageError
from testbed.core.tags import ByteOrder, DataType, ModbusAddress, ModbusTable, Tag, Value
from testbed.fieldbus.modbus_client import ModbusController
from testbed.fieldbus.modbus_server import ModbusServer
from testbed.fieldbus.modbus_transports import Tcp
from testbed.fieldbus.registers import decode, encode
from testbed.plc.emulator import Emulator
from testbed.plc.image import MOST_PENDING
from testbed.rig.bench import load_bench

TAGS = load_bench(None).tags
TAG = {tag.name: tag for tag in TAGS}
LOCAL = "127.0.0.1"


class Bench:
    """A PLC, its server, a reader of ours and a plain client."""

    def __init__(
        self, plc: Emulator, server: ModbusServer, reader: ModbusController, client: AsyncModbusTcpClient
    ) -> None:
        self.plc = plc
        self.server = server
        self.reader = reader
        self.client = client


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    plc = Emulator(TAGS, seed=1, boot=3)
    server = ModbusServer(TAGS, plc.image)
    await server.start()
    reader = ModbusController(TAGS, Tcp(LOCAL, server.port))
    await reader.connect()
    client = AsyncModbusTcpClient(LOCAL, port=server.port, timeout=1, retries=0, reconnect_delay=0)
    assert await client.connect()
    yield Bench(plc, server, reader, client)
    client.close()
    await reader.close()
    await server.stop()


async def test_a_poll_is_the_snapshot(bench: Bench) -> None:
    for _ in range(30):
        bench.plc.scan()
        poll = await bench.reader.poll()
        snapshot = bench.plc.image.snapshot()
        assert (poll.boot, poll.scan) == (3, snapshot["plc.scan"])
        assert [decode(tag, raw) for tag, raw in zip(TAGS, poll.values, strict=True)] == list(snapshot.values())


async def test_every_writable_tag_is_written_and_seen_after_the_next_scan(bench: Bench) -> None:
    values: dict[str, Value] = {
        "control.mode": 1,
        "control.level_setpoint": 1.25,
        "control.temperature_setpoint": 55.5,
        "manual.pump_speed": 33.0,
        "manual.valve_position": 44.0,
        "manual.heater_power": 5.5,
        "estop.pressed": True,
        "control.reset": True,
        "watchdog.beat": 7,
        "watchdog.limit_ms": 2000,
    }
    assert set(values) == {tag.name for tag in TAGS if tag.writable}
    before = await bench.reader.poll()
    for name, value in values.items():
        await bench.reader.write(TAG[name], value)
    assert await bench.reader.poll() == before
    bench.plc.scan()
    after = dict(zip(TAG, (await bench.reader.poll()).values, strict=True))
    assert {name: decode(TAG[name], after[name]) for name in values} == values


async def test_a_single_write_is_echoed(bench: Bench) -> None:
    # Modbus Application Protocol V1.1b3, section 6.6: the response is an echo, also where the write waits for a scan.
    assert (await bench.client.write_register(0, 1)).registers == [1]
    assert (await bench.client.write_coil(0, True)).bits == [True]
    assert (await bench.client.write_coil(0, False)).bits == [False]


async def test_several_tags_in_one_write_take_effect_together(bench: Bench) -> None:
    raw = encode(TAG["control.level_setpoint"], 1.5) + encode(TAG["control.temperature_setpoint"], 50.0)
    response = await bench.client.write_registers(2, list(struct.unpack(">4H", raw)))
    assert not response.isError()
    await bench.client.write_coils(0, [True, False])
    bench.plc.scan()
    snapshot = bench.plc.image.snapshot()
    assert snapshot["control.level_setpoint"] == 1.5
    assert snapshot["control.temperature_setpoint"] == 50.0
    assert snapshot["estop.pressed"] is True


FLOAT_1 = [0x3F80, 0x0000]
FLOAT_9 = [0x4110, 0x0000]
FLOAT_NAN = [0x7FC0, 0x0000]


@pytest.mark.parametrize(
    ("address", "registers", "code"),
    [
        (2, FLOAT_9, 3),  # out of range
        (2, FLOAT_NAN, 3),
        (0, [3], 3),
        (2, FLOAT_1[:1], 2),  # half a tag
        (3, FLOAT_1, 2),  # halves of two tags
        (2, FLOAT_1 + FLOAT_1[:1], 2),
        (1, [0], 2),  # no tag
        (0, [1, 0], 2),  # a tag and what is none
        (15, [0], 2),  # beyond the table
        (2, FLOAT_1 + FLOAT_NAN, 3),  # one good, one bad
    ],
)
async def test_a_wrong_write_is_refused_whole(bench: Bench, address: int, registers: list[int], code: int) -> None:
    response = await bench.client.write_registers(address, registers)
    assert response.isError()
    assert response.exception_code == code
    assert bench.plc.image.take_writes() == {}


async def test_reads_beyond_the_tags_are_refused(bench: Bench) -> None:
    assert (await bench.client.read_input_registers(19, count=2)).exception_code == 2
    assert (await bench.client.read_holding_registers(20, count=1)).exception_code == 2
    assert (await bench.client.read_discrete_inputs(16, count=1)).exception_code == 2
    assert (await bench.client.read_holding_registers(0, count=2)).registers == [2, 0]


async def test_reading_and_writing_in_one_request(bench: Bench) -> None:
    written = list(struct.unpack(">2H", encode(TAG["control.level_setpoint"], 1.5)))
    response = await bench.client.readwrite_registers(read_address=0, read_count=4, write_address=2, values=written)
    assert response.registers == [2, 0, *written]
    assert (await bench.client.read_holding_registers(0, count=4)).registers == [2, 0, 0x3F80, 0]
    response = await bench.client.mask_write_register(address=0, and_mask=0xFFFC, or_mask=1)
    assert isinstance(response, MaskWriteRegisterResponse)
    assert (response.and_mask, response.or_mask) == (0xFFFC, 1)
    bench.plc.scan()
    assert (await bench.client.read_holding_registers(0, count=4)).registers == [1, 0, *written]


async def test_the_device_says_what_it_is(bench: Bench) -> None:
    response = await bench.client.read_device_information(read_code=2)
    assert isinstance(response, ReadDeviceInformationResponse)
    assert response.information == {0: b"Attestbed", 1: b"emulated-plc", 2: b"1.0", 4: b"Emulated PLC"}


@pytest.mark.parametrize("unit", [0, 1, 255])
async def test_a_device_that_is_reached_directly_answers_under_its_unit_and_both_general_ones(
    bench: Bench, unit: int
) -> None:
    assert (await bench.client.read_input_registers(2, count=2, device_id=unit)).registers == [0, 3]


async def test_another_unit_does_not_answer_for_this_one(bench: Bench) -> None:
    assert (await bench.client.read_input_registers(0, count=2, device_id=9)).exception_code == 0x0B
    assert (await bench.client.write_register(0, 1, device_id=9)).exception_code == 0x0B
    assert bench.plc.image.take_writes() == {}


async def test_a_read_only_tag_in_a_writable_table_is_refused() -> None:
    tags = (*TAGS[:2], replace(TAG["control.mode"], writable=False))
    plc = Emulator(tags)
    server = ModbusServer(tags, plc.image)
    await server.start()
    async with AsyncModbusTcpClient(LOCAL, port=server.port, reconnect_delay=0) as client:
        assert (await client.write_register(0, 1)).exception_code == 2
        assert (await client.read_coils(0, count=1)).exception_code == 2  # a table without tags
    await server.stop()


async def test_the_reader_says_what_the_plc_refused(bench: Bench) -> None:
    for _ in range(MOST_PENDING):
        bench.plc.image.write("control.mode", 1)
    with pytest.raises(DeviceError, match=rf"{LOCAL}:{bench.server.port}.*holding_register 0.*04"):
        await bench.reader.write(TAG["control.mode"], 2)
    bench.plc.scan()
    await bench.reader.write(TAG["control.mode"], 2)
    with pytest.raises(UsageError, match="cannot be written"):
        await bench.reader.write(TAG["tank1.level"], 1.0)
    with pytest.raises(UsageError, match="out of range"):
        await bench.reader.write(TAG["control.mode"], 9)


async def test_a_dead_server_is_a_device_error_and_a_new_one_is_found(bench: Bench) -> None:
    port = bench.server.port
    await bench.server.stop()
    with pytest.raises(DeviceError, match=f"{LOCAL}:{port}"):
        await bench.reader.poll()
    with pytest.raises(DeviceError, match="no connection"):
        await bench.reader.connect()
    again = ModbusServer(TAGS, bench.plc.image, LOCAL, port)
    await again.start()
    await bench.reader.connect()
    assert (await bench.reader.poll()).boot == 3
    await bench.reader.close()
    await again.stop()


async def test_a_port_that_is_taken_is_wrong_usage(bench: Bench) -> None:
    with pytest.raises(UsageError, match=str(bench.server.port)):
        await ModbusServer(TAGS, bench.plc.image, LOCAL, bench.server.port).start()


class Hasty:
    """A PLC that ends a scan with every request for some time."""

    def __init__(self, plc: Emulator, hasty: int) -> None:
        self._plc = plc
        self.hasty = hasty

    def snapshot(self) -> Mapping[str, Value]:
        if self.hasty > 0:
            self.hasty -= 1
            self._plc.scan()
        return self._plc.image.snapshot()

    def latest(self, name: str) -> Value:
        return self._plc.image.latest(name)

    def write(self, name: str, value: Value) -> None:
        self._plc.image.write(name, value)

    def write_all(self, values: Mapping[str, Value]) -> None:
        self._plc.image.write_all(values)


async def test_values_of_two_scans_are_never_mixed() -> None:
    plc = Emulator(TAGS, seed=1)
    source = Hasty(plc, 7)
    server = ModbusServer(TAGS, source)
    await server.start()
    reader = ModbusController(TAGS, Tcp(LOCAL, server.port))
    await reader.connect()
    poll = await reader.poll()
    assert reader.repeats == 2
    assert [decode(tag, raw) for tag, raw in zip(TAGS, poll.values, strict=True)] == list(plc.image.snapshot().values())
    source.hasty = 1000
    with pytest.raises(DeviceError, match="scan"):
        await reader.poll()
    await reader.close()
    await server.stop()


@pytest.mark.parametrize("order", ByteOrder)
async def test_byte_orders_and_wide_values_on_the_wire(order: ByteOrder) -> None:
    def at(name: str, kind: DataType, address: int) -> Tag:
        place = ModbusAddress(ModbusTable.HOLDING_REGISTER, address, order)
        return Tag(name, kind, "", -1e9, 1e9, True, place, name)

    tags = (
        at("plc.scan", DataType.UINT32, 300),
        at("manual.heater_power", DataType.FLOAT64, 10),
        at("control.level_setpoint", DataType.FLOAT32, 100),
    )
    plc = Emulator(tags)
    server = ModbusServer(tags, plc.image)
    await server.start()
    reader = ModbusController(tags, Tcp(LOCAL, server.port), boot_tag=None)
    await reader.connect()
    await reader.write(tags[1], 0.1)
    await reader.write(tags[2], -12.5)
    plc.scan()
    poll = await reader.poll()
    assert (poll.boot, poll.scan) == (0, 1)
    assert [decode(tag, raw) for tag, raw in zip(tags, poll.values, strict=True)] == [1, 0.1, -12.5]
    assert poll.values == tuple(encode(tag, plc.image.snapshot()[tag.name]) for tag in tags)
    await reader.close()
    await server.stop()


@pytest.mark.parametrize("counter", ["no.such", "tank1.level", "estop.active"])
def test_a_counter_must_be_an_integer_tag(counter: str) -> None:
    with pytest.raises(UsageError, match=counter):
        ModbusController(TAGS, Tcp(LOCAL, 1), scan_tag=counter)


async def answer_with(pdu: bytes, *, silent: bool = False) -> asyncio.Server:
    """A server that answers every request with the same PDU, or never."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while header := await reader.readexactly(7):
                await reader.readexactly(int.from_bytes(header[4:6], "big") - 1)
                if not silent:
                    writer.write(header[:4] + (len(pdu) + 1).to_bytes(2, "big") + header[6:7] + pdu)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    return await asyncio.start_server(serve, LOCAL, 0)


@pytest.mark.parametrize(
    ("pdu", "says"),
    [
        (b"\x84\x02", "exception 02"),
        (b"\x04\x02\x00\x00", "2 bytes came, not 40"),
        (b"\x04\x29" + bytes(41), "41 bytes came, not 40"),
        (b"\x04\x28" + bytes(39), "no answer within"),  # fewer than it says, so there is no end of it
        (b"\x04\x27" + bytes(40), "no answer within"),
        (b"\x03\x28" + bytes(40), "function 3 answered function 4"),
    ],
)
async def test_answers_that_do_not_fit_are_device_errors(pdu: bytes, says: str) -> None:
    server = await answer_with(pdu)
    reader = ModbusController(TAGS, Tcp(LOCAL, server.sockets[0].getsockname()[1]), timeout=0.5)
    await reader.connect()
    with pytest.raises(DeviceError, match=says):
        await reader.poll()
    await reader.close()
    server.close()
    await server.wait_closed()


async def test_a_silent_plc_is_a_device_error_in_time() -> None:
    server = await answer_with(b"", silent=True)
    reader = ModbusController(TAGS, Tcp(LOCAL, server.sockets[0].getsockname()[1]), timeout=0.2)
    await reader.connect()
    with pytest.raises(DeviceError, match=r"no answer within 0\.2 s"):
        await reader.poll()
    with pytest.raises(DeviceError, match="not connected"):
        await reader.poll()
    server.close()
    await server.wait_closed()
