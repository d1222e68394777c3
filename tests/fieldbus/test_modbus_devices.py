"""Modbus devices that are not ours, from npm: our driver reads and writes them, and outlives what they do wrong."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from testbed.core.errors import DeviceError, DeviceRefused
from testbed.core.identity import Identity
from testbed.core.tags import ByteOrder, DataType, ModbusAddress, ModbusTable, Tag, Value
from testbed.fieldbus.modbus_client import ModbusController
from testbed.fieldbus.modbus_transports import Serial, Tcp, Transport
from testbed.fieldbus.modbus_units import BAD_CONFIGURATION_ERROR, BAD_NO_COMMUNICATION
from testbed.fieldbus.registers import decode, encode, registers_of
from tests.fieldbus.ptys import cable
from tests.judges.node import needs, script

LOCAL = "127.0.0.1"
TIMEOUT_S = 1.0
BAUD = 115200

pytestmark = needs("modbus-serial", "jsmodbus")


def tag(name: str, kind: DataType, table: ModbusTable, address: int, order: ByteOrder = ByteOrder.ABCD) -> Tag:
    return Tag(name, kind, "", -1e9, 1e9, table.is_writable, ModbusAddress(table, address, order), name)


HOLDING, INPUT, COIL, DISCRETE = (
    ModbusTable.HOLDING_REGISTER,
    ModbusTable.INPUT_REGISTER,
    ModbusTable.COIL,
    ModbusTable.DISCRETE_INPUT,
)
TAGS = (
    tag("word", DataType.UINT16, HOLDING, 0),
    tag("long", DataType.INT32, HOLDING, 4, ByteOrder.DCBA),
    tag("real", DataType.FLOAT32, HOLDING, 10, ByteOrder.CDAB),
    tag("wide", DataType.FLOAT64, HOLDING, 20, ByteOrder.BADC),
    replace(tag("scaled", DataType.INT16, HOLDING, 30), scale=0.1),
    tag("in", DataType.UINT16, INPUT, 7),
    tag("far", DataType.UINT32, INPUT, 98),
    *(tag(f"coil{at}", DataType.BOOL, COIL, at) for at in (0, 1, 9)),
    *(tag(f"bit{at}", DataType.BOOL, DISCRETE, at) for at in (0, 1, 99)),
)
TAG = {tag.name: tag for tag in TAGS}
WRITES: dict[str, Value] = {
    "word": 65535,
    "long": -123456789,
    "real": -0.15625,
    "wide": 3.141592653589793,
    "scaled": -12.5,
    "coil0": False,
    "coil1": True,
    "coil9": False,
}
FIXED = {"in": 35, "far": 490 * 65536 + 495, "bit0": True, "bit1": False, "bit99": False}


class Foreign:
    """A device by somebody else, in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, place: str) -> None:
        self._process = process
        self.place = place

    async def told(self, line: str) -> str:
        """It has obeyed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n".encode())
        return (await asyncio.wait_for(self._process.stdout.readline(), 20)).decode().rstrip()

    async def held(self) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = json.loads(await self.told("held"))
        return found

    def controller(self, tags: tuple[Tag, ...] = TAGS, **more: Any) -> ModbusController:  # noqa: ANN401  # as it takes them
        way: Transport = Serial(self.place, BAUD, "N") if self.place.startswith("/") else Tcp(LOCAL, int(self.place))
        return ModbusController(tags, way, scan_tag=None, boot_tag=None, **{"timeout": TIMEOUT_S, **more})


@asynccontextmanager
async def foreign(kind: str) -> AsyncIterator[Foreign]:
    if kind.endswith("-rtu"):
        with cable() as line:
            async with running(kind, line.far) as device:
                device.place = line.near
                yield device
    else:
        async with running(kind, "0") as device:
            yield device


@asynccontextmanager
async def running(kind: str, place: str) -> AsyncIterator[Foreign]:
    pipe = asyncio.subprocess.PIPE
    program = (*script("devices.js"), kind, place)
    process = await asyncio.create_subprocess_exec(*program, stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stdout is not None
    try:
        yield Foreign(process, (await process.stdout.readline()).decode().strip())
        assert process.stdin is not None
        process.stdin.close()
        _, errors = await asyncio.wait_for(process.communicate(), 20)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (process.returncode, errors.decode()) == (0, "")


OVER_TCP = ("modbus-serial", "jsmodbus")
KINDS = (*OVER_TCP, "jsmodbus-rtu")


async def read(reader: ModbusController) -> dict[str, Value]:
    poll = await reader.poll()
    assert (poll.boot, poll.scan, set(poll.statuses)) == (0, None, {0})
    return {tag.name: decode(tag, raw) for tag, raw in zip(TAGS, poll.values, strict=True)}


@pytest.mark.parametrize("kind", KINDS)
async def test_every_table_is_read_and_written(kind: str) -> None:
    async with foreign(kind) as device:
        reader = device.controller()
        await reader.connect()
        before = await read(reader)
        assert {name: before[name] for name in FIXED} == FIXED
        assert (before["word"], before["coil0"], before["coil1"], before["coil9"]) == (0, True, False, True)
        for name, value in WRITES.items():
            await reader.write(TAG[name], value)
        assert await read(reader) == {**WRITES, **FIXED}
        held = await device.held()
        for name, value in WRITES.items():
            at = TAG[name].modbus.address
            if TAG[name].type is DataType.BOOL:
                assert held["coils"][at] is value
            else:
                registers = registers_of(encode(TAG[name], value))
                assert held["holding"][at : at + len(registers)] == registers
        await reader.close()


async def test_a_device_says_who_it_is() -> None:
    async with foreign("modbus-serial") as device:
        reader = device.controller()
        await reader.connect()
        assert await reader.identify() == Identity("modbus-serial", "judge", "8")
        await reader.close()


async def test_wrong_addresses_cost_their_own_tags_alone() -> None:
    holes = tuple(tag(f"hole{at}", DataType.UINT16, HOLDING, at) for at in (49, 50, 59, 60, 99, 100))
    async with foreign("modbus-serial") as device:
        reader = device.controller(holes)
        await reader.connect()
        for _ in range(3):
            poll = await reader.poll()
            assert poll.values == (b"\x00\x93", None, None, b"\x00\xb4", b"\x01\x29", None)
            assert poll.statuses == (0, BAD_CONFIGURATION_ERROR, BAD_CONFIGURATION_ERROR, 0, 0, BAD_CONFIGURATION_ERROR)
        with pytest.raises(DeviceRefused, match="02"):
            await reader.write(holes[5], 1)
        await reader.write(holes[4], 1)
        assert (await device.held())["holding"][99] == 1
        await reader.close()


async def test_beyond_the_end_of_a_device_that_answers_short_is_an_error_and_no_value() -> None:
    async with foreign("jsmodbus") as device:
        reader = device.controller(
            (tag("last", DataType.UINT16, HOLDING, 99), tag("none", DataType.UINT16, HOLDING, 100))
        )
        await reader.connect()
        with pytest.raises(DeviceError):
            await reader.poll()
        await reader.close()


@pytest.mark.parametrize("kind", OVER_TCP)
async def test_exceptions_are_refusals(kind: str) -> None:
    async with foreign(kind) as device:
        reader = device.controller()
        await reader.connect()
        await device.told("refuse 4")
        with pytest.raises(DeviceRefused, match="exception 04"):
            await reader.poll()
        with pytest.raises(DeviceRefused, match="exception 04"):
            await reader.write(TAG["word"], 1)
        await device.told("normal")
        assert (await read(reader))["in"] == 35
        await reader.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_slow_answers_are_waited_for_and_too_slow_ones_are_never_taken(kind: str) -> None:
    async with foreign(kind) as device:
        reader = device.controller((TAG["word"],))
        await reader.connect()
        await device.told("slow 200")
        assert (await reader.poll()).values == (b"\x00\x00",)
        await device.told("slow 1500")
        with pytest.raises(DeviceError, match="no answer within 1 s"):
            await reader.poll()
        await device.told("normal")
        await reader.connect()
        await reader.write(TAG["word"], 5)
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:  # meanwhile the late answer comes
            assert (await reader.poll()).values == (b"\x00\x05",)
        await reader.close()


@pytest.mark.parametrize("kind", OVER_TCP)
@pytest.mark.parametrize("fault", ["garbage", "silent", "drop", "stop"])
async def test_each_fault_is_one_device_error_and_connecting_helps(kind: str, fault: str) -> None:
    async with foreign(kind) as device:
        reader = device.controller()
        await reader.connect()
        before = await read(reader)
        await device.told(fault)
        with pytest.raises(DeviceError):
            await reader.poll()
        with pytest.raises(DeviceError, match="not connected"):
            await reader.poll()
        if fault == "stop":
            with pytest.raises(DeviceError, match="no connection"):
                await reader.connect()
        await device.told("start" if fault == "stop" else "normal")
        await reader.connect()
        assert await read(reader) == before
        await reader.close()


async def test_a_unit_that_the_device_does_not_serve_costs_the_other_one_a_poll_period_at_most() -> None:
    other = replace(TAG["in"], name="other", unit_id=2)
    async with foreign("modbus-serial") as device:
        reader = device.controller((TAG["in"], other), period=0.2)
        await reader.connect()
        late = 0
        for _ in range(10):
            started = time.perf_counter()
            poll = await reader.poll()
            took = time.perf_counter() - started
            assert (poll.values, poll.statuses) == ((b"\x00\x23", None), (0, BAD_NO_COMMUNICATION))
            assert took < 0.35
            late += took > 0.1
        assert late <= 2
        await reader.close()
