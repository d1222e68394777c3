"""What ends a run at once: the rules as people write them, and what each poll says of them."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import InvalidData
from testbed.fieldbus.poll import Poll
from testbed.fieldbus.registers import encode
from testbed.guard.stop import GOOD_NO_DATA, Stop, StopRule, When, parse_stop_rule, stop_of
from tests.guard.machines import BY_NAME, TAGS, Machine

ESTOP, HOT, DRY = "estop.active", "tank2.temperature above 90", "tank1.level below 0.05"
RULES = tuple(parse_stop_rule(text) for text in (ESTOP, HOT, DRY))


def shown(poll: Poll, name: str, value: float | bool | None, status: int = 0) -> Poll:
    place = TAGS.index(BY_NAME[name])
    values, statuses = list(poll.values), list(poll.statuses)
    values[place], statuses[place] = None if value is None else encode(BY_NAME[name], value), status
    return replace(poll, values=tuple(values), statuses=tuple(statuses))


async def test_a_healthy_machine_runs_on() -> None:
    assert stop_of(RULES, TAGS, await Machine().poll()) is None


@pytest.mark.parametrize(
    ("name", "value", "cause"),
    [
        ("estop.active", True, "estop.active is true"),
        ("tank2.temperature", 90.5, "tank2.temperature is 90.5 degC, above 90"),
        ("tank1.level", 0.025, "tank1.level is 0.025 m, below 0.05"),
        ("tank1.level", math.nan, "tank1.level is no number"),
    ],
)
async def test_each_rule_stops(name: str, value: float | bool, cause: str) -> None:
    stop = stop_of(RULES, TAGS, shown(await Machine().poll(), name, value))
    assert stop is not None
    assert stop.cause.startswith(cause)
    assert stop.rule.tag == name


async def test_what_stands_at_its_limit_runs_on() -> None:
    poll = shown(await Machine().poll(), "tank2.temperature", 90.0)
    assert stop_of(RULES, TAGS, poll) is None


async def test_what_cannot_be_read_stops_and_what_was_not_due_does_not() -> None:
    poll = await Machine().poll()
    stop = stop_of(RULES, TAGS, shown(poll, ESTOP, None, 0x80310000))
    assert stop == Stop(RULES[0], "estop.active: cannot be read (status 80310000), and it must be watched", None)
    assert stop_of(RULES, TAGS, shown(poll, ESTOP, None, GOOD_NO_DATA)) is None


async def test_a_tag_that_is_not_there_stops() -> None:
    stop = stop_of([StopRule("door.open", When.TRUE)], TAGS, await Machine().poll())
    assert stop is not None


@pytest.mark.parametrize(
    "text", ["", "a b", "a above", "a over 3", "a above x", "a above nan", "a below inf", "a b 1 2"]
)
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(InvalidData):
        parse_stop_rule(text)


@given(tag=st.sampled_from(sorted(BY_NAME)), when=st.sampled_from(When), limit=st.integers(-1000, 1000))
def test_a_rule_says_itself(tag: str, when: When, limit: int) -> None:
    rule = StopRule(tag, when, 0.0 if when is When.TRUE else limit / 8)
    assert parse_stop_rule(str(rule)) == rule
