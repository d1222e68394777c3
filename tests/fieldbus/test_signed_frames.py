"""Signed frames over real sockets: each poll brings the frame of its own scan, and what is at odds comes as it is."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.uaerrors import UaStatusCodeError
from pymodbus.client import AsyncModbusTcpClient

from testbed.core.tags import Value
from testbed.fieldbus.modbus_client import ModbusController
from testbed.fieldbus.modbus_server import ModbusServer
from testbed.fieldbus.modbus_transports import Tcp
from testbed.fieldbus.opcua_client import OpcUaReader
from testbed.fieldbus.opcua_security import Security
from testbed.fieldbus.opcua_server import OpcUaServer
from testbed.fieldbus.packed import image_size
from testbed.fieldbus.signed_frames import FRAME_AT, SIGNATURE_SIZE, SignedFrames
from testbed.keys.ed25519 import SigningKey
from testbed.plc.emulator import Emulator
from testbed.plc.signing import FrameSigner
from testbed.record.device_frame import counters_of, decode_frame, frame_message, frame_size, image_meaning
from testbed.rig.bench import load_bench

TAGS = load_bench(None).tags
KEY = SigningKey.from_seed("bench/cell", b"k" * 32)
FRAMES = SignedFrames(SIGNATURE_SIZE + frame_size(image_size(TAGS)), "cell.device.frame", counters_of)
HOST = "127.0.0.1"

pytestmark = pytest.mark.asyncio(loop_scope="module")

Latched = tuple[Mapping[str, Value], bytes]


class Plc:
    """A PLC that signs. shows: what its servers get for a signed frame, made of what is true."""

    def __init__(self) -> None:
        self.emulator = Emulator(TAGS, seed=5, boot=2, signer=FrameSigner(TAGS, KEY))
        self.shows: Callable[[bytes], bytes] = lambda signed: signed
        self.modbus = ModbusServer(TAGS, self.emulator.image, frames=self)
        self.opcua = OpcUaServer(TAGS, self.emulator.image, period=None, frames=self)

    def latched(self) -> Latched:
        snapshot, signed = self.emulator.image.latched()
        return snapshot, self.shows(signed)

    def reader(self, by: str, frames: SignedFrames | None = FRAMES) -> ModbusController | OpcUaReader:
        if by == "modbus":
            return ModbusController(TAGS, Tcp(HOST, self.modbus.port), timeout=5.0, frames=frames)
        namespace = "urn:attestbed:cell"
        return OpcUaReader(
            TAGS, self.opcua.url, namespace=namespace, security=Security.none(), timeout=5.0, frames=frames
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def serving() -> AsyncIterator[Plc]:
    plc = Plc()
    await plc.modbus.start()
    await plc.opcua.start()
    yield plc
    await plc.opcua.stop()
    await plc.modbus.stop()


@pytest.fixture
def plc(serving: Plc) -> Plc:
    serving.shows = lambda signed: signed
    serving.emulator.scan()
    return serving


@asynccontextmanager
async def open_(reader: ModbusController | OpcUaReader) -> AsyncIterator[ModbusController | OpcUaReader]:
    await reader.connect()
    try:
        yield reader
    finally:
        await reader.close()


BY = pytest.mark.parametrize("by", ["modbus", "opcua"])


@BY
async def test_a_poll_brings_the_frame_that_the_device_signed_of_that_scan(plc: Plc, by: str) -> None:
    async with open_(plc.reader(by)) as reader:
        for _ in range(3):
            plc.emulator.scan()
            poll = await reader.poll()
            _, signed = plc.emulator.image.latched()
            assert poll.signature is not None
            assert poll.frame is not None
            assert poll.signature + poll.frame == signed
            frame = decode_frame(poll.frame)
            assert (frame.boot, frame.scan) == (poll.boot, poll.scan)
            assert frame.device == KEY.verifier().device_id
            assert KEY.verifier().verify(frame_message(image_meaning(TAGS), poll.frame), poll.signature)
        assert reader.repeats == 0


@BY
async def test_a_reader_that_is_not_told_of_frames_reads_none(plc: Plc, by: str) -> None:
    async with open_(plc.reader(by, None)) as reader:
        poll = await reader.poll()
        assert (poll.frame, poll.signature) == (None, None)


@BY
async def test_a_plc_that_shows_no_frame_is_read_all_the_same(plc: Plc, by: str) -> None:
    plc.shows = lambda _: b""
    async with open_(plc.reader(by)) as reader:
        poll = await reader.poll()
    assert (poll.frame, poll.signature) == (None, None)
    assert None not in poll.values


@BY
async def test_a_frame_of_another_scan_is_asked_for_again_and_comes_as_it_is(plc: Plc, by: str) -> None:
    _, old = plc.emulator.image.latched()
    plc.emulator.scan()
    plc.shows = lambda _: old
    async with open_(plc.reader(by)) as reader:
        poll = await reader.poll()
        assert (poll.signature, poll.frame) == (old[:64], old[64:])
        assert reader.repeats == 4
        plc.shows = lambda signed: signed
        assert (await reader.poll()).frame != old[64:]
        assert reader.repeats == 4


@BY
async def test_polls_while_a_thread_scans_are_of_one_scan_each(plc: Plc, by: str) -> None:
    done = threading.Event()

    def scan() -> None:
        while not done.wait(0.003):
            plc.emulator.scan()

    thread = threading.Thread(target=scan)
    thread.start()
    try:
        async with open_(plc.reader(by)) as reader:
            polls = [await reader.poll() for _ in range(40)]
    finally:
        done.set()
        await asyncio.to_thread(thread.join)
    for poll in polls:
        assert poll.frame is not None
        assert counters_of(poll.frame) == (poll.boot, poll.scan)
        place = [tag.name for tag in TAGS].index("tank1.level")
        start = sum(tag.type.size for tag in TAGS[:place])
        raw = poll.values[place]
        assert raw is not None
        assert decode_frame(poll.frame).image[start : start + 4] == (raw if by == "modbus" else raw[::-1])


async def test_it_stands_in_the_documented_registers_and_nothing_beside_it(plc: Plc) -> None:
    client = AsyncModbusTcpClient(HOST, port=plc.modbus.port, timeout=5, retries=0, reconnect_delay=0)
    assert await client.connect()
    try:
        _, signed = plc.emulator.image.latched()
        count = len(signed) // 2
        answer = await client.read_input_registers(65_000, count=count)
        assert b"".join(register.to_bytes(2, "big") for register in answer.registers) == signed
        for at, many in ((FRAME_AT, count + 1), (FRAME_AT - 1, 2), (FRAME_AT + count, 1)):
            refused = await client.read_input_registers(at, count=many)
            assert (refused.isError(), refused.exception_code) == (True, 2)
        assert (await client.read_holding_registers(FRAME_AT, count=1)).exception_code == 2
        assert (await client.write_register(FRAME_AT, 1)).exception_code == 2
    finally:
        client.close()


class Heard:
    """A subscriber."""

    def __init__(self) -> None:
        self.values: asyncio.Queue[bytes] = asyncio.Queue()

    def datachange_notification(self, _node: object, value: bytes, _data: object) -> None:
        self.values.put_nowait(value)


async def test_it_is_a_byte_string_that_nobody_writes_and_subscribers_hear_of(plc: Plc) -> None:
    async with Client(plc.opcua.url) as client:
        index = await client.get_namespace_index("urn:attestbed:cell")
        node = client.get_node(ua.NodeId(ua.String("cell.device.frame"), ua.Int16(index)))
        assert await node.read_value() == plc.emulator.image.latched()[1]
        heard = Heard()
        subscription = await client.create_subscription(10, heard)
        await subscription.subscribe_data_change(node)
        await asyncio.wait_for(heard.values.get(), 10)
        plc.emulator.scan()
        await plc.opcua.publish()
        assert await asyncio.wait_for(heard.values.get(), 10) == plc.emulator.image.latched()[1]
        with pytest.raises(UaStatusCodeError):
            await node.write_value(b"other")
