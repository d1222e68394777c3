"""Tags that are held in other numbers than people read: the same value by both protocols."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from asyncua import ua
from asyncua.client.client import Client
from hypothesis import given
from hypothesis import strategies as some

from testbed.core.errors import DeviceRefused, UsageError
from testbed.core.tags import ByteOrder, DataType, ModbusAddress, ModbusTable, Tag, Value
from testbed.fieldbus.controller import Controller
from testbed.fieldbus.modbus_client import ModbusController
from testbed.fieldbus.modbus_server import ModbusServer
from testbed.fieldbus.modbus_transports import Tcp
from testbed.fieldbus.opcua_client import OpcUaReader
from testbed.fieldbus.opcua_security import Security
from testbed.fieldbus.opcua_server import OpcUaServer
from testbed.fieldbus.registers import as_read, decode, encode
from testbed.plc.image import ProcessImage

KINDS = [kind for kind in DataType if kind is not DataType.BOOL]
SCALES = ((0.1, -40.0), (2.0, 0.0), (1.0, 5.0), (-0.01, 0.0))


def tags(low: float = -100.0, high: float = 100.0) -> list[Tag]:
    """One of each type and scale."""
    found: list[Tag] = []
    for kind in KINDS:
        for scale, offset in SCALES:
            at = ModbusAddress(ModbusTable.HOLDING_REGISTER, 4 * len(found), ByteOrder.CDAB)
            name = f"t{len(found)}"
            found.append(Tag(name, kind, "degC", low, high, True, at, name, scale, offset))
    return found


TAGS = tags()


@given(some.data())
def test_as_read_is_a_double_in_the_unit_or_for_a_device_the_number_that_it_holds(data: some.DataObject) -> None:
    tag = data.draw(some.sampled_from(TAGS))
    value = data.draw(some.floats(-90, 90))
    (own,), (held,) = as_read([tag]), as_read([tag], scales=True)
    assert (own.type, own.scaled, own.modbus.byte_order) == (DataType.FLOAT64, False, ByteOrder.DCBA)
    assert (own.name, own.low, own.high, own.unit) == (tag.name, tag.low, tag.high, tag.unit)
    assert decode(own, encode(own, value)) == value
    assert (held.type, held.scale, held.offset) == (tag.type, tag.scale, tag.offset)


@asynccontextmanager
async def both(
    shown: dict[str, Value], served: list[Tag]
) -> AsyncIterator[tuple[ProcessImage, OpcUaServer, dict[str, Controller]]]:
    """An image behind a server of each protocol, with a controller of each."""
    image = ProcessImage(served, shown)
    modbus, opcua = ModbusServer(served, image), OpcUaServer(served, image, period=None)
    await modbus.start()
    await opcua.start()
    ways: dict[str, Controller] = {
        "modbus": ModbusController(TAGS, Tcp("127.0.0.1", modbus.port), 1, None, None, timeout=5.0),
        "opcua": OpcUaReader(
            TAGS, opcua.url, None, None, namespace=opcua.namespace, security=Security.none(), timeout=5.0
        ),
    }
    for way in ways.values():
        await way.connect()
    yield image, opcua, ways
    for way in ways.values():
        await way.close()
    await modbus.stop()
    await opcua.stop()


async def test_both_protocols_show_and_take_the_value_in_its_unit() -> None:
    # Whole steps of each scale, and above -40, so that each type holds it exactly enough.
    shown: dict[str, Value] = {tag.name: 10.0 if tag.scale > 0 else -10.0 for tag in TAGS}
    async with both(shown, tags(high=50.0)) as (image, opcua, ways):
        for name, way in ways.items():
            poll = await way.poll()
            found = {tag.name: decode(tag, raw) for tag, raw in zip(way.tags, poll.values, strict=True)}
            # By OPC UA it is the very number, by Modbus the nearest that the registers can hold.
            assert found == (
                shown if name == "opcua" else {tag: pytest.approx(value, abs=1e-5) for tag, value in shown.items()}
            )
            for tag in TAGS:
                value = 20.0 if tag.scale > 0 else -20.0
                await way.write(tag, value)
                assert image.take_writes() == {tag.name: pytest.approx(value, abs=1e-5)}
                for wrong, error in ((60.0, DeviceRefused), (101.0, UsageError), (float("nan"), UsageError)):
                    if (
                        wrong == 60.0
                        and tag.scale < 0
                        and name == "modbus"
                        and tag.type in (DataType.UINT16, DataType.UINT32)
                    ):
                        continue  # registers that are unsigned cannot even say it
                    with pytest.raises(error):
                        await way.write(tag, wrong)
                assert image.take_writes() == {}
        async with Client(opcua.url) as client:
            for tag in TAGS:
                data = await client.get_node(f"ns=2;s={tag.opcua}").read_data_value()
                assert data.Value is not None
                assert (data.Value.VariantType, data.Value.Value) == (ua.VariantType.Double, shown[tag.name])
                assert await client.get_node(f"ns=2;s={tag.opcua}").read_data_type() == ua.NodeId(ua.Int32(11))
