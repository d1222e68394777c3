"""The write policy: which tags may be written, within which range, how fast, until when. Deny by default.

Pure: what was written and read before is handed in, and so is the time.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from itertools import pairwise

from testbed.core.tags import Tag, Value

WINDOW_NS = 1_000_000_000
"""A rate is counted over the second before a write, ns."""

_SHOWN = 8


class Purpose(Enum):
    """What a write is for. FORCE overrides what a program would do; ATTACK is part of a named attack."""

    WRITE = "write"
    FORCE = "force"
    ATTACK = "attack"


@dataclass(frozen=True, slots=True)
class Rule:
    """What may be written to one tag.

    low, high: in the tag's unit, both allowed; change_per_s: the most that the value may move within any second, in
    that unit; writes_per_s: the most writes within any second; forced, attacks: whether it may be forced, and written
    by an attack; until_ns: when the rule ends, UTC ns since 1970. None is no limit. A rule that allows more than plain
    writes ends: ValueError without `until_ns`, and for an empty range or a rate that allows nothing.
    """

    tag: str
    low: float
    high: float
    change_per_s: float | None = None
    writes_per_s: int | None = None
    forced: bool = False
    attacks: bool = False
    until_ns: int | None = None

    def __post_init__(self) -> None:
        if not -math.inf < self.low <= self.high < math.inf:
            raise ValueError(f"{self.tag}: from {self.low!r} to {self.high!r} is no range")
        if (self.forced or self.attacks) and self.until_ns is None:
            raise ValueError(f"{self.tag}: forced outputs and attacks are allowed until some time only")
        if any(rate is not None and not rate > 0 for rate in (self.change_per_s, self.writes_per_s)):
            raise ValueError(f"{self.tag}: a rate is above zero")


@dataclass(frozen=True, slots=True)
class Noted:
    """A value that a tag was seen to have, or that was written to it, at `at_ns`, UTC ns since 1970."""

    tag: str
    value: Value
    at_ns: int
    written: bool


@dataclass(frozen=True, slots=True)
class Allowed:
    """The write may be sent."""

    rule: Rule


@dataclass(frozen=True, slots=True)
class Denied:
    """The write must not be sent. reason, mend: for a person."""

    reason: str
    mend: str


class Policy:
    """An allow-list. What it does not name is denied.

    label: its file, for messages; forced: names of tags that are forced outputs whatever a write says it is for.
    ValueError for two rules of one tag.
    """

    def __init__(self, rules: Iterable[Rule], label: str = "the write policy", forced: Iterable[str] = ()) -> None:
        rules = tuple(rules)
        self.rules = {rule.tag: rule for rule in rules}
        if len(self.rules) != len(rules):
            raise ValueError(f"{label}: two rules for one tag")
        self.label = label
        self.forced = frozenset(forced)

    def rule(self, tag: str) -> Rule | None:
        """The rule for a tag, None where there is none."""
        return self.rules.get(tag)

    def check(
        self, tag: str, value: Value, now_ns: int, history: Sequence[Noted] = (), purpose: Purpose = Purpose.WRITE
    ) -> Allowed | Denied:
        """Whether `value` may be written to `tag` now.

        now_ns: UTC ns since 1970; history: what was noted before, the oldest first, other tags' among it. A rule that
        limits changes needs to know what the tag holds: without a note of it the write is denied.
        """
        rule = self.rules.get(tag)
        if rule is None:
            names = list(self.rules)
            allowed = ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "") or "nothing"
            return Denied(f"{tag}: {self.label} does not allow it", f'it allows {allowed}; add [[allow]] tag = "{tag}"')
        if rule.until_ns is not None and now_ns >= rule.until_ns:
            return Denied(f"{tag}: {self.label} allowed it until {_utc(rule.until_ns)}", "give the rule a new `until`")
        if purpose is Purpose.ATTACK and not rule.attacks:
            return Denied(f"{tag}: {self.label} allows no attacks on it", "write attacks = true and an `until`")
        if (purpose is Purpose.FORCE or tag in self.forced) and not rule.forced:
            return Denied(f"{tag}: {self.label} does not allow to force it", "write forced = true and an `until`")
        if not rule.low <= value <= rule.high:  # nor is NaN
            mend = f"write a value from {rule.low:g} to {rule.high:g}"
            return Denied(f"{tag}: {self.label} does not allow {value!r}", mend)
        return self._too_fast(rule, value, now_ns, history) or Allowed(rule)

    def _too_fast(self, rule: Rule, value: Value, now_ns: int, history: Sequence[Noted]) -> Denied | None:
        notes = [note for note in history if note.tag == rule.tag]
        if rule.writes_per_s is not None:
            count = sum(1 for note in notes if note.written and _recent(note, now_ns))
            if count >= rule.writes_per_s:
                reason = f"{rule.tag}: {self.label} allows {rule.writes_per_s} writes a second"
                return Denied(f"{reason}, and there were {count}", "write less often")
        if rule.change_per_s is not None:
            if not notes:
                reason = f"{rule.tag}: {self.label} limits how fast it changes, and nobody knows what it holds"
                return Denied(reason, "read it first")
            moved = sum(_moves(notes, now_ns)) + abs(value - notes[-1].value)
            if not moved <= rule.change_per_s:
                reason = f"{rule.tag}: {self.label} allows a change of {rule.change_per_s:g} a second"
                return Denied(f"{reason}, this makes {moved:g}", "go there in smaller steps")
        return None


def everything(tags: Iterable[Tag], label: str = "the open policy") -> Policy:
    """All that can be written, within the tags' ranges. For an emulated PLC, where nothing breaks."""
    return Policy((Rule(tag.name, tag.low, tag.high) for tag in tags if tag.writable), label)


def nothing(label: str = "the policy that no file was named for") -> Policy:
    """No write at all."""
    return Policy((), label)


def _recent(note: Noted, now_ns: int) -> bool:
    """Within the window; a note of the future as well, which only a clock that was set back can make."""
    return now_ns - note.at_ns < WINDOW_NS


def _moves(notes: Sequence[Noted], now_ns: int) -> Iterator[float]:
    """By how much each recent write moved the value from what was noted before it."""
    for before, note in pairwise(notes):
        if note.written and _recent(note, now_ns):
            yield abs(note.value - before.value)


def _utc(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
