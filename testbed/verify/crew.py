"""Processes that do part of a check: each takes one job at a time, and the results come in the order of the jobs.

A helper is a fresh interpreter at the other end of a socket, whatever started this one. It ends, amid a job as well,
when its standard input does, so nothing stays behind when this process is interrupted or killed.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, NoReturn, TypeVar

from testbed.core.errors import StoreError

Argument = TypeVar("Argument")
Result = TypeVar("Result")

_PROGRAM = "from testbed.verify.crew import help_out; help_out()"


def processors() -> int:
    """How many of them this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Crew:
    """Up to `count` helpers, started when there is work for them. With fewer than two, this process does it all."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._helpers: dict[Connection, subprocess.Popen[bytes]] = {}

    @property
    def pids(self) -> list[int]:
        """Of the helpers that were started."""
        return [process.pid for process in self._helpers.values()]

    def each(self, work: Callable[[Argument], Result], arguments: Iterable[Argument]) -> Iterator[Result]:
        """The results in the order of the arguments; raises the StoreError of the first that failed.

        work: a function of a module, which helpers import; it may be called again where a helper died over it.
        """
        jobs = list(enumerate(arguments))[::-1]
        if self.count < 2 or len(jobs) < 2:
            yield from (work(argument) for _, argument in reversed(jobs))
            return
        self._start(min(self.count, len(jobs)))
        busy: dict[Connection, tuple[int, Argument]] = {}
        done: dict[int, Callable[[], Result]] = {}
        try:
            for number in range(len(jobs)):
                while number not in done:
                    for idle in self._helpers.keys() - busy.keys():
                        if jobs:
                            busy[idle] = jobs.pop()
                            self._send(idle, (work, busy[idle][1]))
                    if not busy:
                        # No helper is left.
                        at, argument = jobs.pop()
                        done[at] = partial(work, argument)
                    for ready in [helper for helper in wait(list(busy)) if isinstance(helper, Connection)]:
                        at, argument = busy.pop(ready)
                        done[at] = self._receive(ready, work, argument)
                yield done.pop(number)()
        finally:
            # Where nobody wants the rest, it must not be taken for an answer to the next job.
            for helper in busy:
                self._dismiss(helper)

    def close(self) -> None:
        """End the helpers, whatever they are at."""
        for helper in list(self._helpers):
            self._dismiss(helper)

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, count: int) -> None:
        while len(self._helpers) < count:
            ours, theirs = Pipe()
            with theirs:
                process = subprocess.Popen(
                    (sys.executable, "-P", "-c", _PROGRAM, str(theirs.fileno())),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                )
            self._helpers[ours] = process

    def _dismiss(self, helper: Connection) -> None:
        process = self._helpers.pop(helper)
        helper.close()
        process.kill()
        process.communicate()

    def _send(self, helper: Connection, job: object) -> None:
        # One that died is noticed when its answer is waited for.
        with contextlib.suppress(OSError):
            helper.send(job)

    def _receive(
        self, helper: Connection, work: Callable[[Argument], Result], argument: Argument
    ) -> Callable[[], Result]:
        """What gives the result when its turn comes."""
        try:
            fine, answer = helper.recv()
        except (EOFError, OSError):
            self._dismiss(helper)
            return partial(work, argument)
        return partial(_given, answer) if fine else partial(_raised, *answer)


def help_out() -> None:
    """A helper's life: jobs from the socket whose number is given, one after another, until it is closed."""
    # Whoever presses Ctrl-C means the process that waits for the answers; that one ends the helpers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_input, daemon=True).start()
    with Connection(int(sys.argv[1])) as jobs, contextlib.suppress(EOFError, OSError):
        while True:
            work, argument = jobs.recv()
            answer: tuple[bool, Any]
            try:
                answer = True, work(argument)
            except StoreError as error:
                answer = False, (error.problem, error.mend)
            jobs.send(answer)


def _given(answer: Result) -> Result:
    return answer


def _raised(problem: str, mend: str) -> NoReturn:
    raise StoreError(problem, mend)


def _end_with_input() -> None:
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)
