"""The gateway logs every scan that it sees once, says so when there is nothing to see, and comes back by itself."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.acquire.gateway import BAD_NO_COMMUNICATION, Gateway
from testbed.core.bodies import CLOCK_STEPPED, IDENTITY, SOURCE_BACK, SOURCE_LOST, Beacon, Body, Event, Heartbeat, State
from testbed.core.clock import VirtualClock
from testbed.core.errors import DeviceError, StoreError
from testbed.core.identity import Identity
from testbed.record.identity import decode_identity

SECOND = 10**9
HEARTBEAT = 5 * SECOND


@dataclass(frozen=True)
class Scan:
    """One reading."""

    boot: int
    scan: int | None
    values: tuple[bytes | None, ...] = (b"\x00\x01", b"\x01")
    statuses: tuple[int, ...] = (0, 0)
    device_time_ns: int | None = None
    frame: bytes | None = None
    signature: bytes | None = None


@dataclass
class Line:
    """A PLC in memory: `shown` is its present scan, None while it does not answer."""

    shown: Scan | None = None
    connected: bool = False
    connects: int = 0
    closes: int = 0
    repeats: int = 0
    identity: Identity | None = field(default_factory=Identity)
    """What it says of itself; None: it does not answer that."""

    async def connect(self) -> None:
        assert not self.connected
        self.connects += 1
        if self.shown is None:
            raise DeviceError("127.0.0.1:5020: connection refused")
        self.connected = True

    async def identify(self) -> Identity:
        assert self.connected
        if self.identity is None:
            self.connected = False
            raise DeviceError("127.0.0.1:5020: no answer")
        return self.identity

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

    commits: list[list[Body]] = field(default_factory=list)
    full: bool = False

    def append(self, records: Iterable[tuple[str, Body]]) -> object:
        if self.full:
            raise StoreError("the disk is full")
        taken = list(records)
        assert all(source == "cell" for source, _ in taken)
        self.commits.append([body for _, body in taken])
        return None

    @property
    def bodies(self) -> list[Body]:
        return [body for commit in self.commits for body in commit]


@dataclass
class Bench:
    """A gateway between a line and a log, and the clock that they share."""

    line: Line = field(default_factory=Line)
    log: Records = field(default_factory=Records)
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(1000 * SECOND))
    commit_ns: int = 0

    def __post_init__(self) -> None:
        self.gateway = Gateway("cell", self.line, self.log, self.clock, HEARTBEAT, commit_ns=self.commit_ns)

    async def step(self, shown: Scan | None, after_ns: int = SECOND) -> bool:
        self.line.shown = shown
        self.clock.advance(after_ns)
        return await self.gateway.step()

    @property
    def beats(self) -> list[Heartbeat]:
        return [body for body in self.log.bodies if isinstance(body, Heartbeat)]

    @property
    def states(self) -> list[State]:
        return [body for body in self.log.bodies if isinstance(body, State) and body.scan is not None]

    @property
    def events(self) -> list[str]:
        return [body.name for body in self.log.bodies if isinstance(body, Event)]


async def test_a_scan_becomes_a_state() -> None:
    bench = Bench()
    assert await bench.step(Scan(3, 17))
    assert bench.log.bodies == [State(3, 17, None, bench.clock.now_ns(), (b"\x00\x01", b"\x01"), (0, 0))]
    assert bench.gateway.states == 1


async def test_who_answers_is_logged_at_the_start_and_when_it_has_changed() -> None:
    bench = Bench(Line(identity=Identity("Maker", "PLC", "1.0", "007")))
    await bench.step(Scan(1, 1))
    assert [type(body) for body in bench.log.bodies] == [Event, State]
    await bench.step(None)
    await bench.step(Scan(1, 2))
    assert bench.events == [IDENTITY, SOURCE_LOST, SOURCE_BACK]
    await bench.step(None)
    bench.line.identity = Identity("Maker", "PLC", "1.1", "007")
    await bench.step(Scan(2, 1))
    said = [body.detail for body in bench.log.bodies if isinstance(body, Event) and body.name == IDENTITY]
    assert [decode_identity(detail).firmware for detail in said] == ["1.0", "1.1"]


async def test_a_device_that_is_deaf_to_the_question_who_it_is_is_read_all_the_same() -> None:
    bench = Bench(Line(identity=None))
    assert await bench.step(Scan(1, 1))
    assert await bench.step(Scan(1, 2))
    assert (bench.events, bench.line.connects, bench.gateway.retries) == ([], 2, 0)


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
    assert all(words in beat.wrong or "refused" in beat.wrong for beat in bench.beats[1:])
    assert await bench.step(Scan(1, 2), 10 * SECOND)


async def test_a_plc_that_never_answered_gives_heartbeats_and_nothing_else() -> None:
    bench = Bench()
    for _ in range(12):
        assert not await bench.step(None)
    assert len(bench.beats) == 2
    assert all("refused" in beat.wrong for beat in bench.beats)
    assert bench.log.bodies == list(bench.beats)


async def test_a_heartbeat_stands_among_states_as_well() -> None:
    bench = Bench()
    for scan in range(40):
        assert await bench.step(Scan(1, scan))
    assert [beat.wrong for beat in bench.beats] == [""] * 7
    assert len(bench.states) == 40


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_clock_that_is_set_gives_an_event_and_no_silence(hours: int) -> None:
    bench = Bench()
    await bench.step(Scan(1, 1))
    bench.clock.set(bench.clock.now_ns() + hours * 3600 * SECOND)
    for scan in range(2, 14):
        assert await bench.step(Scan(1, scan))
    (event,) = [body for body in bench.log.bodies if isinstance(body, Event)]
    assert (event.name, int(event.detail)) == (CLOCK_STEPPED, hours * 3600 * SECOND)
    assert len(bench.beats) == 2


async def test_a_plc_that_is_lost_and_comes_back_is_seen_as_such() -> None:
    bench = Bench()
    assert await bench.step(Scan(3, 1))
    for _ in range(3):
        assert not await bench.step(None)
    assert await bench.step(Scan(3, 2), 10 * SECOND)
    assert bench.events == [SOURCE_LOST, SOURCE_BACK]
    (lost,) = [body for body in bench.log.bodies if isinstance(body, State) and body.scan is None]
    assert (lost.boot, lost.values, lost.statuses) == (3, (None, None), (BAD_NO_COMMUNICATION,) * 2)


async def test_a_dead_plc_is_asked_less_and_less_often() -> None:
    bench = Bench()
    await bench.step(Scan(1, 1))
    for _ in range(600):
        await bench.step(None, SECOND // 10)
    # Pauses of 0.05, 0.1, 0.2, 0.5, 1 and 2 s, then of 5 s: within a minute about a dozen and a half.
    assert 14 <= bench.gateway.retries <= 20


async def test_the_gateway_comes_back_by_itself() -> None:
    bench = Bench()
    for shown in (Scan(1, 1), Scan(1, 2)):
        assert await bench.step(shown)
    assert (bench.line.connects, bench.line.closes) == (1, 0)
    assert not await bench.step(None)
    assert (bench.line.connected, bench.line.closes) == (False, 1)
    assert not await bench.step(None)
    assert bench.line.connects == 2
    assert not await bench.step(None, 1)
    assert bench.line.connects == 2  # not asked again so soon
    # The same scan again is no new one; the next one is.
    assert not await bench.step(Scan(1, 2))
    assert await bench.step(Scan(1, 3))
    assert (bench.line.connects, bench.line.connected) == (3, True)


async def test_a_heartbeat_counts_what_happened() -> None:
    bench = Bench()
    bench.line.repeats = 7
    for shown in (Scan(1, 1), Scan(1, 4), Scan(1, 5), None, Scan(1, 9), Scan(2, 3)):
        await bench.step(shown)
    # Two scans between 1 and 4 were missed, which is said at once; what passed while the PLC was lost is no miss.
    assert [type(body) for body in bench.log.commits[1]] == [State, Heartbeat]
    assert [beat.counters for beat in bench.beats] == [(("missed", 2), ("retries", 0), ("states", 2), ("torn", 7))]
    for scan in range(4, 9):
        await bench.step(Scan(2, scan))
    assert bench.beats[-1].counters == (("missed", 2), ("retries", 1), ("states", 6), ("torn", 7))


async def test_the_scan_counter_goes_on_at_zero() -> None:
    bench = Bench()
    for scan in (0xFFFFFFFE, 0xFFFFFFFF, 0, 2):
        assert await bench.step(Scan(1, scan))
    assert bench.gateway.missed == 1


async def test_what_a_disk_refuses_is_not_counted_and_not_lost() -> None:
    bench = Bench()
    bench.log.full = True
    with pytest.raises(StoreError):
        await bench.step(Scan(1, 1))
    assert bench.gateway.states == 0
    bench.log.full = False
    assert await bench.step(Scan(1, 2))
    assert [state.scan for state in bench.states] == [1, 2]
    assert bench.gateway.states == 2


async def test_records_are_committed_together_and_no_more_often_than_asked() -> None:
    bench = Bench(commit_ns=3 * SECOND)
    for scan in range(10):
        await bench.step(Scan(1, scan))
    bench.gateway.commit()
    assert [len(commit) for commit in bench.log.commits] == [1, 3, 4, 3]  # with a heartbeat
    assert [state.scan for state in bench.states] == list(range(10))


@pytest.mark.parametrize(("early", "commits"), [(SECOND // 20, 10), (SECOND // 5, 5)])
async def test_a_poll_that_comes_a_little_early_waits_for_no_other_one(early: int, commits: int) -> None:
    bench = Bench(commit_ns=SECOND)
    for scan in range(10):
        await bench.step(Scan(1, scan), SECOND - early)
    assert len(bench.log.commits) == commits


@dataclass
class News:
    """Says each beacon once, when it is asked."""

    due: list[Beacon] = field(default_factory=list)

    def news(self) -> list[tuple[str, Body]]:
        said, self.due = self.due, []
        return [("cell", body) for body in said]


async def test_what_stands_beside_stands_before_the_state_in_one_commit() -> None:
    line, records, news = Line(Scan(1, 1)), Records(), News()
    gateway = Gateway("cell", line, records, VirtualClock(0), HEARTBEAT, beside=[news])
    await gateway.step()
    news.due, line.shown = [Beacon(1, 2, bytes(32))], Scan(1, 2)
    await gateway.step()
    assert [[type(body) for body in commit] for commit in records.commits] == [[State], [Beacon, State]]


async def test_closing_leaves_the_plc_and_the_next_step_connects_again() -> None:
    bench = Bench()
    await bench.step(Scan(1, 1))
    await bench.gateway.close()
    assert not bench.line.connected
    assert await bench.step(Scan(1, 2))
    assert bench.line.connects == 2


SHOWN = st.none() | st.builds(Scan, st.integers(0, 1), st.integers(0, 3))


@given(st.lists(st.tuples(SHOWN, st.integers(6 * SECOND, 9 * SECOND)), max_size=30))
async def test_whatever_the_line_does(steps: list[tuple[Scan | None, int]]) -> None:
    bench = Bench()
    expected: list[tuple[int, int | None]] = []
    for shown, after_ns in steps:
        fresh = shown is not None and (not expected or (shown.boot, shown.scan) != expected[-1])
        assert await bench.step(shown, after_ns) == fresh
        if fresh and shown is not None:
            expected.append((shown.boot, shown.scan))
    assert [(state.boot, state.scan) for state in bench.states] == expected
    assert bench.gateway.states == len(expected)
    times = [body.receive_time_ns for body in bench.log.bodies if isinstance(body, State | Heartbeat)]
    assert times == sorted(times)
    beats = [beat.receive_time_ns for beat in bench.beats]
    assert all(later - earlier >= HEARTBEAT for earlier, later in pairwise(beats))
    lost, back = bench.events.count(SOURCE_LOST), bench.events.count(SOURCE_BACK)
    assert back <= lost <= back + 1
