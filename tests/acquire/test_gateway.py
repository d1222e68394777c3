"""The gateway logs every scan that it sees once, says so when there is nothing to see, and comes back by itself."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.acquire.gateway import Gateway
from testbed.core.bodies import Body, Heartbeat, State
from testbed.core.clock import VirtualClock
from testbed.core.errors import DeviceError, StoreError

SECOND = 10**9
HEARTBEAT = 5 * SECOND


@dataclass(frozen=True)
class Scan:
    """One reading."""

    boot: int
    scan: int
    values: tuple[bytes, ...] = (b"\x00\x01", b"\x01")


@dataclass
class Line:
    """A PLC in memory: `shown` is its present scan, None while it does not answer."""

    shown: Scan | None = None
    connected: bool = False
    connects: int = 0
    closes: int = 0

    async def connect(self) -> None:
        assert not self.connected
        self.connects += 1
        if self.shown is None:
            raise DeviceError("127.0.0.1:5020: connection refused")
        self.connected = True

    async def poll(self) -> Scan:
        assert self.connected
        if self.shown is None:
            raise DeviceError("127.0.0.1:5020: no answer")
        return self.shown

    async def close(self) -> None:
        self.connected = False
        self.closes += 1


@dataclass
class Records:
    """A log in memory; `full` makes it refuse."""

    bodies: list[Body] = field(default_factory=list)
    full: bool = False

    def append(self, records: Iterable[tuple[str, Body]]) -> object:
        if self.full:
            raise StoreError("the disk is full")
        for source, body in records:
            assert source == "cell"
            self.bodies.append(body)
        return None


@dataclass
class Bench:
    """A gateway between a line and a log, and the clock that they share."""

    line: Line = field(default_factory=Line)
    log: Records = field(default_factory=Records)
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(1000 * SECOND))

    def __post_init__(self) -> None:
        self.gateway = Gateway("cell", self.line, self.log, self.clock, HEARTBEAT)

    async def step(self, shown: Scan | None, after_ns: int = SECOND) -> bool:
        self.line.shown = shown
        self.clock.advance(after_ns)
        return await self.gateway.step()

    @property
    def beats(self) -> list[Heartbeat]:
        return [body for body in self.log.bodies if isinstance(body, Heartbeat)]

    @property
    def states(self) -> list[State]:
        return [body for body in self.log.bodies if isinstance(body, State)]


async def test_a_scan_becomes_a_state() -> None:
    bench = Bench()
    assert await bench.step(Scan(3, 17))
    assert bench.log.bodies == [State(3, 17, None, bench.clock.now_ns(), (b"\x00\x01", b"\x01"), (0, 0))]
    assert bench.gateway.states == 1


async def test_a_scan_that_is_seen_twice_is_logged_once() -> None:
    bench = Bench()
    seen = [Scan(1, 1), Scan(1, 1), Scan(1, 2), Scan(1, 2), Scan(2, 2), Scan(1, 2)]
    logged = [await bench.step(scan, 1) for scan in seen]
    assert logged == [True, False, True, False, True, True]
    assert [(state.boot, state.scan) for state in bench.states] == [(1, 1), (1, 2), (2, 2), (1, 2)]
    assert bench.beats == []


async def test_a_scan_that_an_earlier_run_logged_is_not_logged_again() -> None:
    line, records = Line(Scan(1, 7)), Records()
    gateway = Gateway("cell", line, records, VirtualClock(0), HEARTBEAT, logged=(1, 7))
    assert not await gateway.step()
    line.shown = Scan(1, 8)
    assert await gateway.step()
    line.shown = Scan(2, 8)
    assert await gateway.step()
    assert [(body.boot, body.scan) for body in records.bodies if isinstance(body, State)] == [(1, 8), (2, 8)]


@pytest.mark.parametrize("shown", [None, Scan(1, 1)], ids=["no answer", "a scan counter that stands still"])
async def test_silence_gives_one_heartbeat_each_interval(shown: Scan | None) -> None:
    bench = Bench()
    await bench.step(Scan(1, 1))
    start = bench.clock.now_ns()
    for _ in range(23):
        assert not await bench.step(shown)
    assert [(beat.receive_time_ns - start) // SECOND for beat in bench.beats] == [5, 10, 15, 20]
    words = "no answer" if shown is None else "the scan counter stands still"
    assert all(words in beat.wrong or "refused" in beat.wrong for beat in bench.beats)
    assert await bench.step(Scan(1, 2))


class SetBack:
    """A clock that somebody set back by an hour."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock

    def now_ns(self) -> int:
        return self._clock.now_ns() - 3600 * SECOND


async def test_a_clock_that_was_set_back_does_not_silence_the_heartbeat() -> None:
    line, records, clock = Line(Scan(1, 1)), Records(), VirtualClock(10_000 * SECOND)
    gateway = Gateway("cell", line, records, clock, HEARTBEAT)
    assert await gateway.step()
    gateway._clock = SetBack(clock)  # as an operating system's clock is set under a process
    for _ in range(12):
        clock.advance(SECOND)
        assert not await gateway.step()
    beats = [body for body in records.bodies if isinstance(body, Heartbeat)]
    assert [later.receive_time_ns - beats[0].receive_time_ns for later in beats] == [0, HEARTBEAT, 2 * HEARTBEAT]


async def test_a_plc_that_never_answered_gives_heartbeats_too() -> None:
    bench = Bench()
    for _ in range(12):
        assert not await bench.step(None)
    assert len(bench.beats) == 2
    assert all("refused" in beat.wrong for beat in bench.beats)


async def test_states_need_no_heartbeats_between_them() -> None:
    bench = Bench()
    for scan in range(40):
        assert await bench.step(Scan(1, scan))
    assert bench.beats == []
    assert len(bench.states) == 40


async def test_the_gateway_comes_back_by_itself() -> None:
    bench = Bench()
    for shown in (Scan(1, 1), Scan(1, 2)):
        assert await bench.step(shown)
    assert (bench.line.connects, bench.line.closes) == (1, 0)
    assert not await bench.step(None)
    assert (bench.line.connected, bench.line.closes) == (False, 1)
    assert not await bench.step(None)
    assert bench.line.connects == 2
    # The same scan again is no new one; the next one is.
    assert not await bench.step(Scan(1, 2))
    assert await bench.step(Scan(1, 3))
    assert (bench.line.connects, bench.line.connected) == (3, True)


async def test_a_heartbeat_counts_what_happened() -> None:
    bench = Bench()
    for shown in (Scan(1, 1), Scan(1, 2), None, None, None, None, None):
        await bench.step(shown)
    (beat,) = bench.beats
    assert dict(beat.counters) == {"retries": 5, "states": 2}


async def test_a_state_that_was_not_logged_is_not_counted_and_comes_again() -> None:
    bench = Bench()
    bench.log.full = True
    with pytest.raises(StoreError):
        await bench.step(Scan(1, 1))
    assert bench.gateway.states == 0
    bench.log.full = False
    assert await bench.step(Scan(1, 1))
    assert bench.gateway.states == 1


async def test_closing_leaves_the_plc_and_the_next_step_connects_again() -> None:
    bench = Bench()
    await bench.step(Scan(1, 1))
    await bench.gateway.close()
    assert not bench.line.connected
    assert await bench.step(Scan(1, 2))
    assert bench.line.connects == 2


SHOWN = st.none() | st.builds(Scan, st.integers(0, 1), st.integers(0, 3))


@given(st.lists(st.tuples(SHOWN, st.integers(0, 3 * SECOND)), max_size=30))
async def test_whatever_the_line_does(steps: list[tuple[Scan | None, int]]) -> None:
    bench = Bench()
    expected: list[tuple[int, int]] = []
    for shown, after_ns in steps:
        fresh = shown is not None and (not expected or (shown.boot, shown.scan) != expected[-1])
        assert await bench.step(shown, after_ns) == fresh
        if fresh and shown is not None:
            expected.append((shown.boot, shown.scan))
    assert [(state.boot, state.scan) for state in bench.states] == expected
    assert bench.gateway.states == len(expected)
    times = [body.receive_time_ns for body in bench.log.bodies if isinstance(body, State | Heartbeat)]
    assert times == sorted(times)
    for before, body in zip(bench.log.bodies, bench.log.bodies[1:], strict=False):
        if isinstance(body, Heartbeat) and isinstance(before, State | Heartbeat):
            assert body.receive_time_ns - before.receive_time_ns >= HEARTBEAT
