"""Those who lie in their own name: every hash and signature is right, and what they sign is not what was.

The evil twin runs another model under the approved one's name. A lying reader changes what its PLC said, leaves a scan
out, or plays an old one again; where the PLC signs, it signs in its name, or logs no signature. They decide by the
PLC's scan counter alone, so the same run gives the same lies.
"""

from collections.abc import Callable, Container, Iterable, Sequence
from typing import Protocol

from testbed.attacks.frames import forger_of
from testbed.core.bodies import Body, State
from testbed.core.identity import Identity
from testbed.core.tags import Tag
from testbed.fieldbus import poll as fieldbus
from testbed.model.registry import Dynamics

Change = Callable[[bytes], bytes]
"""From raw bytes to raw bytes of the same length."""


class Poll(Protocol):
    """One reading of a PLC, as any client gives it."""

    @property
    def boot(self) -> int: ...
    @property
    def scan(self) -> int | None: ...
    @property
    def values(self) -> tuple[bytes | None, ...]: ...
    @property
    def statuses(self) -> tuple[int, ...]: ...
    @property
    def device_time_ns(self) -> int | None: ...
    @property
    def frame(self) -> bytes | None: ...
    @property
    def signature(self) -> bytes | None: ...


class Reader(Protocol):
    """A connection to a PLC."""

    @property
    def repeats(self) -> int: ...
    async def connect(self) -> None: ...
    async def identify(self) -> Identity: ...
    async def poll(self) -> Poll: ...
    async def close(self) -> None: ...


class Sink(Protocol):
    """Where a reader's records go."""

    def append(self, records: Iterable[tuple[str, Body]]) -> object: ...


class LyingDynamics:
    """A model that says a little more than it concludes: the last output is off by `by`, always."""

    def __init__(self, honest: Dynamics, by: float = 0.001) -> None:
        self._honest = honest
        self._by = by

    def initial(self, parameters: dict[str, float]) -> tuple[float, ...]:
        return self._honest.initial(parameters)

    def step(
        self, parameters: dict[str, float], state: tuple[float, ...], inputs: tuple[float | None, ...]
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        after, outputs = self._honest.step(parameters, state, inputs)
        return after, (*outputs[:-1], outputs[-1] + self._by)


class LyingReader:
    """A reader that passes on what `lie` makes of each poll."""

    def __init__(self, reader: Reader, lie: Callable[[Poll], Poll]) -> None:
        self._reader = reader
        self._lie = lie

    @property
    def repeats(self) -> int:
        return self._reader.repeats

    async def connect(self) -> None:
        await self._reader.connect()

    async def identify(self) -> Identity:
        return await self._reader.identify()

    async def poll(self) -> Poll:
        return self._lie(await self._reader.poll())

    async def close(self) -> None:
        await self._reader.close()


class Changed:
    """A lie: the value at `place` in the tag list is changed in these scans."""

    def __init__(self, place: int, change: Change, scans: Container[int]) -> None:
        self._place = place
        self._change = change
        self._scans = scans

    def __call__(self, poll: Poll) -> Poll:
        raw = poll.values[self._place]
        if poll.scan not in self._scans or raw is None:
            return poll
        values = (*poll.values[: self._place], self._change(raw), *poll.values[self._place + 1 :])
        return _with(poll, values, poll.frame, poll.signature)


class Replayed:
    """A lie: in these scans it is said what was so `back` scans before.

    kept: places in the tag list whose values stay those of the present, as those of the counters; None: everything is
    the old scan's, its counter included. Scans that come before there is an old one are told as they are.
    """

    def __init__(self, back: int, scans: Container[int], kept: Container[int] | None) -> None:
        self._back = back
        self._scans = scans
        self._kept = kept
        self._past: dict[int, Poll] = {}

    def __call__(self, poll: Poll) -> Poll:
        if poll.scan is None:
            return poll
        self._past[poll.scan] = poll
        self._past.pop(poll.scan - self._back - 1, None)
        old = self._past.get(poll.scan - self._back)
        if poll.scan not in self._scans or old is None:
            return poll
        kept = self._kept
        if kept is None:
            return old
        pairs = enumerate(zip(poll.values, old.values, strict=True))
        values = tuple(now if place in kept else then for place, (now, then) in pairs)
        return _with(poll, values, poll.frame, poll.signature)


class Forged:
    """A lie: as another one, in a frame that is signed by a key of the liar's own; nobody else has the device's.

    tags: by which the values were read.
    """

    def __init__(self, lie: Callable[[Poll], Poll], tags: Sequence[Tag]) -> None:
        self._lie = lie
        self._forge = forger_of(tags)

    def __call__(self, poll: Poll) -> Poll:
        told = self._lie(poll)
        if told is poll:
            return poll
        forged = self._forge(State(told.boot, told.scan, None, 0, told.values, told.statuses, told.frame))
        return told if forged is None else _with(told, told.values, *forged)


class Stripped:
    """A lie: in these scans there was no signed frame."""

    def __init__(self, scans: Container[int]) -> None:
        self._scans = scans

    def __call__(self, poll: Poll) -> Poll:
        return _with(poll, poll.values, None, None) if poll.scan in self._scans else poll


class OmittingSink:
    """Where the records of a reader go that leaves scans out: they were read, and are not logged.

    It stands behind the reader's counting, so the reader's own word does not own up to them.
    """

    def __init__(self, log: Sink, scans: Container[int]) -> None:
        self._log = log
        self._scans = scans

    def append(self, records: Iterable[tuple[str, Body]]) -> object:
        told = [(source, body) for source, body in records if not self._omits(body)]
        return self._log.append(told) if told else None

    def _omits(self, body: Body) -> bool:
        return isinstance(body, State) and body.scan in self._scans


def _with(poll: Poll, values: tuple[bytes | None, ...], frame: bytes | None, signature: bytes | None) -> Poll:
    return fieldbus.Poll(poll.boot, poll.scan, values, poll.statuses, poll.device_time_ns, frame, signature)
