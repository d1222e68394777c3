"""A bridged PLC: what it shows comes out of the bench's own servers, and what is lost is said to have no value."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from testbed.core.errors import DeviceError, TornPoll, UsageError
from testbed.core.identity import Identity
from testbed.core.tags import Tag, Value
from testbed.fieldbus.modbus_client import ModbusController
from testbed.fieldbus.modbus_server import ModbusServer
from testbed.fieldbus.modbus_transports import Tcp
from testbed.fieldbus.opcua_client import OpcUaReader
from testbed.fieldbus.opcua_security import Security
from testbed.fieldbus.opcua_server import OpcUaServer
from testbed.fieldbus.poll import Poll
from testbed.fieldbus.registers import as_read, decode
from testbed.plc.bridge import MOST_TORN, Bridge
from testbed.plc.emulator import Emulator
from testbed.rig.bench import load_bench

HOST = "127.0.0.1"
PATIENCE_S = 10.0
"""How busy this machine is must not decide what comes out."""
BAD_NO_COMMUNICATION = 0x80310000
TAGS = load_bench(None).tags
SETPOINT = next(tag for tag in TAGS if tag.name == "control.level_setpoint")


class Box:
    """An emulated PLC on a wire, in the place of a physical one."""

    def __init__(self) -> None:
        self.emulator = Emulator(TAGS, seed=7)
        self._server = ModbusServer(TAGS, self.emulator.image, HOST, 0)

    async def on(self, port: int = 0) -> int:
        self._server = ModbusServer(TAGS, self.emulator.image, HOST, port)
        await self._server.start()
        return self._server.port

    async def off(self) -> None:
        await self._server.stop()


@pytest.fixture
async def box() -> AsyncIterator[Box]:
    found = Box()
    yield found
    await found.off()


def shown(tags: tuple[Tag, ...], values: tuple[bytes | None, ...]) -> dict[str, Value | None]:
    return {tag.name: None if raw is None else decode(tag, raw) for tag, raw in zip(tags, values, strict=True)}


async def test_the_same_tags_come_out_on_both_protocols_and_writes_go_through(box: Box) -> None:
    bridge = Bridge(TAGS, ModbusController(TAGS, Tcp(HOST, await box.on()), timeout=PATIENCE_S))
    modbus, opcua = ModbusServer(TAGS, bridge, HOST, 0), OpcUaServer(TAGS, bridge, HOST, 0, period=None)
    await modbus.start()
    await opcua.start()
    by_modbus = ModbusController(TAGS, Tcp(HOST, modbus.port), timeout=PATIENCE_S)
    by_opcua = OpcUaReader(TAGS, opcua.url, namespace=opcua.namespace, security=Security.none())
    try:
        box.emulator.scan()
        await bridge.step()
        await by_modbus.connect()
        await by_opcua.connect()
        there = dict(box.emulator.image.snapshot())
        assert shown(TAGS, (await by_modbus.poll()).values) == there
        assert shown(as_read(TAGS), (await by_opcua.poll()).values) == there

        await by_modbus.write(SETPOINT, 1.25)
        await bridge.step()
        box.emulator.scan()
        await bridge.step()
        assert box.emulator.image.snapshot()[SETPOINT.name] == 1.25
        assert shown(as_read(TAGS), (await by_opcua.poll()).values)[SETPOINT.name] == 1.25
    finally:
        await by_modbus.close()
        await by_opcua.close()
        await opcua.stop()
        await modbus.stop()
        await bridge.close()


async def test_a_lost_plc_has_no_values_takes_no_writes_and_comes_back(box: Box) -> None:
    port = await box.on()
    bridge = Bridge(TAGS, ModbusController(TAGS, Tcp(HOST, port), timeout=PATIENCE_S))
    modbus, opcua = ModbusServer(TAGS, bridge, HOST, 0), OpcUaServer(TAGS, bridge, HOST, 0, period=None)
    await modbus.start()
    await opcua.start()
    by_modbus = ModbusController(TAGS, Tcp(HOST, modbus.port), timeout=PATIENCE_S)
    by_opcua = OpcUaReader(TAGS, opcua.url, None, None, namespace=opcua.namespace, security=Security.none())
    try:
        box.emulator.scan()
        await bridge.step()
        await by_modbus.connect()
        await by_opcua.connect()
        await box.off()
        with pytest.raises(DeviceError):
            await bridge.step()
        assert not bridge.snapshot()
        with pytest.raises(DeviceError):
            await by_modbus.poll()
        lost = await by_opcua.poll()
        assert set(lost.values) == {None}
        assert set(lost.statuses) == {BAD_NO_COMMUNICATION}
        with pytest.raises(DeviceError, match="nothing can be written"):
            bridge.write(SETPOINT.name, 1.5)

        await box.on(port)
        await bridge.step()
        await by_modbus.connect()
        assert shown(TAGS, (await by_modbus.poll()).values) == dict(box.emulator.image.snapshot())
        assert not set((await by_opcua.poll()).statuses) - {0}
    finally:
        await by_modbus.close()
        await by_opcua.close()
        await opcua.stop()
        await modbus.stop()
        await bridge.close()


class Restless(ModbusController):
    """Of a PLC that scans faster than it can be polled, while `torn` says so."""

    torn = 0

    async def poll(self) -> Poll:
        poll = await super().poll()
        if self.torn:
            self.torn -= 1
            raise TornPoll("a scan ended within each poll")
        return poll


async def test_a_poll_that_no_scan_contained_takes_nothing_away(box: Box) -> None:
    controller = Restless(TAGS, Tcp(HOST, await box.on()), timeout=PATIENCE_S)
    bridge = Bridge(TAGS, controller)
    try:
        await bridge.step()
        before = bridge.snapshot()
        assert before
        controller.torn = MOST_TORN - 1
        bridge.write(SETPOINT.name, 1.5)
        for _ in range(MOST_TORN - 1):
            await bridge.step()
        assert bridge.snapshot() == before
        box.emulator.scan()
        assert box.emulator.image.snapshot()[SETPOINT.name] == 1.5  # what was written went on all the same
        await bridge.step()
        assert bridge.snapshot()[SETPOINT.name] == 1.5
        controller.torn = MOST_TORN
        for _ in range(MOST_TORN - 1):
            await bridge.step()
        with pytest.raises(TornPoll):
            await bridge.step()
        assert not bridge.snapshot()
    finally:
        await bridge.close()


async def test_a_change_within_the_deadband_is_not_shown(box: Box) -> None:
    bridge = Bridge(
        TAGS, ModbusController(TAGS, Tcp(HOST, await box.on()), timeout=PATIENCE_S), {"control.level_setpoint": 0.1}
    )
    try:
        await bridge.step()
        for wanted, shows in ((1.05, 1.0), (1.25, 1.25), (1.3125, 1.25), (1.0, 1.0)):
            box.emulator.image.write(SETPOINT.name, wanted)
            box.emulator.scan()
            await bridge.step()
            assert bridge.snapshot()[SETPOINT.name] == shows
        assert bridge.snapshot()["plc.scan"] == box.emulator.image.snapshot()["plc.scan"]
    finally:
        await bridge.close()


async def test_a_write_that_the_plc_refuses_is_counted(box: Box) -> None:
    """The bench believes that the level can be written; the PLC knows better."""
    level = next(tag for tag in TAGS if tag.name == "alarm.high_level")
    believed = tuple(replace(tag, writable=tag.writable or tag is level) for tag in TAGS)
    controller = ModbusController(TAGS, Tcp(HOST, await box.on()), timeout=PATIENCE_S)
    bridge = Bridge(believed, controller)
    try:
        await bridge.step()
        bridge.write(level.name, True)
        await bridge.step()
        assert bridge.refused == 1
        assert level.name in bridge.problem
        assert bridge.snapshot()[level.name] is False
        with pytest.raises(UsageError, match="range"):
            bridge.write(SETPOINT.name, 99.0)
    finally:
        await bridge.close()


async def test_one_tag_that_cannot_be_read_does_not_take_the_others_along(box: Box) -> None:
    lost = replace(
        SETPOINT, name="lost.tag", opcua="cell.lost", modbus=replace(SETPOINT.modbus, address=40), writable=False
    )
    tags = (*TAGS, lost)
    bridge = Bridge(tags, ModbusController(tags, Tcp(HOST, await box.on()), timeout=PATIENCE_S))
    modbus = ModbusServer(tags, bridge, HOST, 0)
    await modbus.start()
    reader = ModbusController(TAGS, Tcp(HOST, modbus.port), timeout=PATIENCE_S)
    whole = ModbusController(tags, Tcp(HOST, modbus.port), timeout=PATIENCE_S)
    try:
        await bridge.step()
        assert bridge.snapshot().keys() == {tag.name for tag in TAGS}
        await reader.connect()
        assert None not in (await reader.poll()).values
        await whole.connect()
        poll = await whole.poll()
        assert [tag.name for tag, raw in zip(tags, poll.values, strict=True) if raw is None] == [lost.name]
        assert poll.statuses[-1] & 0x8000_0000
    finally:
        await reader.close()
        await whole.close()
        await modbus.stop()
        await bridge.close()


class Falling:
    """A controller in this process that takes so many writes and is gone then."""

    tags, repeats = TAGS, 0

    def __init__(self, takes: int) -> None:
        self.takes = takes
        self.written: list[tuple[str, Value]] = []

    async def connect(self) -> None: ...
    async def close(self) -> None: ...

    async def identify(self) -> Identity:
        return Identity("nobody", "box")

    async def poll(self) -> Poll:
        return Poll(0, None, tuple(None for _ in TAGS), tuple(BAD_NO_COMMUNICATION for _ in TAGS), None)

    async def write(self, tag: Tag, value: Value) -> None:
        if len(self.written) == self.takes:
            raise DeviceError("gone")
        self.written.append((tag.name, value))


async def test_what_is_written_last_is_sent_last_and_what_is_lost_is_counted() -> None:
    box = Falling(2)
    bridge = Bridge(TAGS, box)
    await bridge.step()
    for name, value in (("control.mode", 2), ("manual.pump_speed", 0.0), ("control.mode", 0)):
        bridge.write(name, value)
    await bridge.step()
    assert box.written == [("manual.pump_speed", 0.0), ("control.mode", 0)]
    for name in ("control.mode", "manual.pump_speed", "manual.valve_position"):
        bridge.write(name, 1)
    with pytest.raises(DeviceError):
        await bridge.step()
    assert (bridge.lost, bridge.refused, dict(bridge.snapshot())) == (3, 0, {})
    await bridge.step()
    assert len(box.written) == 2  # nothing is sent late
