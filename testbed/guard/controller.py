"""A controller that lets through only what the write policy allows."""

import asyncio
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress

from testbed.core.clock import Clock
from testbed.core.errors import DeviceRefused, InvalidData, NotAllowed, TornPoll, UsageError
from testbed.core.tags import Tag, Value
from testbed.fieldbus.controller import Around, Controller
from testbed.fieldbus.poll import Poll
from testbed.fieldbus.registers import decode, encode
from testbed.fieldbus.source import held
from testbed.guard.policy import WINDOW_NS, Denied, Noted, Policy, Purpose
from testbed.guard.safe_state import Setting
from testbed.guard.stop import GOOD_NO_DATA


class GuardedController(Around):
    """Any controller behind a policy: it reads as that one does, and writes what is allowed.

    purpose: what its writes are for; always: settings of the safe state, from which no policy keeps a machine. The time
    is counted from the clock's time of day at the start, so that nobody gains a faster rate by setting the clock. It
    keeps no log; whoever writes knows what was denied.
    """

    def __init__(
        self,
        inner: Controller,
        policy: Policy,
        clock: Clock,
        purpose: Purpose = Purpose.WRITE,
        always: Collection[Setting] = (),
    ) -> None:
        super().__init__(inner)
        self._always = tuple(_as_held(inner.tags, always))
        self._policy = policy
        self._clock = clock
        self._purpose = purpose
        self._epoch_ns = clock.now_ns() - clock.monotonic_ns()
        self._history: dict[str, list[Noted]] = {}
        self._unsure: set[str] = set()
        self._seen: dict[str, Value] = {}
        self._one_write = asyncio.Lock()

    async def poll(self) -> Poll:
        poll = await self._inner.poll()
        for tag, raw, status in zip(self._inner.tags, poll.values, poll.statuses, strict=True):
            if raw is None and status == GOOD_NO_DATA:
                continue  # not due: it holds what it held
            try:
                self._seen[tag.name] = decode(tag, raw)
            except InvalidData:
                self._seen.pop(tag.name, None)
        return poll

    async def write(self, tag: Tag, value: Value, purpose: Purpose | None = None) -> None:
        """As `Controller.write`. Raises NotAllowed with nothing sent.

        The tag goes by its name: what is sent goes where the controller has it, not where the caller's tag says.
        Where the policy limits how fast the tag may change, and what it holds is not known, it is read first.
        """
        async with self._one_write:
            meant = self._purpose if purpose is None else purpose
            own = next((own for own in self._inner.tags if own.name == tag.name), None)
            if own is None:
                raise NotAllowed(f"{tag.name}: there is no such tag to write to", "take one of the controller's tags")
            if any(wanted in self._always for wanted in _as_held((own,), (Setting(tag.name, value),))):
                self._unsure.add(tag.name)  # what it holds is not what was noted
                self._seen.pop(tag.name, None)
                await self._inner.write(own, value)
                return
            await self._know(own)
            verdict = self._policy.check(tag.name, value, self._now_ns(), self._history.get(tag.name, ()), meant)
            if isinstance(verdict, Denied):
                raise NotAllowed(verdict.reason, verdict.mend)
            note = Noted(tag.name, value, self._now_ns(), written=True)
            self._seen.pop(tag.name, None)  # until it is read again
            try:
                await self._inner.write(own, value)
            except (UsageError, DeviceRefused):
                raise  # it had no effect
            except BaseException:
                # Nobody knows whether the PLC took it: it counts, and what the tag holds must be read.
                self._note(note)
                self._unsure.add(tag.name)
                raise
            self._note(note)

    async def _know(self, tag: Tag) -> None:
        rule = self._policy.rule(tag.name)
        if rule is None or rule.change_per_s is None:
            return
        notes = self._history.get(tag.name, ())
        if notes and self._now_ns() - notes[-1].at_ns < WINDOW_NS and tag.name not in self._unsure:
            return
        try:
            await self.poll()
        except TornPoll:
            self._seen.pop(tag.name, None)
        if tag.name not in self._seen:
            # No DeviceError: the link is well, and the other tags must not be lost for it.
            raise NotAllowed(f"{tag.name}: it must be read before it is changed, and it cannot be", "try again")
        self._note(Noted(tag.name, self._seen[tag.name], self._now_ns(), written=False))
        self._unsure.discard(tag.name)

    def _note(self, note: Noted) -> None:
        """Keep it. Of what is older than the window only the last is of use: the next write moved on from there."""
        notes = self._history.setdefault(note.tag, [])
        notes.append(note)
        while len(notes) > 1 and note.at_ns - notes[1].at_ns >= WINDOW_NS:
            del notes[0]

    def _now_ns(self) -> int:
        return self._epoch_ns + self._clock.monotonic_ns()


def _as_held(tags: Iterable[Tag], settings: Iterable[Setting]) -> Iterator[tuple[str, bytes]]:
    """Settings as the PLC holds them: 0.1 comes back from a wire as what a float32 makes of it."""
    by_name = {tag.name: tag for tag in tags}
    for one in settings:
        with suppress(KeyError, UsageError, InvalidData):  # what cannot be written at all is refused elsewhere
            tag = by_name[one.tag]
            yield one.tag, encode(tag, held(tag, one.value))
