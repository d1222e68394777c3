"""Polls a second of a driver, without and with the durable log, taking turns with a bare client that does the same.

All are connected once and stay so. A round is a short while of each: what else the machine does hits all alike, and of
many rounds the median counts. *Log off*: poll and decode. *Log*: the gateway as a bench runs it, every poll a state in
SQLite, synced and signed in commits at least so far apart and one more at the end of each round, tiles published once a
second. The server is in another process; client, gateway and log share this one.
"""

import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from testbed.acquire.gateway import Gateway
from testbed.core.clock import SystemClock
from testbed.core.entropy import SystemEntropy
from testbed.core.identity import Identity
from testbed.fieldbus.controller import Controller
from testbed.fieldbus.poll import Poll
from testbed.fieldbus.registers import decoder_of
from testbed.keys.ed25519 import SigningKey
from testbed.rig.roles.role import Publishing
from testbed.store.sqlite import LogStore
from testbed.tlog.publisher import Publisher
from testbed.tlog.sequencer import Log
from tests.bench.measure import Compared, of

ROUNDS = 21
OFF_S = 0.1
LOG_S = 0.25
COMMIT_NS = 50_000_000
SECOND_NS = 10**9
OFF_TARGET, LOG_TARGET = 0.85, 0.5
HEADING = (
    "bare client",
    "log off",
    f"/ bare, at least {OFF_TARGET}",
    "log, 50 ms",
    f"/ bare, at least {LOG_TARGET}",
    "processor: log off / bare",
    "log / bare",
)

Read = Callable[[], Awaitable[Sequence[object]]]
"""One poll, decoded."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Polls a second, and polls a second of this process's processor time."""

    wall: float
    processor: float


@dataclass(frozen=True, slots=True)
class Found:
    """One way against the bare client."""

    wall: Compared
    processor: Compared


class Counting:
    """A controller whose every poll counts as a scan of its own, for servers that stand still.

    Who is behind it was asked before the measurement; it is not asked again.
    """

    def __init__(self, inner: Controller) -> None:
        self._inner = inner
        self.polls = 0

    @property
    def repeats(self) -> int:
        return self._inner.repeats

    async def connect(self) -> None:
        await self._inner.connect()

    async def identify(self) -> Identity:
        return Identity()

    async def poll(self) -> Poll:
        poll = await self._inner.poll()
        self.polls += 1
        return replace(poll, scan=self.polls)

    async def close(self) -> None:
        await self._inner.close()


class Logged:
    """The gateway with its log, published once a second as its role does it."""

    def __init__(self, controller: Controller, store: LogStore, folder: Path, commit_ns: int) -> None:
        key = SigningKey.from_seed("bench.example/gateway", bytes(32))
        log = Log(key, store, Publisher(folder / "tlog"), SystemEntropy())
        clock = SystemClock()
        self._reader = Counting(controller)
        self._publishing = Publishing(log, clock, SECOND_NS)
        self._gateway = Gateway("cell", self._reader, log, clock, SECOND_NS, commit_ns=commit_ns)

    async def step(self) -> Sequence[object]:
        """One poll."""
        await self._gateway.step()
        self._publishing.step()
        return ()

    def commit(self) -> None:
        """All that was polled; raises RuntimeError where a poll is not in the log."""
        self._gateway.commit()
        if self._gateway.states != self._reader.polls:
            raise RuntimeError(f"{self._gateway.states} states were logged in {self._reader.polls} polls")


@contextmanager
def logged(controller: Controller, commit_ns: int) -> Iterator[Logged]:
    """With a log in a folder of its own."""
    with tempfile.TemporaryDirectory() as name, LogStore.create(Path(name) / "log.sqlite") as store:
        yield Logged(controller, store, Path(name), commit_ns)


async def against(bare: Read, controller: Controller, commit_ns: int = COMMIT_NS) -> tuple[Found, Found]:
    """Log off and log against the bare client. The controller is connected here, and closed."""
    decode = decoder_of(controller.tags)

    async def log_off() -> Sequence[object]:
        return decode((await controller.poll()).values)

    with logged(controller, commit_ns) as log:
        await log.step()
        if (values := list(await bare())) != list(await log_off()) or len(values) != len(controller.tags):
            raise RuntimeError("the bare client and ours do not read the same")
        taken = [
            (await rate(bare), await rate(log_off), await rate(log.step, LOG_S, log.commit)) for _ in range(ROUNDS + 1)
        ][1:]
    await controller.close()
    peer, off, on = zip(*taken, strict=True)
    return _found(peer, off), _found(peer, on)


async def rate(read: Read, lasts: float = OFF_S, after: Callable[[], object] = int) -> Rate:
    """Of `lasts` seconds of polls, and of what is to be done after them."""
    polls, started, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - started < lasts:
        await read()
        polls += 1
    after()
    return Rate(polls / (time.perf_counter() - started), polls / (time.process_time() - used))


def cells(found: tuple[Found, Found], many: int) -> tuple[str, ...]:
    """As HEADING has them; many: registers or tags in a poll."""
    off, on = found
    return (
        f"{off.wall.peer * many:,.0f}/s",
        f"{off.wall.ours * many:,.0f}/s",
        off.wall.cells()[2],
        f"{on.wall.ours * many:,.0f}/s",
        on.wall.cells()[2],
        off.processor.cells()[2],
        on.processor.cells()[2],
    )


def _found(peer: Sequence[Rate], ours: Sequence[Rate]) -> Found:
    return Found(
        of([one.wall for one in peer], [one.wall for one in ours]),
        of([one.processor for one in peer], [one.processor for one in ours]),
    )
