"""OPC UA beside Modbus in front of one PLC: both show the same, and a write by one is seen by the other."""

import asyncio
import math
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaerrors import UaStatusCodeError

from testbed.core.errors import UsageError
from testbed.fieldbus.modbus_client import ModbusController
from testbed.fieldbus.modbus_server import ModbusServer
from testbed.fieldbus.modbus_transports import Tcp
from testbed.fieldbus.opcua_server import OpcUaServer
from testbed.fieldbus.registers import decode
from testbed.plc.emulator import Emulator
from testbed.plc.thread import ScanThread
from testbed.rig.bench import load_bench

TAGS = load_bench(None).tags
TAG = {tag.name: tag for tag in TAGS}

# Building the standard address space takes more than a second: one server for the module.
pytestmark = pytest.mark.asyncio(loop_scope="module")


class Bench:
    """A PLC that is scanned by hand, served by both protocols, with a client of each."""

    def __init__(
        self, plc: Emulator, server: OpcUaServer, client: Client, reader: ModbusController, index: int
    ) -> None:
        self.plc = plc
        self.server = server
        self.client = client
        self.reader = reader
        self._index = index

    def node(self, name: str) -> ua.NodeId:
        return ua.NodeId(ua.String(TAG[name].opcua), ua.Int16(self._index))

    async def read(self, *names: str) -> list[ua.DataValue]:
        return await self.client.read_attributes([self.client.get_node(self.node(name)) for name in names])

    async def write(self, name: str, variant: ua.Variant) -> None:
        await self.client.get_node(self.node(name)).write_value(ua.DataValue(variant))

    async def scan(self) -> None:
        self.plc.scan()
        await self.server.publish()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench() -> AsyncIterator[Bench]:
    plc = Emulator(TAGS, seed=5, boot=2)
    modbus = ModbusServer(TAGS, plc.image)
    server = OpcUaServer(TAGS, plc.image, name="cell", period=60.0)
    await modbus.start()
    await server.start()
    reader = ModbusController(TAGS, Tcp("127.0.0.1", modbus.port))
    await reader.connect()
    async with Client(server.url) as client:
        index = await client.get_namespace_index("urn:attestbed:cell")
        yield Bench(plc, server, client, reader, index)
    await reader.close()
    await server.stop()
    await modbus.stop()


async def test_every_tag_agrees_on_both_protocols(bench: Bench) -> None:
    for _ in range(5):
        await bench.scan()
        poll = await bench.reader.poll()
        by_modbus = [decode(tag, raw) for tag, raw in zip(TAGS, poll.values, strict=True)]
        values = await bench.read(*TAG)
        assert [value.Value.Value for value in values if value.Value is not None] == by_modbus


async def test_types_ranges_units_and_timestamps(bench: Bench) -> None:
    await bench.scan()
    (level, mode, counter, alarm) = await bench.read("tank1.level", "control.mode", "plc.scan", "alarm.high_level")
    assert level.Value is not None
    assert level.Value.VariantType is ua.VariantType.Float
    assert mode.Value is not None
    assert mode.Value.VariantType is ua.VariantType.UInt16
    assert counter.Value is not None
    assert counter.Value.VariantType is ua.VariantType.UInt32
    assert alarm.Value is not None
    assert alarm.Value.VariantType is ua.VariantType.Boolean
    assert counter.SourceTimestamp is not None
    assert abs(counter.SourceTimestamp.timestamp() - time.time()) < 5
    node = bench.client.get_node(bench.node("tank1.level"))
    eu_range = await (await node.get_child("0:EURange")).read_value()
    assert (eu_range.Low, eu_range.High) == (0.0, 2.0)
    unit = await (await node.get_child("0:EngineeringUnits")).read_value()
    assert unit.DisplayName.Text == "m"
    assert unit.UnitId == 5067858  # MTR


async def test_nodes_stand_in_folders_by_their_names(bench: Bench) -> None:
    index = await bench.client.get_namespace_index("urn:attestbed:cell")
    node = await bench.client.nodes.objects.get_child([f"{index}:tank2", f"{index}:temperature"])
    assert node.nodeid == bench.node("tank2.temperature")


async def test_a_write_by_opcua_is_seen_by_modbus_within_a_scan(bench: Bench) -> None:
    await bench.write("control.level_setpoint", ua.Variant(1.5, ua.VariantType.Float))
    assert bench.plc.image.snapshot()["control.level_setpoint"] != 1.5
    await bench.scan()
    raw = dict(zip(TAG, (await bench.reader.poll()).values, strict=True))
    assert decode(TAG["control.level_setpoint"], raw["control.level_setpoint"]) == 1.5
    (shown,) = await bench.read("control.level_setpoint")
    assert shown.Value is not None
    assert shown.Value.Value == 1.5


async def test_a_write_by_modbus_is_seen_by_opcua_within_a_scan(bench: Bench) -> None:
    await bench.reader.write(TAG["control.temperature_setpoint"], 61.5)
    await bench.scan()
    (shown,) = await bench.read("control.temperature_setpoint")
    assert shown.Value is not None
    assert shown.Value.Value == 61.5


async def test_the_estop_by_opcua_stops_the_cell(bench: Bench) -> None:
    await bench.write("estop.pressed", ua.Variant(True, ua.VariantType.Boolean))
    for _ in range(60):
        await bench.scan()
    active, speed, power = await bench.read("estop.active", "pump.speed", "heater.power")
    assert [value.Value.Value for value in (active, speed, power) if value.Value is not None] == [True, 0.0, 0.0]
    await bench.write("estop.pressed", ua.Variant(False, ua.VariantType.Boolean))
    await bench.write("control.reset", ua.Variant(True, ua.VariantType.Boolean))
    await bench.scan()
    (active,) = await bench.read("estop.active")
    assert active.Value is not None
    assert active.Value.Value is False


@pytest.mark.parametrize(
    ("name", "variant", "status"),
    [
        ("control.level_setpoint", ua.Variant(9.0, ua.VariantType.Float), "BadOutOfRange"),
        ("control.level_setpoint", ua.Variant(float("nan"), ua.VariantType.Float), "BadOutOfRange"),
        ("control.level_setpoint", ua.Variant(1.0, ua.VariantType.Double), "BadTypeMismatch"),
        ("control.level_setpoint", ua.Variant([1.0], ua.VariantType.Float), "BadTypeMismatch"),
        ("control.mode", ua.Variant(3, ua.VariantType.UInt16), "BadOutOfRange"),
        ("tank1.level", ua.Variant(1.0, ua.VariantType.Float), "BadNotWritable"),
        ("plc.scan", ua.Variant(1, ua.VariantType.UInt32), "BadNotWritable"),
    ],
)
async def test_a_wrong_write_is_refused_and_changes_nothing(
    bench: Bench, name: str, variant: ua.Variant, status: str
) -> None:
    (before,) = await bench.read(name)
    with pytest.raises(UaStatusCodeError, match=status):
        await bench.write(name, variant)
    assert bench.plc.image.take_writes() == {}
    (after,) = await bench.read(name)
    assert after.Value == before.Value


async def test_each_write_of_a_request_has_its_own_status(bench: Bench) -> None:
    nodes = [bench.client.get_node(bench.node(name)) for name in ("control.mode", "tank1.level", "control.reset")]
    nodes.insert(1, bench.client.nodes.server_state)
    values = [
        ua.DataValue(ua.Variant(2, ua.VariantType.UInt16)),
        ua.DataValue(ua.Variant(1, ua.VariantType.Int32)),
        ua.DataValue(ua.Variant(1.0, ua.VariantType.Float)),
        ua.DataValue(ua.Variant(False, ua.VariantType.Boolean)),
    ]
    results = await bench.client.write_values(nodes, values, raise_on_partial_error=False)
    assert [status.name for status in results] == ["Good", "BadUserAccessDenied", "BadNotWritable", "Good"]
    assert bench.plc.image.take_writes() == {"control.mode": 2, "control.reset": False}


async def test_nobody_becomes_an_administrator_by_saying_so(bench: Bench) -> None:
    client = Client(bench.server.url)
    client.set_user("admin")
    with pytest.raises(UaStatusCodeError):
        await client.connect()


async def test_one_read_shows_one_scan_while_the_plc_runs(bench: Bench) -> None:
    truth: dict[object, list[object]] = {}
    plc = bench.plc

    class Recording:
        scan_s = 0.002

        def scan(self) -> None:
            plc.scan()
            snapshot = plc.image.snapshot()
            truth[snapshot["plc.scan"]] = list(snapshot.values())

    recording = Recording()
    recording.scan()
    thread = ScanThread(recording)
    thread.start()
    seen: list[list[object]] = []
    while len({values[0] for values in seen}) < 20:
        await bench.server.publish()
        seen.append([value.Value.Value for value in await bench.read(*TAG) if value.Value is not None])
    thread.stop()
    assert all(values == truth[values[0]] for values in seen)


async def test_a_read_amid_publication_sees_one_scan(bench: Bench) -> None:
    """Subscribers are told one value after the other, and a Read that is answered amid sees no half of a scan."""
    assert bench.server._server is not None
    space = bench.server._server.iserver.aspace
    seen: list[list[object]] = []
    truth: list[list[object]] = []

    async def read_amid(_handle: int, _value: ua.DataValue) -> None:
        if len(seen) % 3 == 1:
            bench.plc.scan()  # and the scan does not wait either
        truth.append(list(bench.plc.image.snapshot().values()))
        seen.append([value.Value.Value for value in await bench.read(*TAG) if value.Value is not None])

    handles = [space.add_datachange_callback(bench.node(name), AttributeIds.Value, read_amid)[1] for name in TAG]
    for _ in range(5):
        await bench.scan()
    for handle in handles:
        space.delete_datachange_callback(handle)
    assert len(seen) > 10
    assert seen == truth


async def test_every_scan_is_read_though_nothing_is_published_meanwhile(bench: Bench) -> None:
    await bench.scan()
    (value,) = await bench.read("plc.scan")
    assert value.Value is not None
    first = value.Value.Value
    for count in range(1, 20):
        bench.plc.scan()
        values = await bench.read(*TAG)
        assert [value.Value.Value for value in values if value.Value is not None] == list(
            bench.plc.image.snapshot().values()
        )
        assert values[0].Value is not None
        assert values[0].Value.Value == first + count


async def test_a_subscriber_hears_what_was_read_before_it_was_published(bench: Bench) -> None:
    heard: asyncio.Queue[object] = asyncio.Queue()

    class Handler:
        def datachange_notification(self, _node: object, value: object, _data: object) -> None:
            heard.put_nowait(value)

    await bench.scan()
    subscription = await bench.client.create_subscription(20, Handler())
    await subscription.subscribe_data_change(bench.client.get_node(bench.node("plc.scan")))
    first = int(str(await asyncio.wait_for(heard.get(), 5)))
    bench.plc.scan()
    (value,) = await bench.read("plc.scan")
    assert value.Value is not None
    assert value.Value.Value == first + 1
    await bench.server.publish()
    assert await asyncio.wait_for(heard.get(), 5) == first + 1
    await subscription.delete()


async def test_a_zero_that_changes_its_sign_is_shown(bench: Bench) -> None:
    plc, server = bench.plc, bench.server
    values = dict(plc.image.snapshot())
    for zero in (0.0, -0.0, 0.0):
        plc.image.publish({**values, "tank1.level": zero})
        (shown,) = await bench.read("tank1.level")
        assert shown.Value is not None
        assert math.copysign(1, shown.Value.Value) == math.copysign(1, zero)
    await server.publish()


async def test_a_subscriber_hears_of_changes(bench: Bench) -> None:
    heard: asyncio.Queue[object] = asyncio.Queue()

    class Handler:
        def datachange_notification(self, _node: object, value: object, _data: object) -> None:
            heard.put_nowait(value)

    await bench.scan()
    subscription = await bench.client.create_subscription(20, Handler())
    await subscription.subscribe_data_change(bench.client.get_node(bench.node("plc.scan")))
    first = await asyncio.wait_for(heard.get(), 5)
    await bench.scan()
    assert await asyncio.wait_for(heard.get(), 5) == int(str(first)) + 1
    await subscription.delete()


async def test_a_taken_port_and_a_node_used_twice_are_wrong_usage(bench: Bench) -> None:
    with pytest.raises(UsageError, match="same OPC UA node"):
        OpcUaServer((*TAGS, TAGS[0]), bench.plc.image)
    with pytest.raises(UsageError, match=str(bench.server.port)):
        await OpcUaServer(TAGS[:1], bench.plc.image, port=bench.server.port).start()
