"""What goes wrong on the way to a device: late answers, garbage, half-open sockets, restarts, refused certificates."""

import asyncio
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.core.errors import DeviceError, DeviceRefused, UsageError
from testbed.core.identity import Identity
from testbed.fieldbus.modbus_client import ModbusController
from testbed.fieldbus.modbus_transports import RtuOverTcp, Serial, Tcp, Tls, Transport
from tests.fieldbus.certificates import certified
from tests.fieldbus.modbus_device import LOCAL, Answering, Device, device, frame, holding, silent, words
from tests.fieldbus.ptys import cable

TAGS = words(range(3))
GOOD = holding({0: 1, 1: 2, 2: 3})
VALUES = (b"\x00\x01", b"\x00\x02", b"\x00\x03")


def controller(way: Transport, timeout: float = 0.4) -> ModbusController:
    return ModbusController(TAGS, way, scan_tag=None, boot_tag=None, timeout=timeout)


async def connected_and_polled(reader: ModbusController) -> None:
    """TLS 1.2 refuses a certificate while it connects, TLS 1.3 when something is asked."""
    await reader.connect()
    await reader.poll()


async def recovers(served: Device, reader: ModbusController, says: str) -> None:
    """One DeviceError that says so; the next poll says that nobody is connected; connecting helps."""
    with pytest.raises(DeviceError, match=says):
        await reader.poll()
    with pytest.raises(DeviceError, match="not connected"):
        await reader.poll()
    served.raw = None
    served.units[1] = GOOD
    await reader.connect()
    assert (await reader.poll()).values == VALUES
    await reader.close()


async def test_an_answer_with_an_old_transaction_is_dropped_and_the_right_one_taken() -> None:
    async with device({1: GOOD}) as served:
        reader = controller(Tcp(LOCAL, served.port), timeout=5.0)
        await reader.connect()
        await reader.poll()

        def both(request: bytes) -> bytes:
            old = struct.pack(">H", int.from_bytes(request[:2], "big") - 1) + request[2:7]
            wrong, right = b"\x03\x06" + bytes(6), b"\x03\x06" + b"".join(VALUES)
            return frame(old, wrong) + frame(request[:7], right)

        served.raw = both
        for _ in range(3):
            assert (await reader.poll()).values == VALUES
        await reader.close()


@pytest.mark.parametrize("late", [1, 3])
async def test_late_answers_of_any_length_before_the_right_one_do_it_no_harm(late: int) -> None:
    many = words(range(120))
    right = b"".join(at.to_bytes(2, "big") for at in range(120))
    async with device({}) as served:
        served.raw = lambda request: (
            frame(b"\x7f\x00" + request[2:7], b"\x03\xf0" + bytes(240)) * late + frame(request[:7], b"\x03\xf0" + right)
        )
        reader = ModbusController(many, Tcp(LOCAL, served.port), scan_tag=None, boot_tag=None, timeout=5.0)
        await reader.connect()
        for _ in range(3):
            assert b"".join(raw or b"" for raw in (await reader.poll()).values) == right
        await reader.close()


async def test_an_answer_that_comes_after_the_time_is_never_taken() -> None:
    held: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def late(pdu: bytes) -> bytes | None:
        await held
        return b"\x03\x06" + bytes(6) if pdu else None

    async with device({1: late}) as served:
        reader = controller(Tcp(LOCAL, served.port))
        await reader.connect()
        with pytest.raises(DeviceError, match=r"no answer within 0\.4 s"):
            await reader.poll()
        served.units[1] = GOOD
        await reader.connect()
        held.set_result(None)
        assert (await reader.poll()).values == VALUES
        await reader.close()


ANSWER = b"\x03\x06" + b"".join(VALUES)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        pytest.param(lambda r: frame(b"\xff\xff" + r[2:7], ANSWER), "no answer", id="another transaction"),
        pytest.param(lambda r: frame(b"\0\0" + r[2:7], ANSWER), "another transaction's number", id="transaction 0"),
        pytest.param(lambda r: frame(r[:6] + b"\x09", ANSWER), "no answer", id="another unit"),
        pytest.param(lambda r: frame(r[:2] + b"\x01\x00" + r[4:7], ANSWER), "no answer", id="another protocol"),
        pytest.param(lambda r: frame(r[:7], b"\x03\x08" + b"".join(VALUES)), "no answer", id="count of bytes wrong"),
        pytest.param(
            lambda r: frame(r[:7], b"\x04\x06" + b"".join(VALUES)), "function 4 answered", id="other function"
        ),
        pytest.param(lambda r: frame(r[:7], b"\x03\x04" + b"".join(VALUES[:2])), "4 bytes came, not 6", id="too few"),
        pytest.param(lambda r: frame(r[:7], b"\x6e"), "no answer", id="no such function"),
        pytest.param(lambda r: frame(r[:7], b"\x83"), "no answer", id="exception without a code"),
        pytest.param(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n", "no answer", id="a web server"),
        pytest.param(lambda _: bytes(300), "no answer", id="zeros"),
        pytest.param(lambda _: os.urandom(2000), "no answer", id="noise"),
        pytest.param(lambda r: frame(r[:7], ANSWER)[:-1], "no answer", id="cut short"),
    ],
)
async def test_garbage_is_one_device_error_and_connecting_helps(raw: Callable[[bytes], bytes], says: str) -> None:
    async with device({1: GOOD}) as served:
        reader = controller(Tcp(LOCAL, served.port))
        await reader.connect()
        served.raw = raw
        await recovers(served, reader, says)


@pytest.mark.parametrize("pdu", [b"\x83\x02", b"\x83\x04", b"\x80\x04", b"\x83\xff"])
async def test_exceptions_are_refusals_and_the_connection_stays(pdu: bytes) -> None:
    async def refuses(_: bytes) -> bytes | None:
        return pdu

    async with device({1: refuses}) as served:
        reader = controller(Tcp(LOCAL, served.port))
        await reader.connect()
        with pytest.raises(DeviceError):
            await reader.poll()
        if pdu[0] == 0x83:  # 80 is no function: nobody knows what was meant
            served.units[1] = GOOD
            if pdu[1] == 2:
                await reader.connect()
            assert (await reader.poll()).values == VALUES
            assert served.opened == (2 if pdu[1] == 2 else 1)
        await reader.close()


async def test_a_connection_that_ends_in_a_poll_is_an_error_at_once() -> None:
    async with device({}) as served:

        async def drops(pdu: bytes) -> bytes | None:  # noqa: ARG001  # whatever is asked
            served.drop()
            return None

        served.units[1] = drops
        reader = controller(Tcp(LOCAL, served.port), timeout=60.0)
        await reader.connect()
        await recovers(served, reader, "the other side ended it")


async def test_a_half_open_socket_is_found_out_in_time() -> None:
    async with device({1: silent}) as served:
        reader = controller(Tcp(LOCAL, served.port))
        await reader.connect()
        await recovers(served, reader, r"no answer within 0\.4 s")


async def test_a_device_that_restarts_between_two_polls_is_one_error() -> None:
    async with device({1: GOOD}) as served:
        reader = controller(Tcp(LOCAL, served.port))
        await reader.connect()
        assert (await reader.poll()).values == VALUES
        await served.stop()
        await served.start()
        with pytest.raises(DeviceError, match=r"not connected|ended"):
            await reader.poll()
        await reader.connect()
        assert (await reader.poll()).values == VALUES
        await reader.close()


async def test_a_poll_that_is_cancelled_leaves_no_answer_behind() -> None:
    asked = asyncio.Event()

    async def notes(_: bytes) -> bytes | None:
        asked.set()
        return None

    async with device({1: notes}) as served:
        reader = controller(Tcp(LOCAL, served.port), timeout=60.0)
        await reader.connect()
        polling = asyncio.create_task(reader.poll())
        await asked.wait()
        polling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await polling
        served.units[1] = GOOD
        await reader.connect()
        assert (await reader.poll()).values == VALUES
        await reader.close()


async def test_an_echo_of_another_address_says_that_nobody_knows() -> None:
    async def astray(pdu: bytes) -> bytes | None:
        return pdu[:1] + b"\x00\x09" + pdu[3:] if pdu[0] == 6 else await GOOD(pdu)

    async with device({1: astray}) as served:
        reader = controller(Tcp(LOCAL, served.port))
        await reader.connect()
        with pytest.raises(DeviceError, match="address 9"):
            await reader.write(TAGS[0], 5)
        await reader.close()


async def test_a_write_that_nobody_answers_is_no_refusal() -> None:
    async with device({1: silent}) as served:
        reader = controller(Tcp(LOCAL, served.port))
        await reader.connect()
        with pytest.raises(DeviceError, match="no answer") as caught:
            await reader.write(TAGS[0], 5)
        assert not isinstance(caught.value, DeviceRefused)
        await reader.close()


def objects(*texts: bytes, per_answer: int, code: int = 0x82) -> Answering:
    """Function 43/14 with these objects, so many in an answer."""

    async def answer(pdu: bytes) -> bytes | None:
        if pdu[:2] != b"\x2b\x0e":
            return await GOOD(pdu)
        first = pdu[3]
        here = range(first, min(first + per_answer, len(texts)))
        more = here.stop < len(texts)
        head = bytes((0x2B, 0x0E, pdu[2], code, 0xFF if more else 0, here.stop if more else 0, len(here)))
        return head + b"".join(bytes((at, len(texts[at]))) + texts[at] for at in here)

    return answer


@pytest.mark.parametrize("per_answer", [1, 2, 7])
async def test_objects_that_do_not_fit_into_one_answer_are_asked_for_in_the_next(per_answer: int) -> None:
    texts = (b"Maker", b"M-100\x00 ", b"V2.7\xff", b"", b"Meter", b"", b"")
    async with device({1: objects(*texts, per_answer=per_answer)}) as served:
        reader = controller(Tcp(LOCAL, served.port))
        await reader.connect()
        assert await reader.identify() == Identity("Maker", "M-100", "V2.7", "")
        assert (await reader.poll()).values == VALUES
        await reader.close()


async def test_a_device_that_says_only_the_mandatory_objects_when_asked_for_them() -> None:
    basic = objects(b"Maker", b"", b"1", per_answer=3)

    async def picky(pdu: bytes) -> bytes | None:
        return b"\xab\x03" if pdu[:3] == b"\x2b\x0e\x02" else await basic(pdu)

    async with device({1: picky}) as served:
        reader = controller(Tcp(LOCAL, served.port))
        await reader.connect()
        assert await reader.identify() == Identity("Maker", "", "1", "")
        await reader.close()


@pytest.mark.parametrize("code", [1, 3, 4])
async def test_a_device_without_identification_has_empty_fields(code: int) -> None:
    async def none(pdu: bytes) -> bytes | None:
        return bytes((0xAB, code)) if pdu[0] == 0x2B else await GOOD(pdu)

    async with device({1: none}) as served:
        reader = controller(Tcp(LOCAL, served.port), timeout=5.0)
        await reader.connect()
        assert await reader.identify() == Identity()
        assert (await reader.poll()).values == VALUES
        await reader.close()


async def test_a_device_that_is_silent_to_what_it_does_not_know_has_empty_fields_as_well() -> None:
    async def knows_reads(pdu: bytes) -> bytes | None:
        return None if pdu[0] == 0x2B else await GOOD(pdu)

    async with device({1: knows_reads}) as served:
        reader = controller(Tcp(LOCAL, served.port))
        await reader.connect()
        assert await reader.identify() == Identity()
        assert (await reader.poll()).values == VALUES
        # Its twin is silent to everything.
        served.units[1] = silent
        with pytest.raises(DeviceError, match=r"device identification.*no answer"):
            await reader.identify()
        await reader.close()


@pytest.mark.parametrize("pdu", [b"\x2b\x0e\x02", b"\x2b\x0d\x00\x00\x00\x00\x00"])
async def test_an_identification_that_is_cut_short_is_a_device_error(pdu: bytes) -> None:
    async def broken(_: bytes) -> bytes | None:
        return pdu

    async with device({1: broken}) as served:
        reader = controller(Tcp(LOCAL, served.port))
        await reader.connect()
        with pytest.raises(DeviceError, match="device identification"):
            await reader.identify()
        await reader.close()


async def test_a_stream_of_objects_that_never_ends_is_left() -> None:
    async def endless(pdu: bytes) -> bytes | None:
        return b"\x2b\x0e\x02\x82\xff" + bytes((pdu[3] + 1 & 0xFF, 1, pdu[3], 1)) + b"x"

    async with device({1: endless}) as served:
        reader = controller(Tcp(LOCAL, served.port))
        await reader.connect()
        assert (await reader.identify()).vendor == "x"
        assert len(served.asked) < 20
        await reader.close()


# TLS


@contextmanager
def stranger(context: ssl.SSLContext) -> Iterator[int]:
    """A TLS server of OpenSSL's own making, which says what is wrong before it hangs up; its port."""
    listening = socket.create_server((LOCAL, 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    with context.wrap_socket(connection, server_side=True) as secured:
                        secured.recv(1)
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_server_that_refuses_the_certificate_is_a_device_error_that_says_so(
    tmp_path: Path, version: ssl.TLSVersion
) -> None:
    server, client, other = (certified(tmp_path, name) for name in ("server", "client", "other"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(*server)
    context.load_verify_locations(other[0])
    with stranger(context) as port:
        reader = controller(Tls(LOCAL, port, *client, server[0]), timeout=5.0)
        with pytest.raises(DeviceError, match="refuses our certificate"):
            await connected_and_polled(reader)
        await reader.close()


async def test_a_server_whose_certificate_is_not_trusted_is_not_spoken_to(tmp_path: Path) -> None:
    server, client, other = (certified(tmp_path, name) for name in ("server", "client", "other"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*server)
    with stranger(context) as port:
        reader = controller(Tls(LOCAL, port, *client, other[0]), timeout=5.0)
        with pytest.raises(DeviceError, match="certificate is not trusted here"):
            await reader.connect()
        await reader.close()


async def test_a_server_without_tls_is_a_device_error(tmp_path: Path) -> None:
    server, client = (certified(tmp_path, name) for name in ("server", "client"))
    async with device({1: GOOD}) as served:
        reader = controller(Tls(LOCAL, served.port, *client, server[0]))
        with pytest.raises(DeviceError, match="no connection"):
            await reader.connect()
        await reader.close()


def test_files_that_do_not_serve_are_wrong_usage(tmp_path: Path) -> None:
    server, client = (certified(tmp_path, name) for name in ("server", "client"))
    (tmp_path / "empty").mkdir()
    for files, says in (
        ((tmp_path / "none.pem", client[1], server[0]), "none.pem"),
        ((client[0], server[1], server[0]), "client.pem"),
        ((*client, tmp_path / "none.pem"), "none.pem"),
        ((*client, client[1]), "client.key"),
        ((*client, tmp_path / "empty"), "no certificate"),
    ):
        with pytest.raises(UsageError, match=says):
            Tls(LOCAL, 802, *files).params(1.0)
    Tls(LOCAL, 802, *client, server[0]).params(1.0)


# Serial lines


async def test_a_line_that_is_not_there_is_a_device_error(tmp_path: Path) -> None:
    reader = controller(Serial(str(tmp_path / "none"), 19200))
    with pytest.raises(DeviceError, match="none: no connection"):
        await reader.connect()
    await reader.close()


@pytest.mark.parametrize("wrong", [{"parity": "X"}, {"stop_bits": 3}, {"baud": 0}])
def test_a_line_that_cannot_be_is_wrong_usage(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="parity"):
        Serial(**{"device": "tty", "baud": 9600, **wrong})  # type: ignore[arg-type]  # that is the test


@pytest.mark.parametrize(("baud", "silence_ms"), [(9600, 4.01), (19200, 2.005), (38400, 1.75), (115200, 1.75)])
def test_the_silence_between_frames_is_three_and_a_half_characters(baud: int, silence_ms: float) -> None:
    assert Serial("tty", baud).silence == pytest.approx(silence_ms / 1000, abs=1e-5)


def test_a_long_answer_on_a_slow_line_has_its_time() -> None:
    assert Serial("tty", 300).byte_s * 255 > 9
    assert Tcp(LOCAL).byte_s == RtuOverTcp(LOCAL).byte_s == 0


class Clumsy:
    """What a line does to bytes, one piece after the other."""

    def __init__(self, spoil: Callable[[bytes], bytes]) -> None:
        self.spoil: Callable[[bytes], bytes] | None = spoil

    def __call__(self, data: bytes) -> bytes:
        return data if self.spoil is None else self.spoil(data)


@settings(max_examples=15)
@given(flip=st.integers(0, 40), bit=st.integers(0, 7))
def test_one_bit_flipped_on_the_line_is_never_taken_for_a_value(flip: int, bit: int) -> None:
    from testbed.fieldbus.modbus_serial_server import ModbusSerialServer
    from testbed.plc.image import ProcessImage

    seen = 0

    def spoil(data: bytes) -> bytes:
        nonlocal seen
        spoilt = bytearray(data)
        for at in range(len(spoilt)):
            if seen + at == flip % 11:
                spoilt[at] ^= 1 << bit
        seen += len(data)
        return bytes(spoilt)

    async def run() -> None:
        clumsy = Clumsy(spoil)
        with cable(to_near=clumsy) as line:
            served = ProcessImage(TAGS, {tag.name: at + 1 for at, tag in enumerate(TAGS)})
            server = ModbusSerialServer(TAGS, served, Serial(line.far, 115200, "N"))
            await server.start()
            reader = controller(Serial(line.near, 115200, "N"), timeout=0.1)
            await reader.connect()
            with pytest.raises(DeviceError):
                await reader.poll()
            clumsy.spoil = None
            await reader.connect()
            assert (await reader.poll()).values == VALUES
            await reader.close()
            await server.stop()

    asyncio.run(run())
