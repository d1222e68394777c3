"""What every role is: started once, stepped again and again, and stopped. `step` never waits for another role."""

from typing import Protocol, runtime_checkable

from testbed.core.clock import Clock
from testbed.tlog.sequencer import Log

Facts = dict[str, int | str]
"""What a role says of itself: counts and addresses, for `testbed status` and the live table."""


class Role(Protocol):
    """One role. period_s: how often it wants to be stepped, s."""

    period_s: float

    async def start(self) -> None: ...
    async def step(self) -> None: ...
    async def stop(self) -> None: ...
    def facts(self) -> Facts: ...


@runtime_checkable
class Obeys(Protocol):
    """A role that takes orders from the process that started it: a line each, answered by a line."""

    def obey(self, line: bytes) -> bytes: ...


class Publishing:
    """Publishes a log at most every `period_ns`, and once more at the end."""

    def __init__(self, log: Log, clock: Clock, period_ns: int) -> None:
        self._log = log
        self._clock = clock
        self._period_ns = period_ns
        self._last_ns = 0

    def step(self) -> None:
        now = self._clock.now_ns()
        # Over as well when the clock was set back: else nothing came out until it is there again.
        if not 0 <= now - self._last_ns < self._period_ns:
            self._log.publish()
            self._last_ns = now
