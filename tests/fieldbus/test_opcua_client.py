"""The OPC UA reader in front of our server, of servers that fall silent, and of what is no server at all."""

import asyncio
import gc
import struct
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.common.callback import CallbackType, ServerItemCallback
from asyncua.ua.status_codes import StatusCodes

from testbed.core.clock import VirtualClock
from testbed.core.errors import DeviceError, UsageError
from testbed.core.tags import ByteOrder, DataType
from testbed.fieldbus.opcua_client import OpcUaReader
from testbed.fieldbus.opcua_security import Security
from testbed.fieldbus.opcua_server import OpcUaServer
from testbed.fieldbus.registers import as_read, decode
from testbed.plc.emulator import Emulator
from testbed.rig.bench import load_bench
from tests.fieldbus.relay import relayed

TAGS = load_bench(None).tags
PLACE = {tag.name: place for place, tag in enumerate(TAGS)}
LOCAL = "127.0.0.1"
NAMESPACE = "urn:attestbed:cell"
NONE = Security.none()
START_NS = 1_767_225_600 * 10**9 + 123_456_000
SCAN_NS = 100_000_000

# Building the standard address space takes more than a second: one server for the module.
pytestmark = pytest.mark.asyncio(loop_scope="module")

Change = Callable[[list[ua.DataValue]], None]


class Bench:
    """A PLC that is scanned by hand under a virtual clock, its server, and a place to change its answers."""

    def __init__(self, plc: Emulator, server: OpcUaServer, clock: VirtualClock) -> None:
        self.plc = plc
        self.server = server
        self.clock = clock
        self.change: Change | None = None

    def scan(self) -> None:
        self.clock.advance(SCAN_NS)
        self.plc.scan()

    def after_read(self, event: ServerItemCallback, _service: object) -> None:
        # The server reads its own nodes as well, such as its clock's.
        if self.change is not None and event.is_external:
            self.change(event.response_params)

    @contextmanager
    def changed(self, change: Change) -> Iterator[None]:
        self.change = change
        try:
            yield
        finally:
            self.change = None

    def reader(self, port: int | None = None, timeout: float = 5.0, channel_s: float = 3600.0) -> OpcUaReader:
        url = f"opc.tcp://{LOCAL}:{port or self.server.port}/attestbed"
        return OpcUaReader(TAGS, url, namespace=NAMESPACE, security=NONE, timeout=timeout, channel_s=channel_s)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench() -> AsyncIterator[Bench]:
    clock = VirtualClock(START_NS)
    plc = Emulator(TAGS, seed=5, boot=2)
    server = OpcUaServer(TAGS, plc.image, name="cell", period=None, clock=clock)
    await server.start()
    found = Bench(plc, server, clock)
    assert server._server is not None
    server._server.subscribe_server_callback(CallbackType.PostRead, found.after_read)
    yield found
    await server.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def reader(bench: Bench) -> AsyncIterator[OpcUaReader]:
    found = bench.reader()
    await found.connect()
    yield found
    await found.close()


def typed(value: object, kind: ua.VariantType, status: int = 0) -> ua.DataValue:
    return ua.DataValue(ua.Variant(value, kind), ua.StatusCode(ua.UInt32(status)))


def counted(count: int, status: int = 0) -> ua.DataValue:
    return typed(count, ua.VariantType.UInt32, status)


async def test_a_poll_is_the_snapshot_of_the_newest_scan_with_its_time(bench: Bench, reader: OpcUaReader) -> None:
    for _ in range(30):
        bench.scan()
        poll = await reader.poll()
        snapshot = bench.plc.image.snapshot()
        assert (poll.boot, poll.scan) == (2, snapshot["plc.scan"])
        assert poll.device_time_ns == bench.clock.now_ns()
        assert poll.statuses == (0,) * len(TAGS)
        assert [decode(tag, raw) for tag, raw in zip(as_read(TAGS), poll.values, strict=True)] == list(
            snapshot.values()
        )
    assert reader.repeats == 0


async def test_values_are_kept_as_opcua_has_them(bench: Bench, reader: OpcUaReader) -> None:
    bench.scan()
    values = (await reader.poll()).values
    snapshot = bench.plc.image.snapshot()
    assert values[PLACE["plc.scan"]] == struct.pack("<I", snapshot["plc.scan"])
    assert values[PLACE["control.mode"]] == struct.pack("<H", snapshot["control.mode"])
    assert values[PLACE["tank1.level"]] == struct.pack("<f", snapshot["tank1.level"])
    assert values[PLACE["estop.pressed"]] == b"\x00"


async def test_as_read_changes_the_byte_order_and_nothing_else() -> None:
    tags = as_read(TAGS)
    assert {tag.modbus.byte_order for tag in tags} == {ByteOrder.DCBA}
    assert [replace(tag, modbus=old.modbus) for tag, old in zip(tags, TAGS, strict=True)] == list(TAGS)


async def test_what_was_not_published_is_read_and_what_stands_still_stays_the_same(
    bench: Bench, reader: OpcUaReader
) -> None:
    bench.scan()
    poll = await reader.poll()
    bench.clock.advance(SCAN_NS)
    assert await reader.poll() == poll
    await bench.server.publish()
    assert await reader.poll() == poll


async def test_a_poll_within_which_a_scan_ends_begins_again(bench: Bench, reader: OpcUaReader) -> None:
    left = 2

    def tear(values: list[ua.DataValue]) -> None:
        nonlocal left
        if left > 0:
            left -= 1
            values[1 + len(TAGS)] = counted(values[0].Value.Value + 1)  # type: ignore[union-attr]

    with bench.changed(tear):
        poll = await reader.poll()
        assert reader.repeats == 2
        assert poll.scan == bench.plc.image.snapshot()["plc.scan"]
        left = 1000
        with pytest.raises(DeviceError, match="within each of 5 polls"):
            await reader.poll()
        assert reader.repeats == 7
    assert (await reader.poll()).scan == poll.scan


async def test_a_restart_within_a_poll_is_a_torn_one_as_well(bench: Bench, reader: OpcUaReader) -> None:
    with (
        bench.changed(lambda values: values.__setitem__(-1, counted(3))),
        pytest.raises(DeviceError, match="within each of 5 polls"),
    ):
        await reader.poll()


UNCERTAIN = 0x40900000
BAD = 0x80310000


@pytest.mark.parametrize(
    ("answer", "raw", "status"),
    [
        (typed(1.5, ua.VariantType.Float, UNCERTAIN), struct.pack("<f", 1.5), UNCERTAIN),
        (typed(1.5, ua.VariantType.Float, BAD), struct.pack("<f", 1.5), BAD),
        (typed(None, ua.VariantType.Null, BAD), None, BAD),
        (typed(None, ua.VariantType.Null), None, 0x80740000),
        (typed(1.5, ua.VariantType.Double), None, 0x80740000),
        (typed([1.5], ua.VariantType.Float), None, 0x80740000),
        (typed("1.5", ua.VariantType.String), None, 0x80740000),
        (typed("1.5", ua.VariantType.String, BAD), None, BAD),
        (typed(1.5, ua.VariantType.Float, 0x00000400), struct.pack("<f", 1.5), 0x400),  # Good, and more is said
    ],
)
async def test_a_value_is_kept_with_its_status(
    bench: Bench, reader: OpcUaReader, answer: ua.DataValue, raw: bytes | None, status: int
) -> None:
    at = PLACE["tank1.level"]
    with bench.changed(lambda values: values.__setitem__(1 + at, answer)):
        poll = await reader.poll()
    assert (poll.values[at], poll.statuses[at]) == (raw, status)
    others = [status for place, status in enumerate(poll.statuses) if place != at]
    assert others == [0] * (len(TAGS) - 1)


@pytest.mark.parametrize("at", [0, 1 + len(TAGS), 1 + PLACE["plc.boot"], -1])
async def test_a_counter_that_is_not_good_is_a_device_error(bench: Bench, reader: OpcUaReader, at: int) -> None:
    with (
        bench.changed(lambda values: values.__setitem__(at, counted(7, UNCERTAIN))),
        pytest.raises(DeviceError, match="counter has the status Uncertain"),
    ):
        await reader.poll()


async def test_a_time_that_nobody_said_is_none(bench: Bench, reader: OpcUaReader) -> None:
    scan = bench.plc.image.snapshot()["plc.scan"]
    with bench.changed(lambda values: values.__setitem__(0, counted(int(scan)))):
        assert (await reader.poll()).device_time_ns is None


async def test_a_plc_without_restart_counter(bench: Bench) -> None:
    reader = OpcUaReader(TAGS, bench.server.url, boot_tag=None, namespace=NAMESPACE, security=NONE)
    await reader.connect()
    assert (await reader.poll()).boot == 0
    await reader.close()


@pytest.mark.parametrize("counter", ["no.such", "tank1.level", "estop.active"])
async def test_a_counter_must_be_an_integer_tag(counter: str) -> None:
    with pytest.raises(UsageError, match=counter):
        OpcUaReader(TAGS, "opc.tcp://127.0.0.1:1", counter, namespace=NAMESPACE, security=NONE)


@pytest.mark.parametrize(
    "url", ["no url", "opc.tcp://127.0.0.1", "opc.tcp://:4840", "http://127.0.0.1:4840", "opc.tcp://[", "opc.tcp://a:b"]
)
async def test_a_url_must_say_host_and_port(url: str) -> None:
    with pytest.raises(UsageError, match="no address"):
        OpcUaReader(TAGS, url, namespace=NAMESPACE, security=NONE)


async def test_a_node_that_is_not_there_is_none_with_its_status_and_the_others_are_read(bench: Bench) -> None:
    tags = (*TAGS[:2], replace(TAGS[2], opcua="no such node"))
    reader = OpcUaReader(tags, bench.server.url, namespace=NAMESPACE, security=NONE)
    await reader.connect()
    poll = await reader.poll()
    assert (poll.values[2], poll.statuses) == (None, (0, 0, StatusCodes.BadNodeIdUnknown))
    assert None not in poll.values[:2]
    await reader.close()


async def test_where_not_one_node_is_there_the_first_is_named(bench: Bench) -> None:
    tags = [replace(tag, opcua=f"no {tag.opcua}") for tag in TAGS[2:5]]
    reader = OpcUaReader(tags, bench.server.url, None, None, namespace=NAMESPACE, security=NONE)
    await reader.connect()
    with pytest.raises(DeviceError, match=rf"{tags[0].name}: BadNodeIdUnknown.*\n.*'{tags[0].opcua}'"):
        await reader.poll()
    await reader.close()


async def test_a_tag_of_another_type_is_a_bad_value(bench: Bench) -> None:
    tags = (*TAGS[:2], replace(TAGS[2], type=DataType.FLOAT64))
    reader = OpcUaReader(tags, bench.server.url, namespace=NAMESPACE, security=NONE)
    await reader.connect()
    poll = await reader.poll()
    assert (poll.values[2], poll.statuses) == (None, (0, 0, 0x80740000))
    await reader.close()


async def test_another_plc_is_known_by_its_namespace(bench: Bench) -> None:
    tasks = asyncio.all_tasks()
    reader = OpcUaReader(TAGS, bench.server.url, namespace="urn:attestbed:other", security=NONE)
    with pytest.raises(DeviceError, match="no namespace urn:attestbed:other"):
        await reader.connect()
    with pytest.raises(DeviceError, match="not connected"):
        await reader.poll()
    await gone(tasks)


async def test_a_reader_has_no_tasks_of_its_own(bench: Bench) -> None:
    reader = bench.reader()
    before = asyncio.all_tasks()
    await reader.connect()
    await reader.poll()
    # The server's own: what it does for each connection.
    assert {str(task.get_coro()) for task in asyncio.all_tasks() - before if "client" in str(task.get_coro())} == set()
    await reader.close()
    await reader.close()
    with pytest.raises(DeviceError, match="not connected"):
        await reader.poll()
    await gone(before)


async def gone(before: set["asyncio.Task[object]"]) -> None:
    """Wait until the tasks that came after `before` are done; the test's time-out says that one is not."""
    if tasks := asyncio.all_tasks() - before:
        await asyncio.wait(tasks)


async def test_a_channel_is_renewed_within_a_poll(bench: Bench) -> None:
    reader = bench.reader(channel_s=0.02)
    await reader.connect()
    tokens: set[int] = set()
    while len(tokens) < 4:
        await reader.poll()
        assert reader._channel is not None
        assert reader._channel._wire.socket is not None
        tokens.add(reader._channel._wire.socket._connection.security_token.TokenId)
        await asyncio.sleep(0.001)
    await reader.close()


async def test_a_lost_session_is_a_device_error_and_a_new_one_is_opened(bench: Bench, reader: OpcUaReader) -> None:
    assert bench.server._server is not None
    for session in list(bench.server._server.iserver._external_sessions.values()):
        await session.close_session(delete_subs=True)
    with pytest.raises(DeviceError, match="BadSession"):
        await reader.poll()
    with pytest.raises(DeviceError, match="not connected"):
        await reader.poll()
    await reader.connect()
    assert (await reader.poll()).boot == 2


async def test_a_server_that_falls_silent_is_a_device_error_in_time(bench: Bench) -> None:
    async with relayed(bench.server.port) as relay:
        reader = bench.reader(relay.port, timeout=0.5)
        await reader.connect()
        relay.holds = True
        started = time.perf_counter()
        with pytest.raises(DeviceError, match=r"no answer within 0\.5 s"):
            await reader.poll()
        assert 0.5 <= time.perf_counter() - started < 3
        relay.holds = False
        await reader.connect()
        assert (await reader.poll()).boot == 2
        # Nor does it take longer to leave.
        relay.holds = True
        started = time.perf_counter()
        await reader.close()
        assert time.perf_counter() - started < 2


async def test_a_connection_that_ends_amid_is_a_device_error_at_once(bench: Bench) -> None:
    async with relayed(bench.server.port) as relay:
        reader = bench.reader(relay.port, timeout=60.0)
        await reader.connect()
        relay.holds = True
        poll = asyncio.create_task(reader.poll())
        await relay.held.wait()
        relay.end()
        with pytest.raises(DeviceError, match="no good answer"):
            await poll
        relay.holds = False
        await reader.connect()
        assert (await reader.poll()).boot == 2
        await reader.close()


async def test_a_poll_that_is_cancelled_leaves_no_answer_for_the_next(bench: Bench) -> None:
    async with relayed(bench.server.port) as relay:
        reader = bench.reader(relay.port, timeout=60.0)
        await reader.connect()
        relay.holds = True
        poll = asyncio.create_task(reader.poll())
        await relay.held.wait()
        poll.cancel()
        with pytest.raises(asyncio.CancelledError):
            await poll
        with pytest.raises(DeviceError, match="not connected"):
            await reader.poll()


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def says(data: bytes, *, again: bool = False) -> Serve:
    """A server that says the same to everybody, once or for ever."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(1)
            writer.write(data)
            while again:
                writer.write(data)
                await writer.drain()
            await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()

    return serve


@pytest.mark.parametrize(
    "serve",
    [
        says(b""),
        says(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"),
        says(bytes(64)),
        says(b"ACKF" + struct.pack("<I", 2**32 - 1)),
        says(b"ACKF" + struct.pack("<I", 2**31 - 1) + bytes(65536), again=True),
        says(b"ERRF" + struct.pack("<IIi", 16, 0x80080000, -1)),
        says(b"ACKF" + struct.pack("<I5I", 28, 0, 65535, 65535, 0, 0) + b"OPNF" + struct.pack("<I", 12) + bytes(4)),
    ],
    ids=["silent", "http", "zeros", "long", "endless", "error", "acknowledged"],
)
async def test_what_is_no_server_is_a_device_error_in_time(serve: Serve) -> None:
    server = await asyncio.start_server(serve, LOCAL, 0)
    tasks = asyncio.all_tasks()
    url = f"opc.tcp://{LOCAL}:{server.sockets[0].getsockname()[1]}"
    reader = OpcUaReader(TAGS, url, namespace=NAMESPACE, security=NONE, timeout=0.3)
    started = time.perf_counter()
    with pytest.raises(DeviceError, match=url):
        await reader.connect()
    assert time.perf_counter() - started < 3
    await reader.close()
    server.close()
    await server.wait_closed()
    await gone(tasks)


async def test_where_nobody_listens_a_reader_says_so(bench: Bench) -> None:
    async with relayed(bench.server.port) as relay:
        port = relay.port
    reader = bench.reader(port)
    with pytest.raises(DeviceError, match="no connection"):
        await reader.connect()


async def test_polls_leave_nothing_behind(bench: Bench, reader: OpcUaReader) -> None:
    async def polls(count: int) -> None:
        for _ in range(count):
            bench.scan()
            await reader.poll()
        gc.collect()

    tracemalloc.start()
    try:
        await polls(200)
        before, _ = tracemalloc.get_traced_memory()
        await polls(500)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 20_000
