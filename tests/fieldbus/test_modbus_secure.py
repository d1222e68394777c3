"""The Modbus/TCP Security server: who comes in, who may write, and what it says to the others."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.core.errors import DeviceError, DeviceRefused, UsageError
from testbed.fieldbus.modbus_access import WRITES, Access
from testbed.fieldbus.modbus_client import ModbusController
from testbed.fieldbus.modbus_server import ConnectionLimits, ModbusServer
from testbed.fieldbus.modbus_transports import Tcp, Tls
from testbed.keys.certificates import role_of
from testbed.plc.image import ProcessImage
from tests.fieldbus.certificates import certified
from tests.fieldbus.modbus_device import LOCAL, words

TAGS = words(range(2))
VALUES = {tag.name: at + 1 for at, tag in enumerate(TAGS)}
ROLES = {"op": "operator", "eng": "engineer", "ro": "read-only", "none": "", "odd": "Operator"}


class Bench:
    """A server that trusts the clients of ROLES, and their files."""

    def __init__(self, server: ModbusServer, image: ProcessImage, folder: Path) -> None:
        self.server = server
        self.image = image
        self.folder = folder

    def controller(self, name: str, timeout: float = 5.0) -> ModbusController:
        files = certified(self.folder, name, ROLES.get(name, ""))
        way = Tls(LOCAL, self.server.port, *files, self.folder / "server.pem")
        return ModbusController(TAGS, way, scan_tag=None, boot_tag=None, timeout=timeout)


@asynccontextmanager
async def secured(folder: Path, limits: ConnectionLimits | None = None) -> AsyncIterator[Bench]:
    trust = folder / "trust"
    trust.mkdir()
    for name, role in ROLES.items():
        certified(folder, name, role)[0].rename(trust / f"{name}.pem")
    image = ProcessImage(TAGS, VALUES)
    access = Access(*certified(folder, "server"), trust, role_of)
    server = ModbusServer(TAGS, image, access=access, limits=limits)
    await server.start()
    try:
        yield Bench(server, image, folder)
    finally:
        await server.stop()


@pytest.mark.parametrize(
    ("name", "writes"), [("op", True), ("eng", True), ("ro", False), ("none", False), ("odd", False)]
)
async def test_all_clients_read_and_some_roles_write(tmp_path: Path, name: str, writes: bool) -> None:
    async with secured(tmp_path) as bench:
        reader = bench.controller(name)
        await reader.connect()
        assert (await reader.poll()).values == (b"\x00\x01", b"\x00\x02")
        if writes:
            await reader.write(TAGS[0], 9)
            assert bench.image.take_writes() == {TAGS[0].name: 9}
        else:
            with pytest.raises(DeviceRefused, match="exception 01"):
                await reader.write(TAGS[0], 9)
            assert bench.image.take_writes() == {}
        assert (await reader.identify()).vendor == "Attestbed"
        await reader.close()


async def test_each_function_that_writes_is_refused_and_each_that_reads_is_not(tmp_path: Path) -> None:
    requests = {
        3: "0300000001",
        4: "0400000001",
        5: "050000ff00",
        6: "0600000009",
        15: "0f000000010101",
        16: "100000000102000a",
        22: "16000000000009",
        23: "170000000100000001020009",
        43: "2b0e0100",
    }
    async with secured(tmp_path) as bench:
        files = certified(tmp_path, "ro", "read-only")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_cert_chain(*files)
        context.load_verify_locations(tmp_path / "server.pem")
        reader, writer = await asyncio.open_connection(LOCAL, bench.server.port, ssl=context)
        for function, request in requests.items():
            pdu = bytes.fromhex(request)
            writer.write(bytes((0, function, 0, 0, 0, len(pdu) + 1, 1)) + pdu)
            header = await reader.readexactly(7)
            answer = await reader.readexactly(header[5] - 1)
            refused = answer == bytes((function | 0x80, 1))
            assert refused is (function in WRITES), answer.hex()
        assert bench.image.take_writes() == {}
        writer.close()
        await writer.wait_closed()


async def test_a_client_whose_certificate_nobody_knows_gets_nothing_and_is_told_what_it_may_be(tmp_path: Path) -> None:
    async with secured(tmp_path) as bench:
        reader = bench.controller("stranger")
        with pytest.raises(DeviceError, match="refuse"):
            await connected_and_polled(reader)
        assert bench.server.connections == 0
        await reader.close()


async def connected_and_polled(reader: ModbusController) -> None:
    await reader.connect()
    await reader.poll()


async def test_a_client_without_a_certificate_gets_nothing(tmp_path: Path) -> None:
    async with secured(tmp_path) as bench:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(tmp_path / "server.pem")
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await asked(bench.server.port, context)
        assert bench.server.connections == 0


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
async def test_tls_1_1_is_too_old(tmp_path: Path) -> None:
    async with secured(tmp_path) as bench:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.load_cert_chain(*certified(tmp_path, "op", "operator"))
        context.load_verify_locations(tmp_path / "server.pem")
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await asked(bench.server.port, context)
        # Its twin, newer by one version, comes in.
        context.maximum_version = context.minimum_version = ssl.TLSVersion.TLSv1_2
        assert (await asked(bench.server.port, context))[7:] == b"\x03\x02\x00\x01"


async def asked(port: int, context: ssl.SSLContext) -> bytes:
    """The answer to a read of one register, whole."""
    reader, writer = await asyncio.open_connection(LOCAL, port, ssl=context)
    try:
        writer.write(bytes.fromhex("000100000006010300000001"))
        return await reader.readexactly(11)
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError("it ended") from error
    finally:
        writer.close()


async def test_a_plain_client_gets_nothing_from_a_secured_server(tmp_path: Path) -> None:
    async with secured(tmp_path, ConnectionLimits(stalled_s=1.0)) as bench:
        reader = ModbusController(TAGS, Tcp(LOCAL, bench.server.port), scan_tag=None, boot_tag=None, timeout=5.0)
        with pytest.raises(DeviceError):
            await connected_and_polled(reader)
        await reader.close()


async def test_requests_in_one_record_and_in_pieces_are_answered_in_order(tmp_path: Path) -> None:
    async with secured(tmp_path) as bench:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_cert_chain(*certified(tmp_path, "op", "operator"))
        context.load_verify_locations(tmp_path / "server.pem")
        reader, writer = await asyncio.open_connection(LOCAL, bench.server.port, ssl=context)
        requests = [bytes((0, at, 0, 0, 0, 6, 1, 3, 0, at % 2, 0, 1)) for at in range(50)]
        writer.write(b"".join(requests[:40]))
        for piece in b"".join(requests[40:]):
            writer.write(bytes((piece,)))
        answers = await reader.readexactly(11 * 50)
        assert [answers[11 * at + 1] for at in range(50)] == list(range(50))
        assert [answers[11 * at + 10] for at in range(50)] == [1 + at % 2 for at in range(50)]
        writer.close()
        await writer.wait_closed()


async def test_a_server_without_its_files_says_which(tmp_path: Path) -> None:
    certificate, key = certified(tmp_path, "server")
    good = Access(certificate, key, certificate, role_of)
    for wrong in (replace(good, key=tmp_path / "none.key"), replace(good, trust=tmp_path / "none.key")):
        server = ModbusServer(TAGS, ProcessImage(TAGS, VALUES), access=wrong)
        with pytest.raises(UsageError, match=r"none\.key"):
            await server.start()


def test_who_shows_no_certificate_or_a_malformed_role_may_not_write(tmp_path: Path) -> None:
    access = Access(tmp_path, tmp_path, tmp_path, role_of)
    assert not access.may_write(None)
    assert not access.may_write(b"no certificate")
