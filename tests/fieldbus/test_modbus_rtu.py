"""RTU frames as a server takes them from a line: noise, other units, broadcasts, functions of unknown length."""

import asyncio
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU

from testbed.core.errors import DeviceError, UsageError
from testbed.fieldbus.modbus_client import ModbusController
from testbed.fieldbus.modbus_rtu import RtuBuffer, encode_rtu
from testbed.fieldbus.modbus_serial_server import ModbusSerialServer
from testbed.fieldbus.modbus_server import ModbusServer
from testbed.fieldbus.modbus_transports import Serial
from testbed.plc.image import ProcessImage
from tests.fieldbus.modbus_device import LOCAL, words
from tests.fieldbus.ptys import cable

TAGS = words(range(2))
VALUES = {tag.name: at + 1 for at, tag in enumerate(TAGS)}
READ = bytes.fromhex("0300000002")
SHOWN = bytes.fromhex("030400010002")


def taken(buffer: RtuBuffer, data: bytes) -> list[tuple[int, bytes]]:
    """Whole requests that are there once `data` has come."""
    found = []
    while data:
        room = buffer.room()
        part, data = data[: len(room)], data[len(room) :]
        room[: len(part)] = part
        buffer.add(len(part))
        while (frame := buffer.take()) is not None:
            found.append((frame.unit, frame.pdu))
    return found


WORD = st.integers(0, 0xFFFF)
REQUESTS = st.one_of(
    st.builds(lambda f, a, b: struct.pack(">BHH", f, a, b), st.integers(1, 6), WORD, WORD),
    st.builds(
        lambda a, d: struct.pack(">BHHB", 16, a, len(d) // 2, len(d)) + d, WORD, st.binary(min_size=2, max_size=246)
    ),
    st.builds(
        lambda a, d: struct.pack(">BHHB", 15, a, 8 * len(d), len(d)) + d, WORD, st.binary(min_size=1, max_size=246)
    ),
    st.builds(lambda a, b, c: struct.pack(">BHHH", 22, a, b, c), WORD, WORD, WORD),
    st.builds(
        lambda a, b, d: struct.pack(">BHHHHB", 23, a, 1, b, len(d) // 2, len(d)) + d,
        WORD,
        WORD,
        st.binary(min_size=2, max_size=242),
    ),
    st.builds(lambda c, o: bytes((43, 14, c, o)), st.integers(1, 4), st.integers(0, 6)),
)
FRAMES = st.tuples(st.integers(0, 247), REQUESTS)


@given(frames=st.lists(FRAMES, min_size=1, max_size=5), size=st.integers(1, 300))
def test_requests_are_found_however_the_line_cuts_them(frames: list[tuple[int, bytes]], size: int) -> None:
    data = b"".join(encode_rtu(unit, pdu) for unit, pdu in frames)
    buffer = RtuBuffer()
    found = [one for at in range(0, len(data), size) for one in taken(buffer, data[at : at + size])]
    assert found == frames
    assert buffer.held == 0


@given(frame=FRAMES, at=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_with_one_bit_flipped_there_is_no_request(frame: tuple[int, bytes], at: int, bit: int) -> None:
    spoilt = bytearray(encode_rtu(*frame))
    spoilt[at % len(spoilt)] ^= 1 << bit
    buffer = RtuBuffer()
    assert taken(buffer, bytes(spoilt)) == []
    assert buffer.quiet() is None
    assert buffer.held == 0
    assert taken(buffer, encode_rtu(*frame)) == [frame]


@given(noise=st.binary(max_size=5000), frame=FRAMES)
def test_after_noise_and_a_silence_the_next_request_is_taken(noise: bytes, frame: tuple[int, bytes]) -> None:
    buffer = RtuBuffer()
    taken(buffer, noise)
    buffer.quiet()
    assert taken(buffer, encode_rtu(*frame)) == [frame]


@given(unit=st.integers(0, 247), function=st.sampled_from((7, 8, 20, 0x55)), data=st.binary(max_size=240))
def test_a_function_of_unknown_length_ends_with_the_silence(unit: int, function: int, data: bytes) -> None:
    buffer = RtuBuffer()
    pdu = bytes((function,)) + data
    assert taken(buffer, encode_rtu(unit, pdu)) == []
    frame = buffer.quiet()
    assert frame is not None
    assert (frame.unit, frame.pdu) == (unit, pdu)


@given(unit=st.integers(0, 247), pdu=st.binary(min_size=1, max_size=253))
def test_a_frame_is_the_one_that_pymodbus_makes(unit: int, pdu: bytes) -> None:
    assert encode_rtu(unit, pdu) == FramerRTU(DecodePDU(True)).encode(pdu, unit, 0)


@dataclass(frozen=True, slots=True)
class Line:
    """A server at the far end, as unit 5, and the near end as a file."""

    image: ProcessImage
    near: int

    def write(self, data: bytes) -> None:
        os.write(self.near, data)

    async def read(self, count: int) -> bytes:
        """That many bytes."""
        loop, came, done = asyncio.get_running_loop(), b"", asyncio.Event()

        def more() -> None:
            nonlocal came
            came += os.read(self.near, count - len(came))
            if len(came) == count:
                done.set()

        loop.add_reader(self.near, more)
        try:
            await asyncio.wait_for(done.wait(), 5)
        finally:
            loop.remove_reader(self.near)
        return came

    async def ask(self, unit: int, pdu: bytes, size: int) -> bytes:
        self.write(encode_rtu(unit, pdu))
        answer = await self.read(size + 3)
        assert answer == encode_rtu(answer[0], answer[1:-2])
        return answer[:-2]


@asynccontextmanager
async def line() -> AsyncIterator[Line]:
    with cable() as both:
        image = ProcessImage(TAGS, VALUES)
        server = ModbusSerialServer(TAGS, image, Serial(both.far, 115200, "N"), 5)
        await server.start()
        near = os.open(both.near, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            yield Line(image, near)
        finally:
            os.close(near)
            await server.stop()


async def test_a_device_answers_as_its_own_unit_alone() -> None:
    async with line() as wire:
        wire.write(encode_rtu(6, READ))
        wire.write(encode_rtu(255, READ))
        assert await wire.ask(5, READ, len(SHOWN)) == b"\x05" + SHOWN


async def test_a_broadcast_is_done_and_never_answered() -> None:
    async with line() as wire:
        wire.write(encode_rtu(0, bytes.fromhex("060000002a")))
        assert await wire.ask(5, READ, len(SHOWN)) == b"\x05" + SHOWN
        assert wire.image.take_writes() == {TAGS[0].name: 42}


async def test_traffic_of_other_units_and_noise_pass() -> None:
    async with line() as wire:
        for data in (encode_rtu(6, SHOWN), b"\xff\x00\x05\x03\x00", encode_rtu(5, READ)[:-1]):
            wire.write(data)
            # What ends a frame on a line is silence; the server's is 5 ms.
            await asyncio.sleep(0.05)
            assert await wire.ask(5, READ, len(SHOWN)) == b"\x05" + SHOWN


@pytest.mark.parametrize("pdu", [b"\x07", b"\x08\x00\x00\x12\x34", b"\x2b\x0d\x00", b"\x55" + bytes(100)])
async def test_an_unknown_function_is_refused_after_the_silence(pdu: bytes) -> None:
    async with line() as wire:
        assert await wire.ask(5, pdu, 2) == bytes((5, pdu[0] | 0x80, 1))


async def test_a_server_on_tcp_takes_the_same_frames() -> None:
    image = ProcessImage(TAGS, VALUES)
    server = ModbusServer(TAGS, image, unit=5, rtu=True)
    await server.start()
    reader, writer = await asyncio.open_connection(LOCAL, server.port)
    writer.write(encode_rtu(6, READ) + encode_rtu(0, bytes.fromhex("060000002a")) + encode_rtu(5, READ))
    assert await reader.readexactly(9) == encode_rtu(5, SHOWN)
    assert image.take_writes() == {TAGS[0].name: 42}
    writer.write(encode_rtu(5, b"\x07"))
    assert await reader.readexactly(5) == encode_rtu(5, b"\x87\x01")
    writer.write(b"\xff" * 5000)
    await asyncio.sleep(0.2)  # the silence after noise
    writer.write(encode_rtu(5, READ))
    assert await reader.readexactly(9) == encode_rtu(5, SHOWN)
    writer.close()
    await writer.wait_closed()
    await server.stop()


async def test_a_server_whose_line_is_lost_comes_back_with_it(tmp_path: object) -> None:
    del tmp_path
    with cable() as both:
        image = ProcessImage(TAGS, VALUES)
        server = ModbusSerialServer(TAGS, image, Serial(both.far, 115200, "N"))
        await server.start()
        assert server._wire is not None
        assert server._wire._transport is not None
        server._wire._transport.close(exc=OSError("unplugged"))  # type: ignore[call-arg]  # pymodbus's own transport
        reader = ModbusController(TAGS, Serial(both.near, 115200, "N"), scan_tag=None, boot_tag=None, timeout=0.2)
        for _ in range(50):
            try:
                await reader.connect()
                poll = await reader.poll()
            except DeviceError:
                continue
            break
        assert poll.values == (b"\x00\x01", b"\x00\x02")
        await reader.close()
        await server.stop()


async def test_a_line_that_cannot_be_opened_is_wrong_usage() -> None:
    image = ProcessImage(TAGS, VALUES)
    with pytest.raises(UsageError, match="no/such/line"):
        await ModbusSerialServer(TAGS, image, Serial("no/such/line")).start()
    with pytest.raises(UsageError, match="unit 0"):
        ModbusSerialServer(TAGS, image, Serial("line"), 0)
    with pytest.raises(UsageError, match="unit 248"):
        ModbusSerialServer(TAGS, image, Serial("line"), 248)


class Late:
    """A device on a line whose first answer comes half a timeout too late, and every other one in time."""

    def __init__(self, end: str) -> None:
        self._file = os.open(end, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._file, self._asked)
        self.requests = 0

    def _asked(self) -> None:
        os.read(self._file, 256)
        self.requests += 1
        after, value = (1.5, 0) if self.requests == 1 else (0.7, 5)
        frame = encode_rtu(1, struct.pack(">BBH", 3, 2, value))
        self._loop.call_later(after * TIMEOUT_S, os.write, self._file, frame)

    def close(self) -> None:
        self._loop.remove_reader(self._file)
        os.close(self._file)


TIMEOUT_S = 0.4


async def test_a_late_answer_on_a_line_is_not_taken_for_the_next_one() -> None:
    """No number in an RTU frame says to which request it belongs."""
    (tag,) = words([0])
    with cable() as line:
        device = Late(line.far)
        reader = ModbusController(
            [tag], Serial(line.near, 115200, "N"), scan_tag=None, boot_tag=None, timeout=TIMEOUT_S
        )
        try:
            await reader.connect()
            with pytest.raises(DeviceError, match="no answer within"):
                await reader.poll()
            await reader.connect()
            for _ in range(2):
                assert (await reader.poll()).values == (b"\x00\x05",)
            assert device.requests == 3
        finally:
            await reader.close()
            device.close()
