"""The runner's side of a PLC's watchdog: while it beats, the machine knows that somebody is there."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from testbed.core.errors import UsageError
from testbed.core.tags import Tag, Value

_BEATS = 2**16
LEAST_MS = 100
"""The shortest limit that can be asked for, ms: a third of it must be enough for one write."""


class Writer(Protocol):
    """Where beats go: a Controller, not behind a write policy. It must take writes beside other requests."""

    async def write(self, tag: Tag, value: Value) -> None: ...


class Watchdog:
    """Arms the watchdog of a PLC, beats it each third of its limit, and disarms it.

    beat: uint16 tag, any change of it is a beat; limit: tag of the limit, ms, 0 switches it off; limit_ms: the limit
    while armed, in plant time; pause: waits so many seconds of plant time.
    """

    def __init__(
        self, writer: Writer, beat: Tag, limit: Tag, limit_ms: int, pause: Callable[[float], Awaitable[None]]
    ) -> None:
        if not LEAST_MS <= limit_ms <= limit.high:
            mend = f"take {LEAST_MS} to {limit.high:g} ms"
            raise UsageError(f"a watchdog limit of {limit_ms} ms", mend)
        self._writer = writer
        self._beat = beat
        self._limit = limit
        self._limit_ms = limit_ms
        self._pause = pause
        self._count = 0
        self.armed = False

    async def arm(self) -> None:
        """Beat once and set the limit. From here on the machine stops by itself unless it is beaten. As `beat`."""
        await self.beat()
        await self._writer.write(self._limit, self._limit_ms)
        self.armed = True

    async def beat(self) -> None:
        """One beat. Raises DeviceError where the PLC did not take it: what comes next is a trip."""
        self._count = (self._count + 1) % _BEATS
        await self._writer.write(self._beat, self._count)

    async def run(self) -> None:
        """Arm, then beat until cancelled. It stays armed then: only `disarm` ends it, after the safe state.

        Raises DeviceError when a beat does not get through.
        """
        if not self.armed:
            await self.arm()
        while True:
            await self._pause(self._limit_ms / 3000)
            await self.beat()

    async def disarm(self) -> None:
        """Switch the watchdog off. Raises as `beat`."""
        await self._writer.write(self._limit, 0)
        self.armed = False
