"""A guarded controller sends what is allowed, and of what is not nothing."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import DeviceError, DeviceRefused, NotAllowed, TornPoll, UsageError
from testbed.fieldbus.poll import Poll
from testbed.fieldbus.source import float32
from testbed.guard.controller import GuardedController
from testbed.guard.policy import Policy, Purpose, Rule, everything, nothing
from testbed.guard.safe_state import Setting
from testbed.guard.stop import GOOD_NO_DATA
from tests.guard.machines import BY_NAME, TAGS, Machine

LEVEL, MODE = BY_NAME["control.level_setpoint"], BY_NAME["control.mode"]
END = 2**62


def guarded(machine: Machine, *rules: Rule) -> GuardedController:
    return GuardedController(machine, Policy(rules), machine.clock)


async def test_it_reads_and_writes_as_the_controller_does() -> None:
    machine = Machine()
    one = GuardedController(machine, everything(TAGS), machine.clock)
    await one.connect()
    assert machine.connected
    assert one.tags == machine.tags
    assert one.repeats == 0
    assert await one.poll() == await machine.poll()
    assert (await one.identify()).product == "water cell"
    await one.write(LEVEL, 1.25)
    assert machine.written == [(LEVEL.name, 1.25)]
    await one.close()
    assert not machine.connected


async def test_nothing_is_sent_of_what_is_denied() -> None:
    machine = Machine()
    one = guarded(machine, Rule(LEVEL.name, 0.5, 1.5))
    for tag, value in ((MODE, 1), (LEVEL, 1.6), (LEVEL, float("nan"))):
        with pytest.raises(NotAllowed) as raised:
            await one.write(tag, value)
        assert raised.value.mend
        assert raised.value.exit_code == UsageError.exit_code
    assert (machine.written, machine.polls, machine.connects) == ([], 0, 0)


async def test_a_tag_that_says_that_it_is_another_one_reaches_nothing_else() -> None:
    machine = Machine()
    one = guarded(machine, Rule(LEVEL.name, 0.5, 1.5))
    await one.write(replace(MODE, name=LEVEL.name, type=LEVEL.type), 1.25)
    assert machine.tags_written == [LEVEL]
    with pytest.raises(NotAllowed, match="no such tag"):
        await one.write(replace(LEVEL, name="spare.mine"), 1.0)


async def test_one_write_may_be_for_more_than_the_others() -> None:
    machine = Machine()
    one = guarded(machine, Rule(LEVEL.name, 0.5, 1.5, attacks=True, until_ns=END), Rule(MODE.name, 0, 2))
    await one.write(LEVEL, 1.4, Purpose.ATTACK)
    with pytest.raises(NotAllowed):
        await one.write(MODE, 1, Purpose.ATTACK)
    assert machine.written == [(LEVEL.name, 1.4)]


async def test_it_reads_what_it_must_know_and_moves_from_there() -> None:
    machine = Machine()  # its set-point is 1.0
    one = guarded(machine, Rule(LEVEL.name, 0.0, 2.0, change_per_s=0.25))
    with pytest.raises(NotAllowed):
        await one.write(LEVEL, 1.5)
    await one.write(LEVEL, 1.25)
    with pytest.raises(NotAllowed):
        await one.write(LEVEL, 1.375)
    await machine.run(1)
    await one.write(LEVEL, 1.375)
    assert [value for _, value in machine.written] == [1.25, 1.375]


async def test_somebody_elses_change_is_seen() -> None:
    machine = Machine()
    one = guarded(machine, Rule(LEVEL.name, 0.0, 2.0, change_per_s=0.25))
    await one.write(LEVEL, 1.25)
    machine.emulator.image.write(LEVEL.name, 0.25)
    await machine.run(1)
    with pytest.raises(NotAllowed):
        await one.write(LEVEL, 1.25)
    await one.write(LEVEL, 0.5)


async def test_a_write_without_an_answer_counts_and_its_tag_is_read_again() -> None:
    machine = Machine()
    one = guarded(machine, Rule(LEVEL.name, 0.0, 2.0, change_per_s=0.25, writes_per_s=2))
    await one.write(LEVEL, 1.125)
    await machine.scan()
    polls = machine.polls
    machine.silent = 1
    with pytest.raises(DeviceError):
        await one.write(LEVEL, 1.0)
    with pytest.raises(NotAllowed, match="2 writes a second"):
        await one.write(LEVEL, 1.0)
    assert machine.polls == polls + 1


async def test_a_refused_write_moved_nothing() -> None:
    machine = Machine(refuses={LEVEL.name})
    one = guarded(machine, Rule(LEVEL.name, 0.0, 2.0, change_per_s=0.25))
    with pytest.raises(DeviceRefused):
        await one.write(LEVEL, 1.25)
    machine.refuses.clear()
    with pytest.raises(NotAllowed):
        await one.write(LEVEL, 1.5)  # that would be half a metre from where it still is
    await one.write(LEVEL, 1.25)


async def test_what_cannot_be_read_is_not_changed() -> None:
    machine = Machine(unread={LEVEL.name: 0x80310000})
    one = guarded(machine, Rule(LEVEL.name, 0.0, 2.0, change_per_s=0.25))
    with pytest.raises(NotAllowed, match="must be read before"):  # no DeviceError: a bridge would let go of all tags
        await one.write(LEVEL, 1.0)
    assert machine.written == []


async def test_what_is_not_due_holds_what_was_read_last_until_somebody_writes_it() -> None:
    machine = Machine()  # its set-point is 1.0
    one = guarded(machine, Rule(LEVEL.name, 0.0, 2.0, change_per_s=0.25))
    await one.poll()
    machine.unread = {LEVEL.name: GOOD_NO_DATA}
    with pytest.raises(NotAllowed, match="a change of"):
        await one.write(LEVEL, 1.5)
    await one.write(LEVEL, 1.25)
    machine.clock.advance(2 * 10**9)
    with pytest.raises(NotAllowed, match="must be read before"):
        await one.write(LEVEL, 1.0)


async def test_setting_the_clock_lets_nobody_write_sooner_or_longer() -> None:
    machine = Machine()
    end = machine.clock.now_ns() + 5 * 10**9
    one = guarded(machine, Rule(MODE.name, 0, 2, writes_per_s=1, until_ns=end))
    await one.write(MODE, 1)
    machine.clock.set(machine.clock.now_ns() + 3600 * 10**9)
    with pytest.raises(NotAllowed, match="1 writes a second"):
        await one.write(MODE, 2)
    machine.clock.set(machine.clock.now_ns() - 7200 * 10**9)
    machine.clock.advance(5 * 10**9)
    with pytest.raises(NotAllowed, match="until"):
        await one.write(MODE, 2)


@given(steps=st.lists(st.tuples(st.integers(0, 16), st.integers(0, 14)), max_size=30))
async def test_within_any_second_the_machine_moves_no_further_than_it_may(steps: list[tuple[int, int]]) -> None:
    machine = Machine()
    one = guarded(machine, Rule(LEVEL.name, 0.0, 2.0, change_per_s=0.5))
    taken = [(0, 1.0)]
    for value, scans in steps:
        try:
            await one.write(LEVEL, value / 8)
        except NotAllowed:
            pass
        else:
            taken.append((machine.clock.monotonic_ns(), value / 8))
        for _ in range(scans):
            await machine.scan()
    for at, _ in taken:
        moves = [abs(now[1] - before[1]) for before, now in pairwise(taken) if at <= now[0] < at + 10**9]
        assert sum(moves) <= 0.5


async def test_the_safe_state_gets_through_as_a_wire_brings_it() -> None:
    machine = Machine()
    one = GuardedController(machine, nothing(), machine.clock, always=(Setting(LEVEL.name, 0.1), Setting(MODE.name, 0)))
    await one.write(LEVEL, float32(0.1))  # what comes out of a register is not 0.1
    await one.write(MODE, 0)
    for tag, value in ((LEVEL, 0.1001), (MODE, 1)):
        with pytest.raises(NotAllowed):
            await one.write(tag, value)
    assert machine.written == [(LEVEL.name, float32(0.1)), (MODE.name, 0)]


async def test_after_the_safe_state_a_tag_moves_from_there() -> None:
    machine = Machine()  # its set-point is 1.0
    policy = Policy((Rule(LEVEL.name, 0.0, 2.0, change_per_s=0.25),))
    one = GuardedController(machine, policy, machine.clock, always=(Setting(LEVEL.name, 0.0),))
    await one.write(LEVEL, 1.125)
    await one.write(LEVEL, 0.0)
    await machine.scan()
    with pytest.raises(NotAllowed):
        await one.write(LEVEL, 1.125)


class Torn(Machine):
    """A machine that goes on to another scan within each poll."""

    async def poll(self) -> Poll:
        raise TornPoll("another scan")


async def test_a_torn_poll_denies_a_write_and_costs_no_link() -> None:
    machine = Torn()
    one = guarded(machine, Rule(LEVEL.name, 0.0, 2.0, change_per_s=0.25))
    with pytest.raises(NotAllowed, match="must be read before"):
        await one.write(LEVEL, 1.0)
    assert machine.written == []
