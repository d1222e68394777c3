"""The scan in real time, in a thread of its own, so that servers that wait on sockets do not delay it."""

import threading
import time
from typing import Protocol


class Scanner(Protocol):
    """What is scanned."""

    scan_s: float

    def scan(self) -> None: ...


class ScanThread:
    """Runs `scanner.scan()` each `scan_s` seconds on `time.perf_counter` deadlines.

    time_scale: seconds of the plant in a second of the wall; the scan is so much more often.
    overruns: deadlines that had passed when their scan should have begun; they are left out, not made up for.
    error: what ended the scan, None while it runs well. A PLC whose program failed stands still.
    """

    def __init__(self, scanner: Scanner, time_scale: float = 1.0) -> None:
        self._scanner = scanner
        self._period = scanner.scan_s / time_scale
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scan", daemon=True)
        self.overruns = 0
        self.error: Exception | None = None

    def start(self) -> None:
        """Begin with a first scan at once."""
        self._thread.start()

    def stop(self) -> None:
        """End after the scan that runs now; raises what had ended the scan before."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self.error is not None:
            raise self.error

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        period = self._period
        deadline = time.perf_counter()
        while not self._stopping.is_set():
            try:
                self._scanner.scan()
            except Exception as error:  # noqa: BLE001  # handed to whoever stops the thread
                self.error = error
                return
            deadline += period
            late = time.perf_counter() - deadline
            if late >= 0.0:
                missed = int(late / period) + 1
                self.overruns += missed
                deadline += missed * period
            self._stopping.wait(deadline - time.perf_counter())
