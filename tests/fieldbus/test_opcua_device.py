"""A device by other authors, node-opcua from npm, that our driver reads and writes, signed and encrypted."""

import asyncio
import json
import os
import socket
import struct
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from asyncua.ua.status_codes import StatusCodes

from testbed.core.errors import DeviceError, DeviceRefused, UsageError
from testbed.core.identity import Identity
from testbed.core.tags import DataType, ModbusAddress, ModbusTable, Tag, Value
from testbed.fieldbus.opcua_client import OpcUaReader
from testbed.fieldbus.opcua_discovery import endpoints
from testbed.fieldbus.opcua_security import Credentials, Login, Policy, Security
from testbed.fieldbus.registers import decode
from testbed.keys.trust import TrustList, thumbprint
from tests.fieldbus.opcua_parties import CLIENT_URI, PASSWORD, Party
from tests.fieldbus.relay import relayed
from tests.judges.node import needs, script

NAMESPACE = "urn:judge:device"
MOST = 5
"""Nodes that the device takes in one Read."""

pytestmark = [pytest.mark.asyncio(loop_scope="module"), *needs("node-opcua-server")]


def tag(name: str, kind: DataType, opcua: str, scale: float = 1.0, *, writable: bool = True) -> Tag:
    at = ModbusAddress(ModbusTable.HOLDING_REGISTER, 0)
    return Tag(name, kind, "", -1e12, 1e12, writable, at, opcua, scale)


TAGS = (
    tag("plc.scan", DataType.UINT32, f"nsu={NAMESPACE};i=1001", writable=False),
    tag("plc.boot", DataType.UINT32, f"nsu={NAMESPACE};i=1002", writable=False),
    tag("level", DataType.FLOAT32, "Tank.Level; of one", writable=False),
    tag("flag", DataType.BOOL, f"nsu={NAMESPACE};b=AQIDBA==", writable=False),
    tag("word", DataType.UINT16, f"nsu={NAMESPACE};g=72962b91-fa75-4ae6-8d28-b404dc7daf63", writable=False),
    tag("short", DataType.INT16, f"nsu={NAMESPACE};s=short", 0.5),
    tag("set", DataType.FLOAT32, "set"),
    tag("on", DataType.BOOL, "on"),
    tag("count", DataType.UINT32, "count"),
    tag("long", DataType.INT32, "long"),
    tag("wide", DataType.FLOAT64, "wide"),
    tag("fetched", DataType.FLOAT32, "fetched", writable=False),
)
PLACE = {one.name: place for place, one in enumerate(TAGS)}
FIRST: dict[str, Value] = {
    "plc.scan": 1, "plc.boot": 7, "level": 1.5, "flag": True, "word": 65535, "short": -1.0, "set": 0.25, "on": False,
    "count": 2**32 - 1, "long": -(2**31), "wide": 3.141592653589793, "fetched": 8.5,
}  # fmt: skip


class Device:
    """node-opcua in a process of its own."""

    def __init__(self, folder: Path, trusted: Sequence[Path]) -> None:
        self._folder = folder
        self._trusted = trusted
        self.port = 0
        self.certificate = b""
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}/device"

    async def start(self) -> None:
        options = {
            "port": self.port or _free_port(),
            "folder": str(self._folder),
            "trusted": [str(file) for file in self._trusted],
            "password": PASSWORD,
            "most": MOST,
        }
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *script("opcua-device.js"), json.dumps(options),
            stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL, env={**os.environ, "HOME": str(self._folder)},
        )  # fmt: skip
        said = await self._line()
        self.port, self.certificate = said["port"], bytes.fromhex(said["certificate"])

    async def told(self, **words: object) -> None:
        """Tell it something, and wait until it has done that."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words).encode() + b"\n")
        await self._line()

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def _line(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(60):
            while not (line := await self._process.stdout.readline()).startswith(b"{"):
                assert line, "the device has ended"  # else it says what it thinks of the version of Node
        found: dict[str, Any] = json.loads(line)
        return found


def _free_port() -> int:
    """One that it can take again after it was killed."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Bench:
    """The device, and who comes to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.client = Party.make(folder, "client", CLIENT_URI)
        self.stranger = Party.make(folder, "stranger", CLIENT_URI)
        self.person = Party.make(folder, "person", "urn:attestbed:person")
        self.device = Device(folder / "device", [self.client.certificate, self.person.certificate])

    def security(
        self,
        mode: str = "SignAndEncrypt",
        policy: str = "Basic256Sha256",
        user: Login | Credentials | None = None,
        own: Party | None = None,
        trust: TrustList | None = None,
    ) -> Security:
        return Security.secured(
            (own or self.client).credentials(),
            trust or TrustList.of([self.device.certificate]),
            mode=mode,
            policy=policy,
            user=user,
        )

    def reader(
        self,
        security: Security | None = None,
        tags: Sequence[Tag] = TAGS,
        port: int = 0,
        **more: Any,  # noqa: ANN401  # as the reader has them
    ) -> OpcUaReader:
        url = f"opc.tcp://127.0.0.1:{port or self.device.port}/device"
        return OpcUaReader(
            tags,
            url,
            namespace=NAMESPACE,
            security=security or self.security(),
            **{"scales": True, "timeout": 5.0, **more},
        )

    @asynccontextmanager
    async def connected(self, security: Security | None = None, **more: Any) -> AsyncIterator[OpcUaReader]:  # noqa: ANN401  # as the reader has them
        reader = self.reader(security, **more)
        await reader.connect()
        try:
            yield reader
        finally:
            await reader.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("device"))
    await bench.device.start()
    yield bench
    await bench.device.kill()


async def shown(reader: OpcUaReader) -> dict[str, Value]:
    poll = await reader.poll()
    assert set(poll.statuses) == {0}
    return {one.name: decode(one, raw) for one, raw in zip(reader.tags, poll.values, strict=True)}


@pytest.mark.parametrize("policy", [policy.value for policy in Policy])
@pytest.mark.parametrize("mode", ["Sign", "SignAndEncrypt"])
async def test_all_types_and_kinds_of_nodes_are_read(bench: Bench, mode: str, policy: str) -> None:
    async with bench.connected(bench.security(mode, policy)) as reader:
        assert await shown(reader) == FIRST
        poll = await reader.poll()
        assert (poll.scan, poll.boot) == (1, 7)
        assert poll.device_time_ns is not None
        assert abs(poll.device_time_ns - time.time_ns()) < 600 * 10**9


async def test_without_security_it_is_read_as_well_if_that_is_said(bench: Bench) -> None:
    async with bench.connected(Security.none()) as reader:
        assert await shown(reader) == FIRST


async def test_the_device_says_who_it_is(bench: Bench) -> None:
    async with bench.connected() as reader:
        assert await reader.identify() == Identity("Judge", "Device", "2.5+77")


async def test_its_limit_of_nodes_in_one_read_is_kept_and_the_row_is_still_one_scan(bench: Bench) -> None:
    async with bench.connected() as reader:
        assert reader._plan.most == MOST
        assert [len(request.types) for request in reader._plan.round(0).requests] == [5, 5, 5]
        assert await shown(reader) == FIRST
    async with bench.connected(most=1) as reader:
        assert await shown(reader) == FIRST


async def test_a_limit_that_nobody_named_is_found(bench: Bench) -> None:
    async with bench.connected() as reader:
        reader._plan.bind(reader._nodes, 0)
        assert await shown(reader) == FIRST
        assert 1 <= reader._plan.most <= MOST


async def test_what_is_written_is_read_back(bench: Bench) -> None:
    async with bench.connected() as reader:
        writes: dict[str, Value] = {"short": 12.5, "set": -1.75, "on": True, "count": 3, "long": 2**31 - 1, "wide": 0.1}
        for name, value in writes.items():
            await reader.write(TAGS[PLACE[name]], value)
        assert await shown(reader) == {**FIRST, **writes}
        for name in writes:
            await reader.write(TAGS[PLACE[name]], FIRST[name])
        assert await shown(reader) == FIRST


async def test_what_the_device_refuses_is_named_and_the_session_goes_on(bench: Bench) -> None:
    tags = tuple(replace(one, writable=True) for one in TAGS)
    tags += (tag("gone", DataType.FLOAT32, "no such node"), tag("long2", DataType.INT16, "long"))
    async with bench.connected(tags=tags) as reader:
        for name, status in (("level", "NotWritable"), ("gone", "BadNodeIdUnknown"), ("long2", "BadTypeMismatch")):
            with pytest.raises(DeviceRefused, match=f"{name}: .*{status}"):
                await reader.write(next(one for one in tags if one.name == name), 1)
        poll = await reader.poll()
        assert poll.values[-2:] == (None, None)
        assert poll.statuses[-2:] == (StatusCodes.BadNodeIdUnknown, StatusCodes.BadTypeMismatch)
        assert set(poll.statuses[:-2]) == {0}
        with pytest.raises(UsageError, match="cannot be written"):
            await reader.write(tag("other", DataType.FLOAT32, "set"), 1.0)


async def test_a_value_that_is_bad_has_its_status_and_the_others_are_read(bench: Bench) -> None:
    async with bench.connected() as reader:
        await bench.device.told(bad="level")
        poll = await reader.poll()
        assert poll.statuses[PLACE["level"]] == StatusCodes.BadSensorFailure
        assert sum(map(bool, poll.statuses)) == 1
        await bench.device.told(set={"level": 1.5})
        assert await shown(reader) == FIRST


async def test_scan_classes_are_read_in_their_turn(bench: Bench) -> None:
    async with bench.connected(every={"level": 2, "fetched": 3}) as reader:
        for number in range(7):
            poll = await reader.poll()
            for name, period in (("level", 2), ("fetched", 3)):
                at = PLACE[name]
                assert (poll.values[at] is None) is (poll.statuses[at] == 0x00A50000) is (number % period != 0)
            assert (poll.scan, poll.boot) == (1, 7)


async def test_where_nothing_has_its_turn_a_device_that_is_gone_is_noticed_all_the_same(bench: Bench) -> None:
    tags = [TAGS[PLACE["level"]]]
    async with relayed(bench.device.port) as relay:
        reader = bench.reader(tags=tags, port=relay.port, scan_tag=None, boot_tag=None, every={"level": 100})
        await reader.connect()
        assert (await reader.poll()).statuses == (0,)
        assert (await reader.poll()).statuses == (0x00A50000,)
        relay.end()
        with pytest.raises(DeviceError):
            await reader.poll()


async def test_a_channel_is_renewed_under_new_keys(bench: Bench) -> None:
    async with bench.connected(channel_s=0.6) as reader:
        assert reader._channel is not None
        assert reader._channel._wire.socket is not None
        connection = reader._channel._wire.socket._connection
        tokens: set[int] = set()
        while len(tokens) < 3:
            assert await shown(reader) == FIRST
            tokens.add(connection.security_token.TokenId)
            await asyncio.sleep(0.02)


async def test_slow_answers_are_waited_for_as_long_as_was_said(bench: Bench) -> None:
    async with bench.connected(timeout=1.0) as reader:
        try:
            await bench.device.told(slow=200)
            assert (await shown(reader))["fetched"] == 8.5
            await bench.device.told(slow=4000)
            with pytest.raises(DeviceError, match="no answer within 1 s"):
                await reader.poll()
        finally:
            await bench.device.told(slow=0)
        await reader.connect()
        assert await shown(reader) == FIRST


async def test_a_dropped_connection_is_a_device_error_and_is_opened_anew(bench: Bench) -> None:
    async with relayed(bench.device.port) as relay, bench.connected(port=relay.port) as reader:
        assert await shown(reader) == FIRST
        relay.end()
        with pytest.raises(DeviceError):
            await reader.poll()
        with pytest.raises(DeviceError, match="not connected"):
            await reader.write(TAGS[PLACE["set"]], 1.0)
        await reader.connect()
        assert await shown(reader) == FIRST


async def test_a_reader_whose_connection_is_cut_again_and_again_takes_its_session_up(bench: Bench) -> None:
    """The device keeps ten sessions, each for a minute after its connection is gone."""
    async with relayed(bench.device.port) as relay, bench.connected(port=relay.port) as reader:
        for _ in range(12):
            relay.end()
            with pytest.raises(DeviceError):
                await reader.poll()
            await reader.connect()
            assert await shown(reader) == FIRST


@pytest.mark.parametrize("at", [0, 4, 8, 12, 20, -1], ids=str)
async def test_one_changed_bit_in_an_answer_is_a_device_error(bench: Bench, at: int) -> None:
    async with relayed(bench.device.port) as relay, bench.connected(port=relay.port, timeout=1.0) as reader:
        assert await shown(reader) == FIRST
        relay.change = lambda data: data[:at] + bytes([data[at] ^ 1]) + data[len(data) + at + 1 if at < 0 else at + 1 :]
        with pytest.raises(DeviceError):
            await reader.poll()
        relay.change = None
        await reader.connect()
        assert await shown(reader) == FIRST


async def test_garbage_in_between_is_a_device_error(bench: Bench) -> None:
    async with relayed(bench.device.port) as relay, bench.connected(port=relay.port, timeout=1.0) as reader:
        relay.change = lambda data: struct.pack("<I", 0xDEADBEEF) * 16 + data
        with pytest.raises(DeviceError):
            await reader.poll()


async def test_a_device_that_starts_again_is_found_again(bench: Bench) -> None:
    async with bench.connected() as reader:
        assert await shown(reader) == FIRST
        await bench.device.kill()
        with pytest.raises(DeviceError):
            await reader.poll()
        with pytest.raises(DeviceError, match="no connection"):
            await reader.connect()
        await bench.device.start()
        await bench.device.told(set={"boot": 8})
        await reader.connect()
        assert (await reader.poll()).boot == 8
        await bench.device.told(set={"boot": 7})


async def test_a_device_that_is_not_trusted_is_named_by_its_thumbprint(bench: Bench) -> None:
    flipped = bytearray(bench.device.certificate)
    flipped[-1] ^= 1
    for trust in (TrustList.of([]), bench.stranger.trust, TrustList.of([bytes(flipped)])):
        async with relayed(bench.device.port) as relay:
            reader = bench.reader(bench.security(trust=trust), port=relay.port)
            with pytest.raises(DeviceError, match="not trusted") as raised:
                await reader.connect()
        assert relay.heard
        assert b"Basic256Sha256" not in relay.heard  # a channel was opened to ask, and no other one
        assert thumbprint(bench.device.certificate) in str(raised.value)
        assert "mend: compare the thumbprint" in str(raised.value)


async def test_a_client_that_the_device_does_not_trust_is_a_device_error(bench: Bench) -> None:
    reader = bench.reader(bench.security(own=bench.stranger))
    with pytest.raises(DeviceError, match="no connection"):
        await reader.connect()


@pytest.mark.parametrize("mode", ["Sign", "SignAndEncrypt"])
async def test_a_user_with_the_password_comes_in_and_with_another_one_not(bench: Bench, mode: str) -> None:
    async with bench.connected(bench.security(mode, user=Login("bench", PASSWORD))) as reader:
        assert await shown(reader) == FIRST
    for wrong in (Login("bench", PASSWORD + "!"), Login("Bench", PASSWORD)):
        reader = bench.reader(bench.security(mode, user=wrong))
        with pytest.raises(DeviceError, match=f"user {wrong.name} is not admitted") as raised:
            await reader.connect()
        assert PASSWORD not in str(raised.value)


async def test_a_user_with_a_certificate_comes_in_and_with_another_one_not(bench: Bench) -> None:
    async with bench.connected(bench.security(user=bench.person.credentials(person=True))) as reader:
        assert await shown(reader) == FIRST
    reader = bench.reader(bench.security(user=bench.stranger.credentials(person=True)))
    with pytest.raises(DeviceError, match="certificate is not admitted"):
        await reader.connect()


async def test_what_the_device_offers_is_told(bench: Bench) -> None:
    offered = await endpoints(bench.device.url, 5.0)
    assert {(one.mode, one.policy) for one in offered} >= {
        ("None", "None"), ("Sign", "Basic256Sha256"), ("SignAndEncrypt", "Aes256Sha256RsaPss"),
    }  # fmt: skip
    assert {one.certificate for one in offered} == {bench.device.certificate}
    assert {"Anonymous", "UserName", "Certificate"} <= set(offered[-1].users)
