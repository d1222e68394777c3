"""The log says when the PLC's watchdog was armed and when it tripped: once each, behind the state that shows it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.acquire.gateway import Gateway
from testbed.acquire.watchdog import Place, WatchdogWatch
from testbed.core.bodies import (
    WATCHDOG_ARMED,
    WATCHDOG_DISARMED,
    WATCHDOG_RESET,
    WATCHDOG_TRIPPED,
    Body,
    Event,
    State,
)
from testbed.core.clock import VirtualClock
from testbed.core.identity import Identity
from testbed.fieldbus.poll import Poll
from testbed.fieldbus.registers import as_read, encode
from testbed.rig.bench import load_bench
from testbed.rig.safety import watchdog_watch

TAGS = tuple(tag for tag in load_bench(None).tags if tag.name in ("watchdog.limit_ms", "watchdog.tripped"))
LIMIT, TRIPPED = TAGS

Shown = tuple[int | None, bool | None]
"""limit and tripped; None where it could not be read"""


def state(limit: int | None, tripped: bool | None, scan: int | None = 9) -> State:
    values = (
        None if limit is None else encode(LIMIT, limit),
        None if tripped is None else encode(TRIPPED, tripped),
    )
    return State(3, scan, None, 77, values, tuple(0 if value is not None else 0x80310000 for value in values))


def watch() -> WatchdogWatch:
    return WatchdogWatch(Place(TRIPPED, 1), Place(LIMIT, 0))


def names(watched: WatchdogWatch, shown: Sequence[Shown]) -> list[str]:
    return [body.name for one in shown for body in watched.saw(state(*one)) if isinstance(body, Event)]


def test_a_run_and_its_end() -> None:
    said = names(watch(), [(0, False), (2000, False), (2000, False), (2000, True), (2000, True), (0, True), (0, False)])
    assert said == [WATCHDOG_ARMED, WATCHDOG_TRIPPED, WATCHDOG_DISARMED, WATCHDOG_RESET]


def test_an_event_says_when_and_where() -> None:
    armed, tripped = watch().saw(state(2000, True))
    assert armed == Event(77, WATCHDOG_ARMED, b"2000")
    assert tripped == Event(77, WATCHDOG_TRIPPED, b"boot 3 scan 9")
    assert watch().saw(state(0, True, scan=None)) == [Event(77, WATCHDOG_TRIPPED, b"")]


def test_a_reader_that_comes_late_tells_of_the_trip_all_the_same() -> None:
    assert names(watch(), [(0, True), (0, True)]) == [WATCHDOG_TRIPPED]


def test_what_could_not_be_read_is_no_news() -> None:
    assert names(watch(), [(2000, False), (None, None), (2000, False), (2000, None), (None, True)]) == [
        WATCHDOG_ARMED,
        WATCHDOG_TRIPPED,
    ]


@given(shown=st.lists(st.tuples(st.sampled_from([None, 0, 500]), st.sampled_from([None, False, True])), max_size=30))
def test_each_rise_is_told_once(shown: list[Shown]) -> None:
    read = [tripped for _, tripped in shown if tripped is not None]
    rises = sum(now and not before for before, now in zip([False, *read], read, strict=False))
    assert names(watch(), shown).count(WATCHDOG_TRIPPED) == rises


@pytest.mark.parametrize("tags", [load_bench(None).tags, as_read(load_bench(None).tags)], ids=["modbus", "opcua"])
def test_a_bench_is_watched_in_the_byte_order_of_its_reader(tags: Sequence[object]) -> None:
    as_given = load_bench(None).tags if tags == load_bench(None).tags else as_read(load_bench(None).tags)
    values = tuple(
        encode(tag, 2000 if tag.name == LIMIT.name else False) if tag.name in (LIMIT.name, TRIPPED.name) else None
        for tag in as_given
    )
    found = watchdog_watch(load_bench(None).safety, as_given).saw(State(0, 1, None, 0, values, (0,) * len(values)))
    assert found == [Event(0, WATCHDOG_ARMED, b"2000")]


@dataclass
class Plc:
    """A PLC in memory."""

    shown: list[Poll]
    repeats: int = 0

    async def connect(self) -> None:
        pass

    async def identify(self) -> Identity:
        return Identity()

    async def poll(self) -> Poll:
        return self.shown.pop(0)

    async def close(self) -> None:
        pass


@dataclass
class Records:
    """A log in memory, commit by commit."""

    commits: list[list[Body]] = field(default_factory=list)

    def append(self, records: Iterable[tuple[str, Body]]) -> object:
        self.commits.append([body for source, body in records if source == "cell"])
        return None


async def test_the_gateway_commits_a_trip_with_the_state_that_shows_it() -> None:
    polls = [
        Poll(1, scan, (encode(LIMIT, 500), encode(TRIPPED, scan >= 12)), device_time_ns=None) for scan in range(10, 14)
    ]
    log, clock = Records(), VirtualClock(10**18)
    gateway = Gateway("cell", Plc(polls), log, clock, 10**12, watches=[watch()])
    for _ in range(4):
        await gateway.step()
        clock.advance(10**8)
    kinds = [
        [body.scan if isinstance(body, State) else body.name for body in commit if isinstance(body, State | Event)]
        for commit in log.commits
    ]
    assert kinds == [[10, WATCHDOG_ARMED], [11], [12, WATCHDOG_TRIPPED], [13]]
