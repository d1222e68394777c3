"""Checks that whatever a person may set was set by a logged command: set-points, modes, manual outputs.

A command is on disk before it is sent, and the gateway keeps the operator's checkpoint before the state that it read
after looking. So a state that shows what a command did always stands behind a checkpoint that covers the command, and
neither clocks nor delays come into it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from testbed.core.bodies import INTENDED, REFUSED, Command, Peer, State
from testbed.core.errors import InvalidData, UsageError
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.core.tags import Tag
from testbed.fieldbus.registers import decode, encode
from testbed.fieldbus.source import held
from testbed.record.commands import parse_command
from testbed.verify.log import CheckedLog
from testbed.verify.peers import KeptCheckpoints
from testbed.verify.trust import TrustedCommands

_FALSE = b"\x00"


@dataclass(slots=True)
class _Watched:
    """One tag that only commands may change. raw: as the last state showed it; first: as the log's first state did;
    commanded: raw values of commands that are known by now and not used up, oldest first.
    """

    tag: Tag
    place: int
    momentary: bool
    raw: bytes | None = None
    first: bytes | None = None
    commanded: list[bytes] = field(default_factory=list)

    def explains(self, raw: bytes, *, restarted: bool) -> bool:
        """Whether the tag may show `raw` now. A command that explains it is used up, and so are those before it."""
        if raw == self.raw:
            return True
        if raw in self.commanded:
            place = len(self.commanded) - self.commanded[::-1].index(raw)
            del self.commanded[:place]
            return True
        return (self.momentary and raw == _FALSE) or (restarted and raw == self.first)


def check_commands(
    gateway: CheckedLog, operator: CheckedLog, tags: Sequence[Tag], trusted: TrustedCommands
) -> list[Finding]:
    """Changes that no command explains, as one finding that names the first; and false checkpoints that are kept."""
    watched = [
        _Watched(tag, place, tag.name in trusted.momentary)
        for place, tag in enumerate(tags)
        if tag.name in trusted.tags
    ]
    by_name = {one.tag.name: one for one in watched}
    kept = KeptCheckpoints(gateway, operator, Layer.GATEWAY)
    findings: list[Finding] = []
    unexplained: list[tuple[int, str]] = []
    covered, boot, expected = 0, None, 0
    whole = True
    for index in sorted(gateway.genuine):
        if index != expected:
            for one in watched:
                one.raw = None  # what stood between is not to be had, and is a finding of its own
        expected = index + 1
        body = gateway.genuine[index].body
        if isinstance(body, Peer) and body.origin == operator.origin:
            size, found = kept.take(index, body)
            findings += found
            for number in range(covered, size or 0):
                whole = _learn(operator, number, by_name) and whole
            covered = max(covered, size or 0)
        elif isinstance(body, State) and len(body.values) == len(tags):
            restarted = boot is not None and body.boot != boot
            for one in watched:
                change = _change(one, body, restarted=restarted)
                if change and whole:
                    unexplained.append((index, change))
            if any(raw is not None for raw in body.values):
                boot = body.boot
    return findings + kept.forked() + kept.rolled_back() + _finding(gateway, unexplained)


def _learn(operator: CheckedLog, number: int, by_name: dict[str, _Watched]) -> bool:
    """Take up what the operator's record says. False where it is not to be had: what it commanded is unknown."""
    found = operator.genuine.get(number)
    if found is None:
        return False
    if isinstance(found.body, Command):
        try:
            name, value = parse_command(found.body.what)
            one = by_name.get(name)
            if one is None:
                return True
            raw = encode(one.tag, held(one.tag, value))
        except (InvalidData, UsageError):
            return True  # it says nothing that could be done
        if found.body.outcome == INTENDED:
            one.commanded.append(raw)
        elif found.body.outcome.startswith(REFUSED) and raw in one.commanded:
            place = len(one.commanded) - 1 - one.commanded[::-1].index(raw)
            del one.commanded[place]
    return True


def _change(one: _Watched, state: State, *, restarted: bool) -> str:
    """What an unexplained change is, in words; "" where there is none."""
    raw = state.values[one.place]
    if raw is None:
        return ""
    before, one.first = one.raw, raw if one.first is None else one.first
    explained = before is None or one.explains(raw, restarted=restarted)
    one.raw = raw
    if explained:
        return ""
    return f"{one.tag.name} went from {_shown(one.tag, before)} to {_shown(one.tag, raw)}"


def _shown(tag: Tag, raw: bytes | None) -> str:
    try:
        value = decode(tag, raw or b"")
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
