"""Checks that whatever a person may set was set by a logged command: set-points, modes, manual outputs.

A command is on disk before it is sent, and the gateway keeps the operator's checkpoint before the state that it read
after looking. So a state that shows what a command did always stands behind a checkpoint that covers the command, and
neither clocks nor delays come into it.
"""

from bisect import bisect_right
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from testbed.core.bodies import CONFIRMED, INTENDED, REFUSED, Command, Peer, State
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData, UsageError
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.core.tags import Tag
from testbed.fieldbus.registers import decode, encode
from testbed.fieldbus.source import held
from testbed.record.commands import parse_command
from testbed.verify.log import CheckedLog
from testbed.verify.peers import KeptCheckpoints
from testbed.verify.settings import Setting
from testbed.verify.trust import TrustedCommands

_BAD = 0x8000_0000
"""The bit of a StatusCode that says Bad (OPC 10000-4, section 7.39.1)."""

_END = 253_402_300_800 * 10**9
"""The year 10000, ns since 1970: a false record may name any time, and no calendar goes on for ever."""


@dataclass(slots=True)
class CheckedCommands:
    """commands: those that the gateway knew of before some state; changes: that one of them explains."""

    commands: int = 0
    changes: int = 0
    findings: list[Finding] = field(default_factory=list)


def check_commands(
    gateway: CheckedLog,
    operator: CheckedLog,
    tags: Sequence[Tag],
    trusted: TrustedCommands,
    without: Container[int] = (),
) -> CheckedCommands:
    """Changes that no command explains, as one finding that names the first; and false checkpoints that are kept.

    without: indices of states that are false by the device's own word: what they show was never so.
    """
    watch = _Watch(operator, tags, trusted)
    kept = KeptCheckpoints(gateway, operator, Layer.GATEWAY)
    result = CheckedCommands()
    covered: list[tuple[int, int]] = []
    for record in gateway.of(Kind.PEER):
        index, body = record.index, record.body
        if isinstance(body, Peer) and body.origin == operator.origin:
            size, found = kept.take(index, body)
            result.findings += found
            if size is not None:
                covered.append((index, size))
    unexplained: list[tuple[int, str]] = []
    reading = _Reading(gateway, operator.size, watch, covered)
    for record in gateway.of(Kind.STATE):
        reading.go_to(record.index)
        body = record.body
        if isinstance(body, State) and len(body.values) == len(tags) and record.index not in without:
            unexplained += [(record.index, change) for change in watch.take(body)]
    reading.go_to(gateway.end - 1)
    result.commands, result.changes = watch.commands, sum(one.explained for one in watch.settings)
    # A log of commands that was made anew or cut back lacks what would have explained them.
    result.findings += kept.forked() + kept.rolled_back() or _finding(gateway, unexplained)
    return result


class _Reading:
    """Where the reading of a gateway's log stands: what it covers of the operator's before its next state.

    covered: (index, size) of the checkpoints that it keeps.
    """

    def __init__(self, gateway: CheckedLog, size: int, watch: "_Watch", covered: Sequence[tuple[int, int]]) -> None:
        self._gateway, self._size, self._watch, self._covered = gateway, size, watch, covered
        self._upcoming = 0
        self._expected = 0

    def go_to(self, index: int) -> None:
        """Learn what stands before the genuine record `index`."""
        for first, end in self._gateway.gaps(self._expected, index):
            self._learn_before(first - 1)
            # What stood between is not to be had, and is a finding of its own. It may have been a checkpoint, that
            # covered no more than the next one does.
            self._upcoming = bisect_right(self._covered, (end - 1, 0))
            more = self._upcoming < len(self._covered)
            self._watch.skip(self._covered[self._upcoming][1] if more else self._size)
        self._expected = index + 1
        self._learn_before(index)

    def _learn_before(self, index: int) -> None:
        while self._upcoming < len(self._covered) and self._covered[self._upcoming][0] < index:
            self._watch.learn(self._covered[self._upcoming][1])
            self._upcoming += 1


class _Watch:
    """The settings of a PLC, as states come in and checkpoints of the operator's log."""

    def __init__(self, operator: CheckedLog, tags: Sequence[Tag], trusted: TrustedCommands) -> None:
        self._operator = operator
        places = [(tag, place) for place, tag in enumerate(tags) if tag.name in trusted.tags]
        self.settings = [Setting(tag, tag.name in trusted.momentary) for tag, _ in places]
        self._by_name = {one.tag.name: one for one in self.settings}
        self._pick = _picker([place for _, place in places])
        self._shown: tuple[bytes | None, ...] | None = None
        self._boot: int | None = None
        self._known = 0  # records of the operator's log that were known before the next state
        self._unknown = 0  # those of them that are not to be had: each may have been a command
        self.commands = 0

    def skip(self, size: int) -> None:
        """States are not to be had here; the operator's log may have been known up to `size`."""
        self._shown = None
        for one in self.settings:
            one.forget()
        self.learn(size)

    def learn(self, size: int) -> None:
        """The operator's log is known up to `size`, which may be any number that its key signed."""
        reach = min(size, self._operator.size)
        for number in range(self._known, reach):
            kind = self._operator.kind(number)
            if kind is None:
                self._unknown += 1
            elif kind is Kind.COMMAND and isinstance(body := self._operator.genuine[number].body, Command):
                self._take_command(number, body)
        self._unknown += max(0, size - max(self._known, reach))
        self._known = max(self._known, size)

    def _take_command(self, number: int, body: Command) -> None:
        try:
            name, value = parse_command(body.what)
            one = self._by_name.get(name)
            if one is None:
                return
            raw = encode(one.tag, held(one.tag, value))
        except (InvalidData, UsageError):
            return  # it says nothing that could be done
        if body.outcome == INTENDED:
            one.intend(number, raw)
            self.commands += 1
        elif body.outcome.startswith(REFUSED):
            one.refuse(raw)
        elif body.outcome.startswith(CONFIRMED):
            one.confirm(raw)
        self._shown = None  # the next state is looked at, whatever it shows

    def take(self, state: State) -> list[str]:
        """What has changed in this state without a reason, in words."""
        values = state.values
        if any(state.statuses):
            values = tuple(None if bad & _BAD else raw for raw, bad in zip(values, state.statuses, strict=True))
        shown = self._pick(values)
        if shown == self._shown and state.boot == self._boot:
            return []
        if not any(raw is not None for raw in values):
            return []  # the PLC was lost
        restarted = self._boot is not None and state.boot != self._boot
        changes = []
        for one, raw in zip(self.settings, shown, strict=True):
            before = one.raw
            if raw is None or one.take(raw, restarted=restarted):
                continue
            if self._unknown:
                self._unknown -= 1
            else:
                what = f"{one.tag.name} went from {_shown(one.tag, before)} to {_shown(one.tag, raw)}"
                changes.append(f"{what}, read at {_utc(state.receive_time_ns)}")
        self._boot = state.boot
        self._shown = None if any(one.settling for one in self.settings) else shown
        return changes


def _utc(time_ns: int) -> str:
    if time_ns >= _END:
        return f"{time_ns} ns since 1970"
    return datetime.fromtimestamp(time_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _picker(places: Sequence[int]) -> Callable[[Sequence[bytes | None]], tuple[bytes | None, ...]]:
    return lambda values: tuple([values[place] for place in places])


def _shown(tag: Tag, raw: bytes | None) -> str:
    try:
        value = decode(tag, raw)
    except InvalidData:
        return f"bytes {(raw or b'').hex()}"
    text = str(value).lower() if isinstance(value, bool) else f"{value:g}"
    return f"{text} {tag.unit}".rstrip()


def _finding(gateway: CheckedLog, changes: Sequence[tuple[int, str]]) -> list[Finding]:
    if not changes:
        return []
    index, change = changes[0]
    detail = f"{change}, and no logged command says so: the PLC's program, somebody else on the wire, or the gateway"
    if len(changes) > 1:
        more = "; ".join(f"record {later}: {what}" for later, what in changes[1:4])
        detail += f"; {len(changes) - 1} more such change(s): {more}"
    where = f"record {index} of {gateway.origin}"
    return [Finding(What.UNEXPLAINED, Layer.PLC, where, detail, Verdict.INCONCLUSIVE, gateway.origin, index)]
