"""One thing that a person may set, and which commands may still explain what it shows."""

from dataclasses import dataclass, field

from testbed.core.tags import Tag

_FALSE = b"\x00"

_SETTLED = 3
"""States after which a confirmed command shows: one that was polled before its outcome was known, one of the scan in
which the PLC took it, one behind."""


@dataclass(slots=True)
class Setting:
    """A tag that only commands may change; its raw bytes are those of the gateway's protocol.

    raw: as the last state showed it, None where it is not known; first: as the PLC has it when it starts, None while
    that is not known; explained: changes that a command explains; settling: (states to come, number of a command) until
    that command and those before it can bring about nothing more.

    Commands come one after another, so what the setting shows is what some command of the row said, and never goes back
    in the row. Of two commands of the same value the earlier one is taken: the later may be on its way still.
    """

    tag: Tag
    momentary: bool
    raw: bytes | None = None
    first: bytes | None = None
    explained: int = 0
    settling: list[list[int]] = field(default_factory=list)
    _waiting: list[tuple[int, bytes]] = field(default_factory=list)
    _last: tuple[int, bytes] | None = None

    def intend(self, number: int, raw: bytes) -> None:
        """A command, by its number in the operator's log, may be sent from now on."""
        self._last = (number, raw)
        self._waiting.append(self._last)

    def refuse(self, raw: bytes) -> None:
        """The PLC did not take the newest command."""
        if self._last is not None and self._last[1] == raw:
            self._waiting = [one for one in self._waiting if one != self._last]

    def confirm(self, raw: bytes) -> None:
        """The PLC took the newest command: soon it has brought about what it can."""
        if self._last is not None and self._last[1] == raw:
            self.settling.append([_SETTLED, self._last[0]])

    def forget(self) -> None:
        """What it shows is not known; commands may have been used up meanwhile or not."""
        self.raw = None

    def take(self, raw: bytes, *, restarted: bool) -> bool:
        """A state shows `raw`. Whether that has a reason: no change, a command, or a start of the PLC."""
        before, self.raw = self.raw, raw
        fine = raw == before or self._explains(before, raw, restarted=restarted)
        self._settle()
        return fine

    def _explains(self, before: bytes | None, raw: bytes, *, restarted: bool) -> bool:
        if before is None:
            if self.first is None and self._last is None:
                self.first = raw  # nobody has set it yet
            return True
        for place, (_, commanded) in enumerate(self._waiting):
            if commanded == raw:
                del self._waiting[: place + 1]
                self.explained += 1
                return True
        if self.momentary and raw == _FALSE:
            return True
        if restarted and self.first is None:
            self.first = raw
        return restarted and raw == self.first

    def _settle(self) -> None:
        """One more state was seen."""
        for one in self.settling:
            one[0] -= 1
        while self.settling and self.settling[0][0] <= 0:
            _, number = self.settling.pop(0)
            self._waiting = [one for one in self._waiting if one[0] > number]
