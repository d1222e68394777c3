"""Writes of a logged controller are commands: on disk before they are sent, confirmed by what is read."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from testbed.core.bodies import CONFIRMED, INTENDED, REFUSED, UNCONFIRMED, Body, Command
from testbed.core.errors import DeviceError, DeviceRefused, StoreError, UsageError
from testbed.core.tags import Value
from testbed.guard.logged import LoggedController
from tests.guard.machines import BY_NAME, Machine

LEVEL, MODE, RESET, BEAT = (
    BY_NAME[name] for name in ("control.level_setpoint", "control.mode", "control.reset", "watchdog.beat")
)


@dataclass
class Records:
    """A log in memory that knows how much the machine had been told at each record; `full` makes it refuse."""

    machine: Machine
    commands: list[tuple[str, str, int]] = field(default_factory=list)
    full: bool = False

    def append(self, records: Iterable[tuple[str, Body]]) -> object:
        if self.full:
            raise StoreError("the disk is full")
        for source, body in records:
            assert isinstance(body, Command)
            assert source == body.who == "eve"
            self.commands.append((body.what, body.outcome.partition(":")[0], len(self.machine.written)))
        return None


def logged(machine: Machine, log: Records) -> LoggedController:
    return LoggedController(machine, "eve", log, ("control.reset",), lambda tag: tag.name.startswith("watchdog."))


async def test_it_is_logged_sent_and_confirmed_by_the_poll_that_shows_it() -> None:
    machine = Machine()
    log = Records(machine)
    one = logged(machine, log)
    await one.write(LEVEL, 1)
    what = "write control.level_setpoint = 1.0"
    assert log.commands == [(what, INTENDED, 0)]
    await one.write(LEVEL, 1.25)
    await one.poll()  # no scan has taken it yet
    assert log.commands[1:] == [(what, UNCONFIRMED, 1), ("write control.level_setpoint = 1.25", INTENDED, 1)]
    await machine.scan()
    assert (await one.poll()).values == (await machine.poll()).values
    assert log.commands[3:] == [("write control.level_setpoint = 1.25", CONFIRMED, 2)]
    await one.poll()
    one.settle()
    assert len(log.commands) == 4


async def test_a_button_is_confirmed_when_it_was_taken_and_a_beat_is_no_command() -> None:
    machine = Machine()
    log = Records(machine)
    one = logged(machine, log)
    await one.write(BEAT, 1)
    await one.write(RESET, True)
    assert [outcome for _, outcome, _ in log.commands] == [INTENDED, CONFIRMED]
    assert [name for name, _ in machine.written] == ["watchdog.beat", "control.reset"]


async def test_what_is_never_seen_is_unconfirmed() -> None:
    machine = Machine()
    log = Records(machine)
    one = logged(machine, log)
    await one.write(MODE, 1)
    one.settle()
    one.settle()
    assert [outcome for _, outcome, _ in log.commands] == [INTENDED, UNCONFIRMED]


@pytest.mark.parametrize("refused", [True, False])
async def test_what_went_wrong_is_logged_and_told(refused: bool) -> None:
    machine = Machine(refuses={MODE.name} if refused else set(), silent=0 if refused else 1)
    log = Records(machine)
    with pytest.raises(DeviceRefused if refused else DeviceError):
        await logged(machine, log).write(MODE, 1)
    assert [outcome for _, outcome, _ in log.commands] == [INTENDED, REFUSED if refused else UNCONFIRMED]


@pytest.mark.parametrize("value", [7, 1.5, True])
async def test_what_cannot_be_is_neither_logged_nor_sent(value: Value) -> None:
    machine = Machine()
    log = Records(machine)
    with pytest.raises(UsageError):
        await logged(machine, log).write(MODE, value)
    assert (log.commands, machine.written) == ([], [])


async def test_what_cannot_be_logged_is_not_sent() -> None:
    machine = Machine()
    with pytest.raises(StoreError):
        await logged(machine, Records(machine, full=True)).write(MODE, 1)
    assert machine.written == []


async def test_the_rest_is_the_controllers_own() -> None:
    machine = Machine()
    one = logged(machine, Records(machine))
    await one.connect()
    assert machine.connected
    assert (one.tags, one.repeats) == (machine.tags, 0)
    assert (await one.identify()).vendor == "Attestbed"
    await one.close()
    assert not machine.connected
