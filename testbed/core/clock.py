"""Time is handed in, so that a bench can run on a virtual clock and give the same bytes twice."""

import time
from typing import Protocol


class Clock(Protocol):
    """Where a role reads the time."""

    def now_ns(self) -> int:
        """UTC, nanoseconds since 1970-01-01. It may be set, forwards or back."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds since some moment of the past; nobody sets it, so it tells how long something took."""
        ...


class SystemClock:
    """The operating system's clock."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


class VirtualClock:
    """A clock that moves only when it is told to."""

    def __init__(self, start_ns: int) -> None:
        self._now_ns = start_ns
        self._passed_ns = 0

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic_ns(self) -> int:
        return self._passed_ns

    def advance(self, step_ns: int) -> None:
        """Move forward by `step_ns`, ns; raises ValueError when asked to go back."""
        if step_ns < 0:
            raise ValueError(f"a clock does not go back: {step_ns} ns")
        self._now_ns += step_ns
        self._passed_ns += step_ns

    def set(self, now_ns: int) -> None:
        """Set the time of day, forwards or back, as an administrator does; no time passes by it."""
        self._now_ns = now_ns
