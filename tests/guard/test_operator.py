"""A command is on disk before it is sent; its outcome says what the PLC shows, or that nobody knows."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from testbed.core.bodies import CONFIRMED, INTENDED, REFUSED, UNCONFIRMED, Body, Command
from testbed.core.errors import DeviceError, DeviceRefused, StoreError, UsageError
from testbed.core.tags import Tag, Value
from testbed.fieldbus.registers import encode
from testbed.guard.operator import LOOKS, Operator
from testbed.rig.bench import load_bench

TAGS = load_bench(None).tags
MOMENTARY = ("control.reset",)


@dataclass(frozen=True)
class Poll:
    """One reading."""

    values: tuple[bytes | None, ...]


@dataclass
class Device:
    """A PLC in memory that shows what was written after `delay` looks; `fault` is raised instead of taking a write."""

    log: "Records"
    delay: int = 0
    fault: DeviceError | None = None
    refuses_connections: bool = False
    shown: dict[str, bytes] = field(default_factory=dict)
    written: list[tuple[str, Value]] = field(default_factory=list)
    logged_before: list[int] = field(default_factory=list)
    open: bool = False

    async def connect(self) -> None:
        if self.refuses_connections:
            raise DeviceError("127.0.0.1:5020: no connection")
        self.open = True

    async def write(self, tag: Tag, value: Value) -> None:
        self.logged_before.append(len(self.log.bodies))
        if self.fault is not None:
            raise self.fault
        self.written.append((tag.name, value))
        self.shown[tag.name] = encode(tag, value)

    async def poll(self) -> Poll:
        self.delay -= 1
        shown = self.shown if self.delay < 0 else {}
        return Poll(tuple(shown.get(tag.name) for tag in TAGS))

    async def close(self) -> None:
        self.open = False


@dataclass
class Records:
    """A log in memory; `full` makes it refuse."""

    bodies: list[Body] = field(default_factory=list)
    full: bool = False

    def append(self, records: Iterable[tuple[str, Body]]) -> object:
        if self.full:
            raise StoreError("the disk is full")
        self.bodies += [body for _, body in records]
        return None


async def no_pause() -> None:
    """Nothing to wait for."""


def operator(device: Device) -> Operator:
    return Operator("eve", device.log, device, TAGS, MOMENTARY, no_pause)


def outcomes(log: Records) -> list[str]:
    assert all(isinstance(body, Command) for body in log.bodies)
    return [body.outcome.partition(":")[0] for body in log.bodies if isinstance(body, Command)]


@pytest.mark.parametrize("delay", [0, 1, LOOKS - 1])
async def test_a_command_is_logged_sent_and_read_back(delay: int) -> None:
    device = Device(Records(), delay)
    assert (await operator(device).write("control.level_setpoint", 1.25)).startswith(CONFIRMED)
    assert device.logged_before == [1]
    assert device.written == [("control.level_setpoint", 1.25)]
    assert outcomes(device.log) == [INTENDED, CONFIRMED]
    first, second = device.log.bodies
    assert isinstance(first, Command)
    assert isinstance(second, Command)
    assert first.what == second.what == "write control.level_setpoint = 1.25"
    assert (first.who, first.twin_record) == ("eve", None)
    assert not device.open


async def test_a_button_cannot_be_read_back_and_need_not() -> None:
    device = Device(Records(), delay=LOOKS + 5)
    assert (await operator(device).write("control.reset", True)).startswith(CONFIRMED)


@pytest.mark.parametrize(
    ("fault", "outcome"), [(DeviceRefused("exception 03"), REFUSED), (DeviceError("no answer within 1 s"), UNCONFIRMED)]
)
async def test_what_went_wrong_is_the_outcome(fault: DeviceError, outcome: str) -> None:
    device = Device(Records(), fault=fault)
    assert (await operator(device).write("control.mode", 1)) == f"{outcome}: {fault.problem}"
    assert outcomes(device.log) == [INTENDED, outcome]
    assert not device.open


async def test_what_is_not_seen_in_the_end_is_not_confirmed() -> None:
    device = Device(Records(), delay=LOOKS)
    assert (await operator(device).write("control.mode", 1)).startswith(UNCONFIRMED)


@pytest.mark.parametrize(
    ("tag", "value"),
    [("tank9.level", 1.0), ("tank1.level", 1.0), ("control.mode", 3), ("control.mode", 1.5), ("control.reset", 1)],
)
async def test_what_cannot_be_is_neither_logged_nor_sent(tag: str, value: Value) -> None:
    device = Device(Records())
    with pytest.raises(UsageError) as raised:
        await operator(device).write(tag, value)
    assert raised.value.mend
    assert (device.log.bodies, device.logged_before) == ([], [])


async def test_without_a_plc_nothing_was_meant_to_happen() -> None:
    device = Device(Records(), refuses_connections=True)
    with pytest.raises(DeviceError):
        await operator(device).write("control.mode", 1)
    assert device.log.bodies == []


async def test_what_cannot_be_logged_is_not_sent() -> None:
    device = Device(Records(full=True))
    with pytest.raises(StoreError):
        await operator(device).write("control.mode", 1)
    assert device.logged_before == []
    assert not device.open
