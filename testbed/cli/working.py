"""Who helps with a long check, and how a person sees how far it is: a bar on a terminal, else a line now and then."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from testbed.verify.crew import Crew, processors
from testbed.verify.work import Told, Work

_EVERY_S = 5.0
"""Between one line and the next."""


@contextmanager
def working(jobs: int | None) -> Iterator[Work]:
    """jobs: processes that check large logs side by side, None for as many as there are processors."""
    with Crew(processors() if jobs is None else jobs) as crew, shown() as told:
        yield Work(crew, told)


@contextmanager
def shown() -> Iterator[Told]:
    """Whom to tell how far something is, so that a person who waits for it sees it."""
    # On standard error: what is found goes to standard output, and may be read by a program.
    if not sys.stderr.isatty():
        yield Lines().tell
        return
    # Most checks are over before it would be imported.
    from rich.console import Console
    from rich.progress import Progress, TaskID

    with Progress(console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def tell(what: str, done: int, parts: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=parts)
            bar.update(tasks[what], completed=done, visible=done < parts)

        yield tell


class Lines:
    """Says how far a check is in lines of text, the first one when it has taken long."""

    def __init__(self, every_s: float = _EVERY_S) -> None:
        self._every_s = every_s
        self._next = time.monotonic() + every_s

    def tell(self, what: str, done: int, parts: int) -> None:
        """Print, if it is time for it."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._every_s
            print(f"{what}: {done} of {parts} parts", file=sys.stderr, flush=True)
