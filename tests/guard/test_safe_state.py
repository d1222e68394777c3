"""The safe state: written in order whatever fails on the way, and only called reached when it was read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import DeviceError
from testbed.guard.safe_state import Expectation, Outcome, Reached, SafeState, Setting, reach_safe_state
from testbed.rig.bench import load_bench
from testbed.rig.safety import safe_state_of
from tests.guard.machines import Machine

CELL = safe_state_of(load_bench(None))
STILL = (Expectation("pump.speed", 0.0, 1.0, 10.0),)


async def reach(machine: Machine, safe: SafeState = CELL) -> Reached:
    return await reach_safe_state(machine, safe, machine.clock, machine.scan)


async def running() -> Machine:
    machine = Machine()
    await machine.run(30)
    assert float(machine.value("pump.speed")) > 10
    return machine


async def test_a_running_machine_comes_to_rest() -> None:
    machine = await running()
    reached = await reach(machine)
    assert (reached.outcome, reached.faults, reached.reached) == (Outcome.REACHED, (), True)
    assert {look.tag: look.holds for look in reached.seen} == {
        "control.mode": True,
        "pump.speed": True,
        "valve.position": True,
        "heater.power": True,
    }
    assert machine.value("control.mode") == 0
    assert float(machine.value("pump.speed")) <= 1.0
    assert 0.0 < reached.took_s <= 10.0
    assert machine.connected


async def test_it_is_not_reached_before_it_was_read() -> None:
    """The pump takes seconds to stop; what it shows at first is not what it must."""
    machine = await running()
    reached = await reach(machine)
    assert machine.polls > 2
    assert reached.took_s > 0.2


async def test_a_write_that_was_taken_and_came_to_nothing_is_sent_again() -> None:
    machine = await running()
    machine.forgets = 2
    assert (await reach(machine)).reached
    assert machine.written == [("control.mode", 0)] * 3
    # Its twin forgets every one.
    machine = await running()
    machine.forgets = 1_000
    reached = await reach(machine)
    assert reached.outcome is Outcome.NOT_REACHED
    assert 3 <= len(machine.written) <= 6  # once a second, no flood


async def test_the_order_is_kept() -> None:
    machine = Machine()
    settings = (Setting("control.reset", True), Setting("control.mode", 1), Setting("control.mode", 0))
    reached = await reach(machine, SafeState(settings, STILL, frozenset({"control.reset"})))
    assert machine.written == [("control.reset", True), ("control.mode", 1), ("control.mode", 0)]
    assert reached.reached
    assert [look.tag for look in reached.seen] == ["control.mode", "pump.speed"]


async def test_one_that_fails_does_not_keep_the_others_back() -> None:
    machine = await running()
    machine.refuses = {"control.level_setpoint"}
    safe = SafeState((Setting("control.level_setpoint", 0.5), Setting("control.mode", 0)), STILL)
    reached = await reach(machine, safe)
    assert machine.written == [("control.mode", 0)]
    assert reached.outcome is Outcome.NOT_REACHED
    assert "control.level_setpoint: 1, must be 0.5" in reached.why
    assert "exception 04" in reached.why


async def test_one_that_failed_and_stands_right_all_the_same_is_reached() -> None:
    machine = Machine(refuses={"control.level_setpoint"})
    reached = await reach(machine, SafeState((Setting("control.level_setpoint", 1.0),), ()))
    assert reached.reached
    assert len(reached.faults) == 1


async def test_what_the_machine_does_not_do_is_not_reached() -> None:
    machine = await running()
    safe = SafeState((Setting("control.mode", 2),), (Expectation("pump.speed", 0.0, 1.0, 3.0),))
    reached = await reach(machine, safe)
    assert reached.outcome is Outcome.NOT_REACHED
    assert 3.0 <= reached.took_s < 4.0
    wrong = [look for look in reached.seen if not look.holds]
    assert [look.tag for look in wrong] == ["pump.speed"]
    assert str(wrong[0]) in reached.why


@pytest.mark.parametrize("silent", [1, 2, 5, 20])
async def test_a_connection_that_drops_is_begun_anew(silent: int) -> None:
    machine = await running()
    machine.silent = silent
    reached = await reach(machine)
    assert reached.reached
    assert reached.faults
    assert machine.written == [("control.mode", 0)]


async def test_a_machine_that_does_not_answer_is_in_a_state_that_nobody_knows() -> None:
    machine = await running()
    machine.silent = 10**9
    reached = await reach(machine)
    assert reached.outcome is Outcome.UNKNOWN
    assert not reached.reached
    assert reached.faults == ("cell: no connection",)
    assert reached.took_s <= 11.0
    assert machine.written == []


async def test_what_cannot_be_read_is_unknown_whatever_the_rest_says() -> None:
    machine = await running()
    machine.unread = {"pump.speed": 0x80310000}
    reached = await reach(machine)
    assert reached.outcome is Outcome.UNKNOWN
    assert "pump.speed: not read" in reached.why


async def test_what_is_read_less_often_counts_when_it_was_read_after_the_writes() -> None:
    machine = await running()
    machine.unread = {"pump.speed": 0x00A50000}
    waits = 0

    async def scan() -> None:
        nonlocal waits
        waits += 1
        machine.unread = {} if waits % 5 == 0 else {"pump.speed": 0x00A50000}
        await machine.scan()

    reached = await reach_safe_state(machine, CELL, machine.clock, scan)
    assert reached.reached


async def test_without_anything_to_read_nothing_is_known() -> None:
    assert (await reach(Machine(), SafeState())).outcome is Outcome.UNKNOWN


async def test_a_tag_that_is_not_there_is_never_reached() -> None:
    reached = await reach(Machine(), SafeState((Setting("door.lock", 1),), STILL))
    assert reached.outcome is Outcome.UNKNOWN
    assert "door.lock" in reached.why


class Flaky(Machine):
    """Fails each request that `failing` says, in turn; then it is well."""

    failing: list[bool]

    def _answer(self, what: str) -> None:
        if self.failing and self.failing.pop(0):
            self.connected = False
            raise DeviceError(f"cell: {what}")


@given(failing=st.lists(st.booleans(), max_size=60))
async def test_reached_is_only_ever_said_of_a_machine_at_rest(failing: list[bool]) -> None:
    machine = Flaky()
    machine.failing = []
    await machine.run(20)
    machine.failing = failing
    reached = await reach(machine)
    at_rest = machine.value("control.mode") == 0 and float(machine.value("pump.speed")) <= 1.0
    assert at_rest or not reached.reached
    assert reached.reached or failing
