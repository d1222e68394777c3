"""The line to a PLC: one scan after another, as long as something is waited for. Everything here runs in one loop."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator

from testbed.core.errors import DeviceError, InvalidData, UsageError
from testbed.core.tags import DataType, Tag, Value
from testbed.fieldbus.controller import Controller
from testbed.fieldbus.poll import Poll
from testbed.fieldbus.registers import encode
from testbed.fieldbus.source import held
from testbed.pytest_plugin.pace import Pace
from testbed.pytest_plugin.sample import Sample, decoded

PATIENCE_S = 3.0
"""How long a wire may be without an answer before the bench is broken, s on the wall."""
STANDSTILL_S = 10.0
"""How long a PLC may be without a new scan, s on the wall."""
CONFIRM_S = 5.0
"""How long a written value may take to be read back, s of plant time and at least on the wall."""
_RETRY_S = 0.1
_KEPT = 20_000

Watcher = Callable[[Sample], None]
"""Is shown every new scan; what it raises ends what is waited for."""


class MustEnd(Exception):
    """An E-stop, an interlock or a lost lease ends the run at once; a watcher raises it."""


class Line:
    """Polls, writes and waits.

    scan_tag: name of the scan counter, None where the PLC has none; scan_s: its period, s of plant time; momentary:
    names of tags that the PLC takes back by itself.

    watchers: see every scan once, in order; asking: held by whoever uses the controller; retries: polls that were
    begun again after trouble on the wire.
    """

    def __init__(
        self, controller: Controller, pace: Pace, scan_tag: str | None, scan_s: float, momentary: tuple[str, ...] = ()
    ) -> None:
        self.controller = controller
        self.pace = pace
        self.tags = tuple(controller.tags)
        self.places = {tag.name: place for place, tag in enumerate(self.tags)}
        self.watchers: list[Watcher] = []
        self.recent: deque[Sample] = deque(maxlen=_KEPT)
        self.retries = 0
        self.connected = False
        self._scan_s = scan_s
        self._momentary = frozenset(momentary)
        counter = next((tag for tag in self.tags if tag.name == scan_tag), None)
        small = counter is not None and counter.type in (DataType.INT16, DataType.UINT16)
        self._mask = 0xFFFF if small else 0xFFFFFFFF
        self._clock_s = pace.plant_s()
        self.asking = asyncio.Lock()

    async def connect(self, patience_s: float = PATIENCE_S) -> None:
        """Open the line and see that the PLC answers. Raises DeviceError where it does not within `patience_s`, s."""
        deadline = time.monotonic() + patience_s
        async with self.asking:
            await self._reach(deadline)
            self.connected = True
            self._seen(await self._poll(deadline))

    async def disconnect(self) -> None:
        """Close the line; it stays closed until `connect`."""
        async with self.asking:
            self.connected = False
            await self.controller.close()

    def tag(self, name: str) -> Tag:
        """The tag of that name. Raises UsageError with those that there are."""
        __tracebackhide__ = True
        if name not in self.places:
            raise UsageError(f"there is no tag {name!r}", f"the tags are {', '.join(self.places)}")
        return self.tags[self.places[name]]

    @property
    def last(self) -> Sample | None:
        """The newest scan that was seen."""
        return self.recent[-1] if self.recent else None

    async def fresh(self) -> Sample:
        """What the PLC shows now."""
        async with self.asking:
            return self._seen(await self._poll())

    async def following(self, before: Sample) -> Sample:
        """The first scan that is seen after `before`. Raises DeviceError where none comes."""
        deadline = time.monotonic() + STANDSTILL_S
        while True:
            await self.pace.pause()
            sample = await self.fresh()
            if sample is not before:
                return sample
            if time.monotonic() > deadline:
                raise DeviceError(
                    f"the PLC stands still: its scan counter shows {before.poll.scan} for {STANDSTILL_S:g} s",
                    "start its program",
                )

    async def until(self, holds: Callable[[Sample], bool], limit_s: float, for_s: float = 0.0) -> Sample | None:
        """The scan in which `holds` has been true for `for_s`, s; None when that is not so within `limit_s`, s."""
        sample = await self.fresh()
        begun_s, since_s = sample.time_s, None
        while True:
            if not holds(sample):
                since_s = None
            elif since_s is None:
                since_s = sample.time_s
            if since_s is not None and sample.time_s - since_s >= for_s - 1e-9:
                return sample
            if sample.time_s - begun_s >= limit_s - 1e-9:
                return None
            sample = await self.following(sample)

    async def during(self, seconds: float) -> list[Sample]:
        """Every scan that is seen in the next `seconds` of plant time, this one included."""
        seen = [await self.fresh()]
        while seen[-1].time_s - seen[0].time_s < seconds - 1e-9:
            seen.append(await self.following(seen[-1]))
        return seen

    async def pass_scans(self, count: int) -> None:
        """Wait for so many scans more; nothing while the line is closed."""
        if self.connected:
            sample = await self.fresh()
            for _ in range(count):
                sample = await self.following(sample)

    async def let_pass(self, seconds: float) -> None:
        """Let plant time pass; by the clock while the line is closed."""
        if self.connected:
            await self.during(seconds)
        else:
            await self.pace.let_pass(seconds)

    async def write(self, name: str, value: Value) -> None:
        """Write, and wait until the PLC shows it. Raises DeviceError where it does not.

        A tag that the PLC takes back by itself is given two scans.
        """
        tag = self.tag(name)
        wanted = _held(tag, value)
        before = await self.fresh()
        async with self.asking:
            await self.controller.write(tag, value)
        if name in self._momentary:
            await self.pass_scans(2)
            return
        place, deadline, begun_s = self.places[name], time.monotonic() + CONFIRM_S, before.time_s
        sample = before
        while True:
            sample = await self.following(sample)
            if sample.poll.values[place] == wanted:
                return
            if sample.time_s - begun_s > CONFIRM_S and (self.pace.virtual or time.monotonic() > deadline):
                raise DeviceError(
                    f"{name}: {value!r} was written, and {CONFIRM_S:g} s later it shows {sample.values[place]!r}",
                    "look for who else writes it, or for an interlock that holds it",
                )

    def since(self, time_s: float) -> Iterator[Sample]:
        """The scans that were seen from that plant time on; of very long times the newest."""
        return (sample for sample in self.recent if sample.time_s >= time_s)

    def _seen(self, poll: Poll) -> Sample:
        last = self.last
        now_s = self.pace.plant_s()
        if last is None:
            time_s = 0.0
        elif poll.scan is None or last.poll.scan is None or poll.boot != last.poll.boot:
            time_s = last.time_s + (now_s - self._clock_s)
        elif poll.scan == last.poll.scan:
            return last
        else:
            scans = (poll.scan - last.poll.scan) & self._mask
            if scans > self._mask // 2:
                raise DeviceError(
                    f"the scan counter went back from {last.poll.scan} to {poll.scan}",
                    "name a counter that only goes forward, and a restart counter, in the bench file",
                )
            time_s = last.time_s + scans * self._scan_s
        values = decoded(self.tags, poll, None if last is None else last.values)
        sample = Sample(poll, values, time_s, self.pace.clock.now_ns())
        self._clock_s = now_s
        self.recent.append(sample)
        for watcher in tuple(self.watchers):
            watcher(sample)
        return sample

    async def _poll(self, deadline: float | None = None) -> Poll:
        """Ask; trouble on the wire is mended within PATIENCE_S, or raised."""
        deadline = time.monotonic() + PATIENCE_S if deadline is None else deadline
        while True:
            try:
                return await self.controller.poll()
            except DeviceError:
                if not self.connected or self.pace.virtual or time.monotonic() > deadline:
                    raise
                self.retries += 1
            await self.pace.pause()
            await self._reach(deadline)

    async def _reach(self, deadline: float) -> None:
        while True:
            try:
                await self.controller.connect()
                return
            except DeviceError:
                if self.pace.virtual or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(_RETRY_S)


def _held(tag: Tag, value: Value) -> bytes:
    try:
        return encode(tag, held(tag, value))
    except InvalidData as error:
        raise UsageError(str(error), "write a value of the tag's type") from None
