"""What ends a run at once: an E-stop, an interlock, a value beyond a limit. Pure.

A rule is text: "estop.active" (a bool that is true), "tank2.temperature above 90" or "tank1.level below 0.05".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from testbed.core.errors import InvalidData
from testbed.core.tags import Tag, Value
from testbed.fieldbus.poll import Poll
from testbed.fieldbus.registers import decode

GOOD_NO_DATA = 0x00A50000
"""StatusCode of a tag that was not due in this poll (OPC 10000-4, section 7.39.2)."""


class When(Enum):
    """What a rule looks for."""

    TRUE = "is true"
    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True, slots=True)
class StopRule:
    """limit: in the tag's unit; 0 for TRUE, which needs none."""

    tag: str
    when: When
    limit: float = 0.0

    def __str__(self) -> str:
        return self.tag if self.when is When.TRUE else f"{self.tag} {self.when.value} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Stop:
    """A run must end now. cause: in words; rule: which one said so; value: as seen, None where it could not be read."""

    rule: StopRule
    cause: str
    value: Value | None


def parse_stop_rule(text: str) -> StopRule:
    """The rule that a text says. Raises InvalidData for anything else."""
    words = text.split()
    if len(words) == 1:
        return StopRule(words[0], When.TRUE)
    if len(words) == 3 and words[1] in (When.ABOVE.value, When.BELOW.value):
        try:
            limit = float(words[2])
        except ValueError:
            limit = math.nan
        if math.isfinite(limit):
            return StopRule(words[0], When(words[1]), limit)
    raise InvalidData(f'{text!r} is none of "TAG", "TAG above LIMIT", "TAG below LIMIT"')


def stop_of(rules: Sequence[StopRule], tags: Sequence[Tag], poll: Poll) -> Stop | None:
    """The first rule that ends the run, by a poll of these tags; None where it may go on.

    A value that could not be read ends it as well: nobody would see the E-stop. One that was not due does not. A rule
    whose tag is not among the tags ends it too.
    """
    places = {tag.name: place for place, tag in enumerate(tags)}
    for rule in rules:
        place = places.get(rule.tag)
        if place is None:
            return Stop(rule, f"{rule.tag}: there is no such tag to watch", None)
        if poll.values[place] is None and poll.statuses[place] == GOOD_NO_DATA:
            continue
        if (stop := _judge(rule, tags[place], poll.values[place], poll.statuses[place])) is not None:
            return stop
    return None


def _judge(rule: StopRule, tag: Tag, raw: bytes | None, status: int) -> Stop | None:
    try:
        value = decode(tag, raw)
    except InvalidData:
        return Stop(rule, f"{tag.name}: cannot be read (status {status:08X}), and it must be watched", None)
    shown = f"{value:g} {tag.unit}".rstrip() if not isinstance(value, bool) else str(value).lower()
    if rule.when is When.TRUE:
        return Stop(rule, f"{tag.name} is {shown}", value) if value else None
    if math.isnan(value):
        return Stop(rule, f"{tag.name} is no number, and it must be watched", value)
    beyond = value > rule.limit if rule.when is When.ABOVE else value < rule.limit
    return Stop(rule, f"{tag.name} is {shown}, {rule.when.value} {rule.limit:g}", value) if beyond else None
