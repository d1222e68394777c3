"""What a client finds in the OPC UA server of a PLC: typed nodes, methods, events and who it is talking to."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.uaerrors import UaStatusCodeError

import testbed
from testbed.core.clock import VirtualClock
from testbed.core.errors import DeviceError
from testbed.core.tags import DataType, Tag, Value
from testbed.fieldbus.opcua_events import tells
from testbed.fieldbus.opcua_server import OpcUaServer
from testbed.rig.bench import load_bench

TAGS = load_bench(None).tags
TAG = {tag.name: tag for tag in TAGS}
START_NS = 1_800_000_000 * 10**9

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Image:
    """A process image that is set by hand and keeps what was written."""

    def __init__(self, tags: tuple[Tag, ...]) -> None:
        self.values: dict[str, Value] = {
            tag.name: False if tag.type is DataType.BOOL else 0.0 if tag.type is DataType.FLOAT32 else 0 for tag in tags
        }
        self.written: list[tuple[str, Value]] = []
        self.busy = False

    def snapshot(self) -> Mapping[str, Value]:
        return dict(self.values)

    def latest(self, name: str) -> Value:
        return self.values[name]

    def write(self, name: str, value: Value) -> None:
        if self.busy:
            raise DeviceError("no scan", "wait")
        self.written.append((name, value))

    def write_all(self, values: Mapping[str, Value]) -> None:
        for name, value in values.items():
            self.write(name, value)


class Bench:
    def __init__(self, image: Image, clock: VirtualClock, server: OpcUaServer, client: Client, index: int) -> None:
        self.image = image
        self.clock = clock
        self.server = server
        self.client = client
        self.index = index

    def id(self, identifier: str) -> ua.NodeId:
        return ua.NodeId(ua.String(identifier), ua.Int16(self.index))

    async def set(self, **values: Value) -> None:
        self.image.values.update({name.replace("__", "."): value for name, value in values.items()})
        self.clock.advance(10**8)
        await self.server.publish()

    async def call(self, method: str, *arguments: ua.Variant, owner: str = "folder:plc") -> str:
        request = ua.CallMethodRequest()
        request.ObjectId = self.id(owner)
        request.MethodId = self.id(f"method:plc.{method}")
        request.InputArguments = list(arguments)
        (result,) = await self.client.uaclient.call([request])
        return str(result.StatusCode.name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench() -> AsyncIterator[Bench]:
    image, clock = Image(TAGS), VirtualClock(START_NS)
    server = OpcUaServer(TAGS, image, name="cell", period=60.0, clock=clock)
    await server.start()
    async with Client(server.url) as client:
        yield Bench(image, clock, server, client, await client.get_namespace_index("urn:attestbed:cell"))
    await server.stop()


async def test_every_tag_is_a_typed_node_with_a_good_value_and_both_timestamps(bench: Bench) -> None:
    kinds = {DataType.BOOL: "Boolean", DataType.UINT16: "UInt16", DataType.UINT32: "UInt32", DataType.FLOAT32: "Float"}
    for tag in TAGS:
        node = bench.client.get_node(bench.id(tag.opcua))
        value = await node.read_data_value()
        assert value.StatusCode is not None
        assert value.StatusCode.is_good()
        assert value.SourceTimestamp is not None
        assert value.SourceTimestamp.timestamp() >= START_NS / 1e9
        assert value.ServerTimestamp is not None
        assert value.Value is not None
        assert value.Value.VariantType.name == kinds[tag.type]
        assert (await node.read_data_type()).Identifier == value.Value.VariantType.value
        assert (await node.read_display_name()).Text == tag.name.split(".")[-1]
        assert str((await node.read_description()).Text).startswith(f"{tag.name}: ")
        writable = ua.AccessLevel.CurrentWrite in await node.get_access_level()
        assert writable is tag.writable


async def test_a_number_is_an_analog_item_with_its_range_and_unit(bench: Bench) -> None:
    for tag in TAGS:
        node = bench.client.get_node(bench.id(tag.opcua))
        kind = await node.read_type_definition()
        assert kind is not None
        properties = {str((await child.read_browse_name()).Name): child for child in await node.get_properties()}
        if tag.type is DataType.BOOL:
            assert kind.Identifier == ObjectIds.BaseDataVariableType
            assert properties == {}
            continue
        assert kind.Identifier == ObjectIds.AnalogItemType
        assert set(properties) == {"EURange", "EngineeringUnits"} if tag.unit else {"EURange"}
        shown = await properties["EURange"].read_data_value()
        assert shown.Value is not None
        assert (shown.Value.Value.Low, shown.Value.Value.High) == (tag.low, tag.high)
        assert shown.SourceTimestamp is not None
        assert properties["EURange"].nodeid.NamespaceIndex == bench.index
        if tag.unit:
            assert (await properties["EngineeringUnits"].read_value()).DisplayName.Text == tag.unit


async def test_the_timestamp_is_the_one_of_the_publication_that_changed_the_value(bench: Bench) -> None:
    level = bench.client.get_node(bench.id(TAG["tank1.level"].opcua))
    pressure = bench.client.get_node(bench.id(TAG["pump.pressure"].opcua))
    before = await pressure.read_data_value()
    await bench.set(tank1__level=0.5)
    value = await level.read_data_value()
    assert value.SourceTimestamp is not None
    assert value.SourceTimestamp.timestamp() == pytest.approx(bench.clock.now_ns() / 1e9, abs=1e-5)
    after = await pressure.read_data_value()
    assert after.SourceTimestamp == before.SourceTimestamp


@pytest.mark.parametrize(
    ("method", "written"),
    [("start", ("control.mode", 2)), ("stop", ("control.mode", 0)), ("reset", ("control.reset", True))],
)
async def test_a_method_writes_its_command_through_the_source(
    bench: Bench, method: str, written: tuple[str, Value]
) -> None:
    bench.image.written.clear()
    assert await bench.call(method) == "Good"
    assert bench.image.written == [written]


async def test_a_wrong_call_is_refused_by_a_status_and_writes_nothing(bench: Bench) -> None:
    bench.image.written.clear()
    assert await bench.call("start", ua.Variant(1)) == "BadTooManyArguments"
    assert await bench.call("start", owner="folder:control") == "BadMethodInvalid"
    assert await bench.call("explode") == "BadNodeIdInvalid"
    bench.image.busy = True
    assert await bench.call("start") == "BadDeviceFailure"
    bench.image.busy = False
    assert bench.image.written == []


async def test_methods_are_found_by_browsing_the_plc(bench: Bench) -> None:
    plc = await bench.client.nodes.objects.get_child(f"{bench.index}:plc")
    names = [(await method.read_browse_name()).Name for method in await plc.get_methods()]
    assert sorted(names) == ["reset", "start", "stop"]


@pytest.mark.parametrize("notifier", ["Server", "plc"])
async def test_a_subscriber_hears_an_alarm_come_and_go(bench: Bench, notifier: str) -> None:
    heard: asyncio.Queue[object] = asyncio.Queue()

    class Handler:
        def event_notification(self, event: object) -> None:
            heard.put_nowait(event)

    kind = bench.client.get_node(bench.id("AlarmEventType"))
    source = bench.client.nodes.server if notifier == "Server" else bench.client.get_node(bench.id("folder:plc"))
    subscription = await bench.client.create_subscription(20, Handler())
    await subscription.subscribe_events(source, kind)
    await bench.set(alarm__high_level=True, tank1__level=1.9)
    came = await asyncio.wait_for(heard.get(), 5)
    await bench.set(alarm__high_level=False)
    went = await asyncio.wait_for(heard.get(), 5)
    seen = [
        (event.SourceName, event.SourceNode, event.Message.Text, event.Severity, event.ActiveState, event.EventType)  # type: ignore[attr-defined]  # made by the library from the fields
        for event in (came, went)
    ]
    node = bench.id(TAG["alarm.high_level"].opcua)
    assert seen == [
        ("alarm.high_level", node, "alarm.high_level active", 500, True, kind.nodeid),
        ("alarm.high_level", node, "alarm.high_level cleared", 500, False, kind.nodeid),
    ]
    assert came.EventId != went.EventId  # type: ignore[attr-defined]  # as above
    # Nothing else came: what is no alarm is no event, and what did not change is none either.
    await bench.set(estop__pressed=True)
    await bench.set(estop__active=True)
    last = await asyncio.wait_for(heard.get(), 5)
    assert (last.SourceName, last.Severity) == ("estop.active", 900)  # type: ignore[attr-defined]  # as above
    await bench.set(estop__pressed=False, estop__active=False)
    await subscription.delete()


async def test_a_senseless_event_filter_is_its_subscribers_own_loss(bench: Bench) -> None:
    heard: asyncio.Queue[object] = asyncio.Queue()

    class Handler:
        def event_notification(self, event: object) -> None:
            heard.put_nowait(event)

    select = ua.SimpleAttributeOperand()
    select.AttributeId = ua.UInt32(99)
    filtering = ua.EventFilter()
    filtering.SelectClauses = [select]
    async with Client(bench.server.url) as other:
        bad = await other.create_subscription(20, Handler())
        await bad.subscribe_events(other.nodes.server, evfilter=filtering)
        good = await bench.client.create_subscription(20, Handler())
        await good.subscribe_events(bench.client.nodes.server, bench.client.get_node(bench.id("AlarmEventType")))
        await bench.set(interlock__pump=True)
        event = await asyncio.wait_for(heard.get(), 5)
        assert event.SourceName == "interlock.pump"  # type: ignore[attr-defined]  # made by the library
        await good.delete()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("alarm.low_level", True),
        ("interlock.heater", True),
        ("estop.active", True),
        ("estop.pressed", False),
        ("control.reset", False),
        ("tank1.level", False),
    ],
)
async def test_which_tags_tell_events(name: str, told: bool) -> None:
    assert tells(TAG[name]) is told


async def test_the_server_says_who_it_is(bench: Bench) -> None:
    build = await bench.client.get_node(ua.NodeId(ua.Int32(ObjectIds.Server_ServerStatus_BuildInfo))).read_value()
    assert (build.ManufacturerName, build.ProductName, build.SoftwareVersion) == (
        "Attestbed",
        "Attestbed PLC",
        testbed.__version__,
    )
    assert build.BuildNumber.startswith("asyncua-2.1")
    (endpoint,) = await bench.client.get_endpoints()
    assert endpoint.Server.ApplicationUri == "urn:attestbed:server"
    assert endpoint.Server.ApplicationType == ua.ApplicationType.Server


async def test_without_the_command_tags_there_are_no_methods_and_the_start_is_quick() -> None:
    tags = tuple(tag for tag in TAGS if tag.name in ("tank1.level", "control.reset"))
    server = OpcUaServer(tags, Image(tags))
    started = time.process_time()
    await server.start()
    took = time.process_time() - started
    async with Client(server.url) as client:
        index = await client.get_namespace_index("urn:attestbed:cell")
        plc = await client.nodes.objects.get_child(f"{index}:plc")
        names = [(await method.read_browse_name()).Name for method in await plc.get_methods()]
    await server.stop()
    assert names == ["reset"]
    assert took < 2.0


async def test_nobody_adds_nodes_from_outside(bench: Bench) -> None:
    with pytest.raises(UaStatusCodeError):
        await bench.client.nodes.objects.add_folder(bench.id("mine"), "mine")
