"""Units behind a gateway or on one line: a faulty one costs its own tags, and the others one scan at most."""

import time
from collections.abc import Callable, Sequence

import pytest

from testbed.core.errors import DeviceError, UsageError
from testbed.core.tags import ModbusTable, Tag
from testbed.fieldbus.modbus_client import ModbusController
from testbed.fieldbus.modbus_serial_server import ModbusSerialServer
from testbed.fieldbus.modbus_server import ModbusServer
from testbed.fieldbus.modbus_transports import RtuOverTcp, Serial, Tcp
from testbed.fieldbus.modbus_units import BAD_NO_COMMUNICATION, Unit
from testbed.fieldbus.poll import Poll
from testbed.plc.image import ProcessImage
from tests.fieldbus.modbus_device import LOCAL, Answering, Device, device, holding, nobody, silent, slow, words
from tests.fieldbus.ptys import cable

PERIOD_S = 0.2
TIMEOUT_S = 2.0
UNITS = (1, 2, 3)
TAGS = [tag for unit in UNITS for tag in words(range(3), unit)]
BUSY_S = 0.15
"""How much longer than it should a poll may take on a busy machine."""


def units() -> dict[int, Answering]:
    return {unit: holding({at: 100 * unit + at for at in range(3)}) for unit in UNITS}


def controller(served: Device, connections: int = 8, period: float | None = PERIOD_S) -> ModbusController:
    return ModbusController(
        TAGS,
        Tcp(LOCAL, served.port),
        scan_tag=None,
        boot_tag=None,
        timeout=TIMEOUT_S,
        period=period,
        connections=connections,
    )


def there(poll: Poll) -> list[int]:
    """Units whose values are all there, and right; of all others there is nothing, with the code that says so."""
    found = []
    for at, unit in enumerate(UNITS):
        values, statuses = poll.values[3 * at : 3 * at + 3], poll.statuses[3 * at : 3 * at + 3]
        if values == tuple((100 * unit + register).to_bytes(2, "big") for register in range(3)):
            assert statuses == (0, 0, 0)
            found.append(unit)
        else:
            assert (values, statuses) == ((None,) * 3, (BAD_NO_COMMUNICATION,) * 3)
    return found


async def timed(reader: ModbusController) -> tuple[list[int], float]:
    started = time.perf_counter()
    poll = await reader.poll()
    return there(poll), time.perf_counter() - started


async def test_each_unit_has_its_own_registers() -> None:
    async with device(units()) as served:
        reader = controller(served)
        await reader.connect()
        assert there(await reader.poll()) == [1, 2, 3]
        await reader.write(TAGS[4], 77)
        poll = await reader.poll()
        assert [poll.values[at] for at in (1, 4, 7)] == [b"\x00e", b"\x00M", b"\x01-"]
        assert served.opened == 3
        await reader.close()


@pytest.mark.parametrize("connections", [1, 2, 8])
@pytest.mark.parametrize("faulty", [silent, nobody, slow(holding({}), 1.0)], ids=["silent", "unreachable", "slow"])
async def test_a_faulty_unit_never_delays_another_by_more_than_a_scan(connections: int, faulty: Answering) -> None:
    async with device(units()) as served:
        reader = controller(served, connections)
        await reader.connect()
        assert there(await reader.poll()) == [1, 2, 3]
        served.units[2] = faulty
        late = 0
        for _ in range(30):
            found, took = await timed(reader)
            assert took < PERIOD_S + BUSY_S
            late += took > PERIOD_S / 2
            assert found == [1, 3]
        assert late <= 4  # it is left alone for longer and longer
        served.units[2] = units()[2]
        await reader.connect()
        assert there(await reader.poll()) == [1, 2, 3]
        await reader.close()


async def test_a_unit_that_comes_back_is_found_without_connecting_again() -> None:
    async with device(units()) as served:
        reader = controller(served)
        await reader.connect()
        served.units[2] = nobody
        assert there(await reader.poll()) == [1, 3]
        served.units[2] = units()[2]
        assert there(await reader.poll()) == [1, 2, 3]  # one lost answer costs one poll
        served.units[2] = nobody
        for _ in range(3):
            assert there(await reader.poll()) == [1, 3]
        asked = sum(unit == 2 for unit, _ in served.asked)
        served.units[2] = units()[2]
        deadline = time.monotonic() + 10
        while there(await reader.poll()) != [1, 2, 3]:
            assert time.monotonic() < deadline
        assert sum(unit == 2 for unit, _ in served.asked) == asked + 1  # it was not asked while it rested
        await reader.close()


async def test_where_all_units_are_down_it_is_a_device_error_and_connecting_helps() -> None:
    async with device(dict.fromkeys(UNITS, nobody)) as served:
        reader = controller(served)
        await reader.connect()
        with pytest.raises(DeviceError, match=r"unit 1.*0B"):
            await reader.poll()
        with pytest.raises(DeviceError, match="not connected"):
            await reader.poll()
        served.units.update(units())
        await reader.connect()
        assert there(await reader.poll()) == [1, 2, 3]
        await reader.close()


@pytest.mark.parametrize("connections", [1, 2, 8])
async def test_a_gateway_that_goes_is_one_device_error_and_is_found_again(connections: int) -> None:
    async with device(units()) as served:
        reader = controller(served, connections)
        await reader.connect()
        assert there(await reader.poll()) == [1, 2, 3]
        await served.stop()
        with pytest.raises(DeviceError):
            await reader.poll()
        with pytest.raises(DeviceError, match="no connection"):
            await reader.connect()
        await served.start()
        await reader.connect()
        assert there(await reader.poll()) == [1, 2, 3]
        await reader.close()


async def test_connections_that_the_gateway_ends_are_opened_again_while_the_others_go_on() -> None:
    async with device(units()) as served:
        reader = controller(served)
        await reader.connect()
        assert there(await reader.poll()) == [1, 2, 3]
        reader._lines[1].link.close()
        assert there(await reader.poll()) == [1, 2, 3]
        assert served.opened == 4
        await reader.close()


async def test_the_unit_that_counts_is_read_whole_and_without_it_there_is_no_scan() -> None:
    async with device(units()) as served:
        reader = ModbusController(
            TAGS, Tcp(LOCAL, served.port), 1, "u1.r0", "u1.r1", timeout=TIMEOUT_S, period=PERIOD_S
        )
        await reader.connect()
        poll = await reader.poll()
        assert (poll.boot, poll.scan, there(poll)) == (101, 100, [1, 2, 3])
        served.units[1] = nobody
        poll = await reader.poll()
        assert (poll.boot, poll.scan, there(poll)) == (0, None, [2, 3])
        await reader.close()


def test_counters_of_two_units_are_wrong_usage() -> None:
    with pytest.raises(UsageError, match="two units"):
        ModbusController(TAGS, Tcp(LOCAL, 1), 1, "u1.r0", "u2.r1")


Shared = Callable[[Sequence[Tag], ProcessImage], object]


async def on_a_line(reader: ModbusController) -> None:
    """Unit 1 is there, unit 2 is not."""
    await reader.connect()
    late = 0
    for _ in range(20):
        started = time.perf_counter()
        poll = await reader.poll()
        took = time.perf_counter() - started
        assert poll.values == (b"\x00\x07", b"\x00\x08", None)
        assert poll.statuses == (0, 0, BAD_NO_COMMUNICATION)
        assert took < PERIOD_S + BUSY_S
        late += took > PERIOD_S / 2
    assert 1 <= late <= 4
    await reader.close()


LINE_TAGS = [*words(range(2), 1), *words([0], 2)]
HELD = {"u1.r0": 7, "u1.r1": 8}


async def test_on_a_serial_line_a_dead_unit_is_waited_for_a_poll_period_at_most() -> None:
    with cable() as line:
        server = ModbusSerialServer(LINE_TAGS[:2], ProcessImage(LINE_TAGS[:2], HELD), Serial(line.far, 115200, "N"))
        await server.start()
        way = Serial(line.near, 115200, "N")
        await on_a_line(
            ModbusController(LINE_TAGS, way, scan_tag=None, boot_tag=None, timeout=TIMEOUT_S, period=PERIOD_S)
        )
        await server.stop()


async def test_rtu_over_tcp_is_one_line_as_well() -> None:
    server = ModbusServer(LINE_TAGS[:2], ProcessImage(LINE_TAGS[:2], HELD), rtu=True)
    await server.start()
    way = RtuOverTcp(LOCAL, server.port)
    reader = ModbusController(LINE_TAGS, way, scan_tag=None, boot_tag=None, timeout=TIMEOUT_S, period=PERIOD_S)
    await on_a_line(reader)
    assert server.connections <= 1
    await server.stop()


def test_a_unit_rests_longer_each_time_it_fails() -> None:
    from testbed.fieldbus.modbus_plan import Limits, Plan

    unit = Unit(Plan(tuple(words([0], 1)), 1, None, Limits(), {}, 60.0))
    now, rests = 0.0, []
    for _ in range(8):
        unit.failed(now)
        begun = now
        while unit.rests(now):
            now += 0.5
        rests.append(now - begun)
    assert rests == [0.0, 1.0, 2.0, 5.0, 10.0, 30.0, 30.0, 30.0]
    unit.recovered()
    unit.failed(now)
    assert not unit.rests(now)


def test_overlaps_of_different_units_are_none() -> None:
    ModbusController(TAGS, Tcp(LOCAL, 1), scan_tag=None, boot_tag=None)
    with pytest.raises(UsageError, match="overlap"):
        ModbusController([*TAGS, *words([1], 2)], Tcp(LOCAL, 1), scan_tag=None, boot_tag=None)
    assert {tag.modbus.table for tag in TAGS} == {ModbusTable.HOLDING_REGISTER}
