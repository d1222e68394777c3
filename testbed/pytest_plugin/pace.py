"""How plant time passes for a test: scan by scan in this process, or by itself behind a wire."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from testbed.core.clock import Clock, SystemClock, VirtualClock

_LEAST_PAUSE_S = 0.002


class Pace(Protocol):
    """Time of a bench."""

    @property
    def virtual(self) -> bool:
        """Whether time stands while nobody waits for it."""
        ...

    @property
    def clock(self) -> Clock:
        """The clock that the bench runs by."""
        ...

    def plant_s(self) -> float:
        """Plant time by the clock alone, s since some moment. For a PLC that counts no scans, or is away."""
        ...

    async def pause(self) -> None:
        """Until the next scan may be there."""
        ...

    async def let_pass(self, seconds: float) -> None:
        """Until so many seconds of plant time are over by the clock alone."""
        ...

    async def sleep(self, seconds: float) -> None:
        """As `let_pass`, for what runs beside: it makes no time pass."""
        ...


class VirtualPace:
    """Each pause is one scan. scan: runs it; scan_s: its period in plant time, s."""

    virtual = True

    def __init__(self, scan: Callable[[], None], scan_s: float, start_ns: int) -> None:
        self._scan = scan
        self._step_ns = round(scan_s * 1e9)
        self._clock = VirtualClock(start_ns)
        self._sleepers: list[tuple[int, asyncio.Event]] = []

    @property
    def clock(self) -> Clock:
        return self._clock

    def plant_s(self) -> float:
        return self._clock.monotonic_ns() / 1e9

    async def pause(self) -> None:
        self._scan()
        self._clock.advance(self._step_ns)
        now_ns = self._clock.monotonic_ns()
        for until_ns, awake in tuple(self._sleepers):
            if until_ns <= now_ns:
                awake.set()
        await asyncio.sleep(0)  # so that whoever waits can be interrupted

    async def let_pass(self, seconds: float) -> None:
        until_ns = self._clock.monotonic_ns() + round(seconds * 1e9)
        while self._clock.monotonic_ns() < until_ns:
            await self.pause()

    async def sleep(self, seconds: float) -> None:
        sleeper = (self._clock.monotonic_ns() + round(seconds * 1e9), asyncio.Event())
        self._sleepers.append(sleeper)
        try:
            await sleeper[1].wait()
        finally:
            self._sleepers.remove(sleeper)


class WallPace:
    """Time passes by itself, `scale` times as fast as on the wall. scan_s: period in plant time, s; it looks twice."""

    virtual = False

    def __init__(self, scan_s: float, scale: float) -> None:
        self._pause_s = max(scan_s / scale / 2, _LEAST_PAUSE_S)
        self._scale = scale
        self._clock = SystemClock()

    @property
    def clock(self) -> Clock:
        return self._clock

    def plant_s(self) -> float:
        return time.monotonic() * self._scale

    async def pause(self) -> None:
        await asyncio.sleep(self._pause_s)

    async def let_pass(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._scale)

    async def sleep(self, seconds: float) -> None:
        await self.let_pass(seconds)
