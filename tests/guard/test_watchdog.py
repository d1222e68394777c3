"""The runner's side of the watchdog, against the emulated cell: as long as it runs, the cell does."""

import asyncio

import pytest

from testbed.core.errors import DeviceError, UsageError
from testbed.guard.watchdog import Watchdog
from testbed.rig.bench import load_bench
from testbed.rig.safety import watchdog_of
from tests.guard.machines import BY_NAME, TAGS, Machine


def watchdog(machine: Machine, limit_ms: int = 600, scans: int = 10**9) -> Watchdog:
    """Its pause runs the cell for as long; after so many scans the runner is killed."""
    left = scans

    async def pause(seconds: float) -> None:
        nonlocal left
        for _ in range(round(seconds * 10)):
            if left == 0:
                raise asyncio.CancelledError
            left -= 1
            await machine.scan()

    return Watchdog(machine, BY_NAME["watchdog.beat"], BY_NAME["watchdog.limit_ms"], limit_ms, pause)


async def test_while_it_beats_the_cell_runs_and_when_it_is_killed_the_cell_stops() -> None:
    machine = Machine()
    one = watchdog(machine, scans=301)  # the last beat is taken
    with pytest.raises(asyncio.CancelledError):
        await one.run()
    assert one.armed
    assert machine.value("watchdog.limit_ms") == 600
    assert machine.value("watchdog.tripped") is False
    assert float(machine.value("pump.speed")) > 5
    await machine.run(0.6)
    assert machine.value("watchdog.tripped") is False
    await machine.run(0.1)
    assert machine.value("watchdog.tripped") is True
    await machine.run(10)
    assert machine.value("pump.speed") == 0.0


async def test_it_beats_each_third_of_the_limit() -> None:
    machine = Machine()
    with pytest.raises(asyncio.CancelledError):
        await watchdog(machine, 1200, scans=40).run()
    beats = [value for name, value in machine.written if name == "watchdog.beat"]
    assert beats == list(range(1, 12))  # one to arm, then one each 0.4 s of 4 s


async def test_disarmed_it_may_fall_silent() -> None:
    machine = Machine()
    one = watchdog(machine)
    await one.arm()
    await machine.scan()
    await one.disarm()
    assert not one.armed
    await machine.run(20)
    assert machine.value("watchdog.tripped") is False


async def test_the_count_goes_round() -> None:
    machine = Machine()
    one = watchdog(machine)
    one._count = 2**16 - 2
    for _ in range(3):
        await one.beat()
        await machine.scan()
    assert [value for _, value in machine.written] == [65535, 0, 1]


async def test_a_beat_that_does_not_get_through_is_told() -> None:
    machine = Machine()
    one = watchdog(machine)
    await one.arm()
    machine.silent = 1
    with pytest.raises(DeviceError):
        await one.run()


@pytest.mark.parametrize("limit_ms", [-1, 0, 99, 3_600_001])
def test_a_limit_that_cannot_be_kept_is_refused(limit_ms: int) -> None:
    with pytest.raises(UsageError):
        watchdog(Machine(), limit_ms)


async def test_the_bench_file_says_which_tags() -> None:
    machine = Machine()

    async def pause(_: float) -> None:
        await machine.scan()

    found = watchdog_of(load_bench(None), machine, TAGS, pause)
    assert found is not None
    await found.arm()
    assert machine.written == [("watchdog.beat", 1), ("watchdog.limit_ms", 2000)]
