"""The gateway: reads the PLC over a socket and logs every scan that it sees, and what it knows that it did not see."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from testbed.core.bodies import CLOCK_STEPPED, IDENTITY, SOURCE_BACK, SOURCE_LOST, Body, Event, Heartbeat, State
from testbed.core.clock import Clock
from testbed.core.errors import DeviceError
from testbed.core.identity import Identity
from testbed.record.identity import encode_identity

BAD_NO_COMMUNICATION = 0x80310000
"""OPC UA StatusCode of a value that nobody could read (OPC 10000-4, section 7.39.2)."""

_RETRY_NS = tuple(int(seconds * 1e9) for seconds in (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0))
_STEP_NS = 500_000_000
"""A time of day that moved by so much more or less than time passed was set by somebody."""
_COUNTER = 2**32
"""A scan counter is a uint32 that goes on at 0 after its last value."""


class Poll(Protocol):
    """One consistent reading of a PLC: all raw values belong to one scan. statuses: OPC UA StatusCodes by value.

    frame, signature: the device's own signed frame, as it came; None where there was none.
    """

    @property
    def boot(self) -> int: ...
    @property
    def scan(self) -> int | None: ...
    @property
    def values(self) -> tuple[bytes | None, ...]: ...
    @property
    def statuses(self) -> tuple[int, ...]: ...
    @property
    def device_time_ns(self) -> int | None: ...
    @property
    def frame(self) -> bytes | None: ...
    @property
    def signature(self) -> bytes | None: ...


class Reader(Protocol):
    """A connection to a PLC, whatever the protocol. repeats: polls that were begun again because a scan ended amid."""

    @property
    def repeats(self) -> int: ...
    async def connect(self) -> None: ...
    async def identify(self) -> Identity: ...
    async def poll(self) -> Poll: ...
    async def close(self) -> None: ...


class Sink(Protocol):
    """Where records go: when `append` returns, they are on disk."""

    def append(self, records: Iterable[tuple[str, Body]]) -> object: ...


class Beside(Protocol):
    """Something else that the log is to say. `news`: (source, body) pairs that are due now."""

    def news(self) -> Sequence[tuple[str, Body]]: ...


class Watch(Protocol):
    """Looks at each state. `saw`: what the log is to say behind it, of the same source."""

    def saw(self, state: State) -> Sequence[Body]: ...


class Gateway:
    """One reader, one log. `step` polls once; a scan that was logged already is not logged twice.

    logged: (boot, scan) of the newest state in the log, None where it has none yet; commit_ns: records are committed at
    most so often, ns, or a tenth sooner; beside: asked after each poll, and what they say stands in the log before the
    state that was polled; watches: shown each state, and what they say of it stands behind it. A heartbeat is due each
    `heartbeat_ns` whatever happens, and behind a state that came late: its counters, which run since this gateway's
    start, own up to it. *missed*: scans that the counter jumped over; *retries*; *states*; *torn*: polls that were
    begun again.

    A PLC that stops answering gives one event and one state without values; it is asked again with growing pauses.
    What it says of itself is logged after the first connection, and after any other one when that has changed.
    """

    def __init__(
        self,
        source: str,
        reader: Reader,
        log: Sink,
        clock: Clock,
        heartbeat_ns: int,
        logged: tuple[int, int] | None = None,
        *,
        commit_ns: int = 0,
        beside: Sequence[Beside] = (),
        watches: Sequence[Watch] = (),
    ) -> None:
        self._source = source
        self._reader = reader
        self._log = log
        self._clock = clock
        self._heartbeat_ns = heartbeat_ns
        self._commit_ns = commit_ns
        self._beside = tuple(beside)
        self._watches = tuple(watches)
        self._waiting: list[tuple[str, Body]] = []
        self._committed_ns = -commit_ns
        self._beat_ns: int | None = None
        self._offset_ns: int | None = None
        self._last_scan: tuple[int, int | None] | None = logged
        self._last: Poll | None = None
        self._follows = False  # the next scan is the one after the last that was logged
        self._fresh = False  # a scan came since the last heartbeat
        self._connected = False
        self._identity = Identity()
        self._mute = False  # it answers, but not who it is
        self._failures = 0
        self._retry_ns = 0
        self._wrong = ""
        self._owned = 0  # missed scans that a heartbeat has told of
        self.states = 0
        self.missed = 0
        self.retries = 0

    @property
    def torn(self) -> int:
        """Polls that were begun again because a scan ended meanwhile."""
        return self._reader.repeats

    async def step(self) -> bool:
        """Poll once. True when there was a new state; raises StoreError when the log cannot be written."""
        self._watch_clock()
        poll = await self._ask()
        new = poll is not None and self._is_new(poll)
        if poll is not None and new:
            self._take_state(poll)
        passed = self._clock.monotonic_ns()
        if self._beat_ns is None:
            self._beat_ns = passed
        if passed - self._beat_ns >= self._heartbeat_ns or self.missed > self._owned:
            self._beat(passed)
        # A tenth early is in time: a poll that comes at the same period would else wait for the next one.
        if 10 * (passed - self._committed_ns) >= 9 * self._commit_ns:
            self.commit()
        return new

    def commit(self) -> None:
        """Log what waits, in one commit. Raises StoreError with nothing acknowledged."""
        if self._waiting:
            began = self._clock.monotonic_ns()
            self._log.append(self._waiting)
            self.states += _readings(self._waiting)
            self._waiting = []
            self._committed_ns = began

    async def close(self) -> None:
        """Leave the PLC; the next step connects again."""
        self._connected = False
        await self._reader.close()

    async def _ask(self) -> Poll | None:
        """A poll, or None where there was no answer or it is not time yet to ask again."""
        if not self._connected and self._clock.monotonic_ns() < self._retry_ns:
            return None
        try:
            fresh = not self._connected
            if fresh:
                await self._reader.connect()
                self._connected = True
            poll = await self._reader.poll()
            if fresh:
                await self._identify()  # behind the poll, which knows another PLC in the place of this one
        except DeviceError as error:
            await self.close()
            self._note_failure(error.problem)
            return None
        if self._failures:
            self._failures = 0
            if self._last is not None:
                self._take(Event(self._clock.now_ns(), SOURCE_BACK, b""))
        self._wrong = ""
        return poll

    async def _identify(self) -> None:
        """Log who answers, where that is news. A device may be deaf to the question: its tags are read all the same."""
        if self._mute:
            return
        try:
            identity = await self._reader.identify()
        except DeviceError:
            await self._reader.connect()
            self._mute = True
            return
        if identity != self._identity:
            self._take(Event(self._clock.now_ns(), IDENTITY, encode_identity(identity)))
            self._identity = identity

    def _note_failure(self, problem: str) -> None:
        self._wrong = problem
        self.retries += 1
        pause = _RETRY_NS[min(self._failures, len(_RETRY_NS) - 1)]
        self._retry_ns = self._clock.monotonic_ns() + pause
        self._failures += 1
        if self._failures > 1 or self._last is None:
            return
        now = self._clock.now_ns()
        self._take(Event(now, SOURCE_LOST, problem.encode()))
        count = len(self._last.values)
        self._take(State(self._last.boot, None, None, now, (None,) * count, (BAD_NO_COMMUNICATION,) * count))
        self._follows = False

    def _is_new(self, poll: Poll) -> bool:
        return poll.scan is None or (poll.boot, poll.scan) != self._last_scan

    def _take_state(self, poll: Poll) -> None:
        if self._follows and self._last_scan is not None and self._last_scan[0] == poll.boot:
            self.missed += _jumped_over(self._last_scan[1], poll.scan)
        # Asked after the poll: whatever led to this state is known by now.
        self._take_news()
        now = self._clock.now_ns()
        state = State(
            poll.boot,
            poll.scan,
            poll.device_time_ns,
            now,
            poll.values,
            tuple(poll.statuses),
            poll.frame,
            poll.signature,
        )
        self._take(state)
        for watch in self._watches:
            for body in watch.saw(state):
                self._take(body)
        self._last, self._last_scan = poll, (poll.boot, poll.scan)
        self._follows = self._fresh = True

    def _beat(self, passed: int) -> None:
        self._take_news()
        wrong = self._wrong or ("" if self._fresh else "the scan counter stands still")
        counters = (
            ("missed", self.missed),
            ("retries", self.retries),
            ("states", self.states + _readings(self._waiting)),
            ("torn", self.torn),
        )
        self._take(Heartbeat(self._clock.now_ns(), wrong, counters))
        self._beat_ns, self._fresh, self._owned = passed, False, self.missed

    def _watch_clock(self) -> None:
        """Log it when somebody set the time of day: times in this log are those of the clock as it was."""
        offset = self._clock.now_ns() - self._clock.monotonic_ns()
        if self._offset_ns is not None and abs(offset - self._offset_ns) > _STEP_NS:
            self._take(Event(self._clock.now_ns(), CLOCK_STEPPED, str(offset - self._offset_ns).encode()))
        elif self._offset_ns is not None:
            return  # a clock that is slewed gets there by itself
        self._offset_ns = offset

    def _take_news(self) -> None:
        for one in self._beside:
            self._waiting += one.news()

    def _take(self, body: Body) -> None:
        self._waiting.append((self._source, body))


def _readings(records: Iterable[tuple[str, Body]]) -> int:
    """States that were read; one without values says that the PLC was lost."""
    return sum(isinstance(body, State) and any(raw is not None for raw in body.values) for _, body in records)


def _jumped_over(last: int | None, scan: int | None) -> int:
    """Scans between two that were seen; none where the counter went back."""
    if last is None or scan is None:
        return 0
    jump = (scan - last) % _COUNTER
    return jump - 1 if 1 <= jump < _COUNTER // 2 else 0
