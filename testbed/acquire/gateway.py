"""The gateway: reads the PLC over a socket and logs every scan that it sees."""

from collections.abc import Iterable
from typing import Protocol

from testbed.core.bodies import Body, Heartbeat, State
from testbed.core.clock import Clock
from testbed.core.errors import DeviceError

GOOD = 0
"""OPC UA StatusCode Good (OPC 10000-4, section 7.39)."""


class Poll(Protocol):
    """One consistent reading of a PLC: all raw values belong to one scan."""

    @property
    def boot(self) -> int: ...
    @property
    def scan(self) -> int: ...
    @property
    def values(self) -> tuple[bytes, ...]: ...


class Reader(Protocol):
    """A connection to a PLC, whatever the protocol."""

    async def connect(self) -> None: ...
    async def poll(self) -> Poll: ...
    async def close(self) -> None: ...


class Sink(Protocol):
    """Where records go: when `append` returns, they are on disk."""

    def append(self, records: Iterable[tuple[str, Body]]) -> object: ...


class Gateway:
    """One reader, one log. `step` polls once; a scan that was logged already is not logged twice.

    logged: (boot, scan) of the newest state in the log, None where it has none yet. A PLC that does not answer, or
    whose scan counter stands still, gives one heartbeat each `heartbeat_ns`.
    """

    def __init__(
        self,
        source: str,
        reader: Reader,
        log: Sink,
        clock: Clock,
        heartbeat_ns: int,
        logged: tuple[int, int] | None = None,
    ) -> None:
        self._source = source
        self._reader = reader
        self._log = log
        self._clock = clock
        self._heartbeat_ns = heartbeat_ns
        self._last_ns: int | None = None
        self._last_scan = logged
        self._connected = False
        self._retries = 0
        self.states = 0

    async def step(self) -> bool:
        """Poll once. True when a state was logged; raises StoreError when it could not be."""
        try:
            if not self._connected:
                await self._reader.connect()
                self._connected = True
            poll = await self._reader.poll()
        except DeviceError as error:
            self._retries += 1
            await self.close()
            self._beat(error.problem)
            return False
        now = self._clock.now_ns()
        if (poll.boot, poll.scan) == self._last_scan:
            self._beat("the scan counter stands still")
            return False
        state = State(poll.boot, poll.scan, None, now, poll.values, (GOOD,) * len(poll.values))
        self._log.append([(self._source, state)])
        self._last_scan, self._last_ns = (poll.boot, poll.scan), now
        self.states += 1
        return True

    async def close(self) -> None:
        """Leave the PLC; the next step connects again."""
        self._connected = False
        await self._reader.close()

    def _beat(self, wrong: str) -> None:
        now = self._clock.now_ns()
        if self._last_ns is None:
            self._last_ns = now
        # A clock that was set back must not silence the log until it is there again.
        if not 0 <= now - self._last_ns < self._heartbeat_ns:
            counters = (("retries", self._retries), ("states", self.states))
            self._log.append([(self._source, Heartbeat(now, wrong, counters))])
            self._last_ns = now
