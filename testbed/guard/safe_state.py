"""The safe state of a machine: written in order, then read back until it is there or its time is over."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from testbed.core.clock import Clock
from testbed.core.errors import DeviceError, DeviceRefused, InvalidData, UsageError
from testbed.core.tags import Tag, Value
from testbed.fieldbus.controller import Controller
from testbed.fieldbus.poll import Poll
from testbed.fieldbus.registers import decode
from testbed.fieldbus.source import held

LOOK_S = 5.0
"""How long a setting may take to be read back, s."""
_AGAIN_NS = 1_000_000_000
"""How long until a setting that is read otherwise is sent again."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One write of the safe state."""

    tag: str
    value: Value


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must be read: low <= value <= high, in the tag's unit, within_s seconds after the last write."""

    tag: str
    low: float
    high: float
    within_s: float


@dataclass(frozen=True, slots=True)
class SafeState:
    """settings: written in this order, and read back as well but for `momentary` tags, which the PLC takes back."""

    settings: tuple[Setting, ...] = ()
    verify: tuple[Expectation, ...] = ()
    momentary: frozenset[str] = frozenset()


class Outcome(Enum):
    """REACHED: all was read as it must be. NOT_REACHED: something else was read. UNKNOWN: it could not be read."""

    REACHED = "reached"
    NOT_REACHED = "not reached"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Look:
    """One thing that must be so. value: as last read after the writes, None where it never was."""

    tag: str
    low: float
    high: float
    value: Value | None

    @property
    def holds(self) -> bool:
        return self.value is not None and self.low <= self.value <= self.high

    def __str__(self) -> str:
        value = "not read" if self.value is None else f"{self.value:g}"
        wanted = f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"
        return f"{self.tag}: {value}, must be {wanted}"


@dataclass(frozen=True, slots=True)
class Reached:
    """What came of it. seen: every look; faults: what went wrong on the way, in words; took_s: s."""

    outcome: Outcome
    seen: tuple[Look, ...]
    faults: tuple[str, ...]
    took_s: float

    @property
    def reached(self) -> bool:
        return self.outcome is Outcome.REACHED

    @property
    def why(self) -> str:
        """In words: what is not as it must be, and what went wrong."""
        wrong = [str(look) for look in self.seen if not look.holds]
        return "; ".join([*wrong, *self.faults]) or "all was read as it must be"


async def reach_safe_state(
    controller: Controller, safe: SafeState, clock: Clock, pause: Callable[[], Awaitable[None]]
) -> Reached:
    """Bring the machine into its safe state, and see that it is there.

    controller: the machine itself, not behind a policy: whatever a test may not do, this must be possible. It is
    connected anew here, and left connected. pause: waits between two looks, a scan or so.
    A write that fails does not keep the others from being sent; one that got no answer is sent again at each look, and
    one that is not read back each second.
    Never raises DeviceError: that is the outcome. Without a setting and an expectation nothing is known: UNKNOWN.
    """
    return await _Attempt(controller, safe, clock, pause).run()


class _Attempt:
    def __init__(
        self, controller: Controller, safe: SafeState, clock: Clock, pause: Callable[[], Awaitable[None]]
    ) -> None:
        self._controller = controller
        self._safe = safe
        self._clock = clock
        self._pause = pause
        self._tags: Mapping[str, Tag] = {tag.name: tag for tag in controller.tags}
        self._places = {tag.name: place for place, tag in enumerate(controller.tags)}
        self._unsent = list(safe.settings)
        self._sent_ns = 0
        self._values: dict[str, Value] = {}
        self._faults: list[str] = []
        self._connected = False  # a connection that a test was torn away from is begun anew

    async def run(self) -> Reached:
        began = since = self._clock.monotonic_ns()
        expected = _expected(self._safe, self._tags)
        while True:
            if self._unsent:
                await self._send()
                since = self._clock.monotonic_ns()
                self._values = {}  # what was read before the last write says nothing
            await self._look({one.tag for one in expected})
            looks = tuple(Look(one.tag, one.low, one.high, self._values.get(one.tag)) for one in expected)
            now = self._clock.monotonic_ns()
            passed_s, took_s = (now - since) / 1e9, (now - began) / 1e9
            if looks and all(look.holds for look in looks):
                return Reached(Outcome.REACHED, looks, tuple(self._faults), took_s)
            # Where writes never get through, `since` moves on with each try: then the whole time counts.
            waited_s = took_s if self._unsent else passed_s
            late = any(not look.holds and waited_s >= one.within_s for look, one in zip(looks, expected, strict=True))
            if late or not looks:
                unread = any(look.value is None for look in looks) or not looks
                outcome = Outcome.UNKNOWN if unread else Outcome.NOT_REACHED
                return Reached(outcome, looks, tuple(self._faults), took_s)
            await self._send_again(looks)
            await self._pause()

    async def _send_again(self, looks: Sequence[Look]) -> None:
        """A write may have been lost behind whoever took it. What is read otherwise is sent again each second."""
        wrong = {look.tag for look in looks if look.value is not None and not look.holds}
        lost = [one for one in self._safe.settings if one.tag in wrong and one.tag not in self._safe.momentary]
        if lost and not self._unsent and self._clock.monotonic_ns() - self._sent_ns >= _AGAIN_NS:
            await self._write(lost)

    async def _send(self) -> None:
        """Send what was not sent yet, in order; what got no answer stays."""
        unsent, self._unsent = self._unsent, []
        await self._write(unsent)

    async def _write(self, settings: Sequence[Setting]) -> None:
        self._sent_ns = self._clock.monotonic_ns()
        for setting in settings:
            try:
                if not await self._connect():
                    self._unsent.append(setting)
                    continue
                await self._controller.write(self._tag(setting.tag), setting.value)
            except (DeviceRefused, UsageError, InvalidData) as error:
                self._fault(f"{setting.tag} = {setting.value}: {_problem(error)}")
            except DeviceError as error:
                self._connected = False
                self._fault(f"{setting.tag} = {setting.value}: {error.problem}")
                self._unsent.append(setting)

    async def _look(self, wanted: Collection[str]) -> None:
        try:
            if not await self._connect():
                return
            poll = await self._controller.poll()
        except DeviceError as error:
            self._connected = False
            self._values = {}
            self._fault(error.problem)
            return
        self._take(poll, wanted)

    def _take(self, poll: Poll, wanted: Collection[str]) -> None:
        for name in wanted:
            place = self._places.get(name)
            if place is None:
                continue
            try:
                self._values[name] = decode(self._tags[name], poll.values[place])
            except InvalidData:
                if poll.statuses[place] & 0x8000_0000:
                    self._values.pop(name, None)  # bad; what is only not due keeps its value

    async def _connect(self) -> bool:
        if not self._connected:
            try:
                await self._controller.connect()
            except DeviceError as error:
                self._fault(error.problem)
                return False
            self._connected = True
        return True

    def _tag(self, name: str) -> Tag:
        if name not in self._tags:
            raise UsageError(f"there is no tag {name!r}", "correct [safety] in the bench file")
        return self._tags[name]

    def _fault(self, what: str) -> None:
        if what not in self._faults:
            self._faults.append(what)


def _expected(safe: SafeState, tags: Mapping[str, Tag]) -> Sequence[Expectation]:
    """What must be read: each setting as the tag holds it, the last one where a tag is set twice, then `verify`."""
    set_last = {one.tag: one.value for one in safe.settings if one.tag not in safe.momentary}
    settings = []
    for name, value in set_last.items():
        try:
            wanted = held(tags[name], value) if name in tags else value
        except UsageError:
            wanted = value
        slack = abs(tags[name].scale) / 2 if name in tags and tags[name].scaled else 0.0
        settings.append(Expectation(name, wanted - slack, wanted + slack, LOOK_S))
    return (*settings, *safe.verify)


def _problem(error: Exception) -> str:
    return getattr(error, "problem", str(error))
