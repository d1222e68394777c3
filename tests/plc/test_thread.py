"""The scan in real time."""

import threading
import time

import pytest

from testbed.core.tags import Value
from testbed.plc.emulator import Emulator
from testbed.plc.thread import ScanThread
from testbed.rig.bench import load_bench


class Counting:
    """Scans until `last`, then says so."""

    def __init__(self, last: int, scan_s: float = 0.001) -> None:
        self.scan_s = scan_s
        self.count = 0
        self.done = threading.Event()
        self._last = last

    def scan(self) -> None:
        self.count += 1
        if self.count == self._last:
            self.done.set()


def test_the_thread_scans_until_it_is_stopped() -> None:
    scanner = Counting(20)
    thread = ScanThread(scanner)
    thread.start()
    assert scanner.done.wait(5)
    thread.stop()
    assert scanner.count >= 20
    assert not thread.running


def test_a_scan_that_takes_too_long_is_counted_and_not_made_up_for() -> None:
    released = threading.Event()

    class Slow(Counting):
        def scan(self) -> None:
            super().scan()
            if self.count == 1:
                released.wait(0.2)

    scanner = Slow(2, 0.05)
    thread = ScanThread(scanner)
    began = time.perf_counter()
    thread.start()
    assert scanner.done.wait(5)
    thread.stop()
    assert thread.overruns >= 3
    assert scanner.count + thread.overruns <= (time.perf_counter() - began) / 0.05 + 2


def test_a_program_that_fails_stands_still_and_says_why() -> None:
    class Broken(Counting):
        def scan(self) -> None:
            super().scan()
            raise ZeroDivisionError

    scanner = Broken(1)
    thread = ScanThread(scanner)
    thread.start()
    assert scanner.done.wait(5)
    with pytest.raises(ZeroDivisionError):
        thread.stop()
    assert scanner.count == 1


def test_readers_never_see_two_scans_at_once() -> None:
    emulator = Emulator(load_bench(None).tags, seed=3, scan_s=0.001)
    truth: dict[Value, dict[str, Value]] = {}

    class Recording:
        scan_s = 0.001

        def scan(self) -> None:
            emulator.scan()
            snapshot = emulator.image.snapshot()
            truth[snapshot["plc.scan"]] = dict(snapshot)

    thread = ScanThread(Recording())
    seen: list[dict[str, Value]] = []
    thread.start()
    while len(seen) < 2000 or len(truth) < 20:
        seen.append(dict(emulator.image.snapshot()))
        if len(seen) % 50 == 0:
            emulator.image.write("control.level_setpoint", 1.0 + len(seen) % 7 / 10)
    thread.stop()
    of_scans = [snapshot for snapshot in seen if snapshot["plc.scan"] != 0]
    assert all(snapshot == truth[snapshot["plc.scan"]] for snapshot in of_scans)
    assert len({snapshot["plc.scan"] for snapshot in of_scans}) > 1
