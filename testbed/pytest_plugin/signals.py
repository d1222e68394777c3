"""SIGINT and SIGTERM end a run in order: the safe state is reached first, and no second signal keeps it from that."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

_SHELL = 128
"""Exit code of a process that a signal ended, less the signal's number, as shells say it."""


class Signals:
    """Handlers in the main thread; elsewhere they cannot be, and signals do what they did before.

    cause: why the run must end although no person wants it; set it, then `end_now`.
    """

    def __init__(self) -> None:
        self.cause = ""
        self._held = False
        self._ending = False
        """Was told to end. A second signal, amid pytest's handling of the first, would skip the safe state."""
        self._pending: int | None = None
        self._before: dict[int, object] = {}

    def install(self) -> None:
        """Take the signals over."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._handle)

    def restore(self) -> None:
        """Give them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal gave
        self._before = {}

    @contextmanager
    def held(self) -> Iterator[None]:
        """No signal interrupts the block; what came meanwhile takes effect behind it."""
        before, self._held = self._held, True
        try:
            yield
        finally:
            self._held = before
        if self._pending is not None and not before:
            number, self._pending = self._pending, None
            self._raise(number)

    def end_now(self, cause: str) -> None:
        """From another thread: the run ends with this cause, whatever the test is doing."""
        self.cause = self.cause or cause
        os.kill(os.getpid(), signal.SIGTERM)

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  # the system gives both
        if self._held:
            self._pending = number
        elif not self._ending:
            self._raise(number)

    def _raise(self, number: int) -> None:
        self._ending = True
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        pytest.exit(self.cause or "SIGTERM", returncode=pytest.ExitCode.INTERRUPTED if self.cause else _SHELL + number)
