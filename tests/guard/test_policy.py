"""What the write policy does not allow is denied; a second is a second, and no rule outlives its date."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from testbed.core.tags import Value
from testbed.guard.policy import Allowed, Denied, Noted, Policy, Purpose, Rule, everything, nothing
from testbed.rig.bench import load_bench

SECOND = 10**9
NOW = 1_800_000_000 * SECOND
LEVEL, MODE, RESET = "control.level_setpoint", "control.mode", "control.reset"


def denied(found: Allowed | Denied) -> str:
    assert isinstance(found, Denied)
    assert found.mend
    return found.reason


def allowed(found: Allowed | Denied) -> bool:
    return isinstance(found, Allowed)


def test_what_is_not_named_is_denied() -> None:
    policy = Policy([Rule(LEVEL, 0.2, 1.5)])
    assert allowed(policy.check(LEVEL, 1.0, NOW))
    assert MODE in denied(policy.check(MODE, 1, NOW))
    assert denied(nothing().check(LEVEL, 1.0, NOW))


@pytest.mark.parametrize("value", [0.19, 1.51, -1.0, math.nan, math.inf, -math.inf, 10**400])
def test_what_is_out_of_range_is_denied(value: Value) -> None:
    assert denied(Policy([Rule(LEVEL, 0.2, 1.5)]).check(LEVEL, value, NOW))


@pytest.mark.parametrize("value", [0.2, 1.5, 1])
def test_the_limits_are_allowed(value: Value) -> None:
    assert allowed(Policy([Rule(LEVEL, 0.2, 1.5)]).check(LEVEL, value, NOW))


def test_a_rule_ends_on_its_date() -> None:
    until = int(datetime(2026, 12, 31, tzinfo=UTC).timestamp()) * SECOND
    policy = Policy([Rule(LEVEL, 0.2, 1.5, until_ns=until)])
    assert allowed(policy.check(LEVEL, 1.0, until - 1))
    assert "2026-12-31T00:00:00Z" in denied(policy.check(LEVEL, 1.0, until))


@pytest.mark.parametrize(("forced", "attacks"), [(False, False), (True, False), (False, True), (True, True)])
def test_forcing_and_attacking_need_more(forced: bool, attacks: bool) -> None:
    policy = Policy([Rule(LEVEL, 0.2, 1.5, forced=forced, attacks=attacks, until_ns=NOW + 1)])
    assert allowed(policy.check(LEVEL, 1.0, NOW))
    assert allowed(policy.check(LEVEL, 1.0, NOW, purpose=Purpose.FORCE)) is forced
    assert allowed(policy.check(LEVEL, 1.0, NOW, purpose=Purpose.ATTACK)) is attacks


@pytest.mark.parametrize("forced", [True, False])
def test_a_forced_output_is_forced_whatever_the_write_is_for(forced: bool) -> None:
    policy = Policy([Rule(LEVEL, 0.2, 1.5, forced=forced, until_ns=NOW + 1)], forced=[LEVEL])
    assert allowed(policy.check(LEVEL, 1.0, NOW)) is forced


@pytest.mark.parametrize(
    "make",
    [
        lambda: Rule(LEVEL, 1.5, 0.2),
        lambda: Rule(LEVEL, 0.2, math.inf),
        lambda: Rule(LEVEL, math.nan, 1.0),
        lambda: Rule(LEVEL, 0.2, 1.5, forced=True),
        lambda: Rule(LEVEL, 0.2, 1.5, attacks=True),
        lambda: Rule(LEVEL, 0.2, 1.5, change_per_s=0.0),
        lambda: Rule(LEVEL, 0.2, 1.5, writes_per_s=0),
        lambda: Policy([Rule(LEVEL, 0.2, 1.5), Rule(LEVEL, 0.2, 1.0)]),
    ],
)
def test_a_rule_that_makes_no_sense_cannot_be_made(make: object) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=r"\S"):
        make()


def test_what_changes_too_fast_must_be_known_first() -> None:
    policy = Policy([Rule(LEVEL, 0.0, 2.0, change_per_s=0.5)])
    assert "nobody knows" in denied(policy.check(LEVEL, 1.0, NOW))
    read = [Noted(MODE, 2, NOW, written=False), Noted(LEVEL, 0.8, NOW, written=False)]
    assert allowed(policy.check(LEVEL, 1.25, NOW, read))
    assert "0.5 a second" in denied(policy.check(LEVEL, 1.35, NOW, read))


def test_everything_is_what_can_be_written_at_all() -> None:
    tags = load_bench(None).tags
    policy = everything(tags)
    assert set(policy.rules) == {tag.name for tag in tags if tag.writable}
    assert allowed(policy.check(RESET, True, NOW))
    assert denied(policy.check("tank1.level", 1.0, NOW))
    assert denied(policy.check(LEVEL, 2.1, NOW))


class Rates(RuleBasedStateMachine):
    """The policy beside ten lines that say the same: a list of (time, value) pairs, and sums over its last second."""

    def __init__(self) -> None:
        super().__init__()
        self.policy = Policy([Rule(LEVEL, 0, 100, change_per_s=10.0, writes_per_s=3)])
        self.history: list[Noted] = []
        self.now = NOW
        self.steps: list[tuple[int, float]] = []  # of the writes: when, and by how much
        self.at: int | None = None

    @rule(pause=st.integers(0, 1_500))
    def wait(self, pause: int) -> None:
        self.now += pause * SECOND // 1000

    @rule(value=st.integers(0, 20))
    def look(self, value: int) -> None:
        self.history.append(Noted(LEVEL, value, self.now, written=False))
        self.at = value

    @rule(value=st.integers(-5, 105))
    def write(self, value: int) -> None:
        last_second = [step for when, step in self.steps if when > self.now - SECOND]
        expected = (
            0 <= value <= 100
            and self.at is not None
            and len(last_second) < 3
            and sum(last_second) + abs(value - self.at) <= 10
        )
        assert allowed(self.policy.check(LEVEL, value, self.now, self.history)) is expected
        if expected and self.at is not None:
            self.history.append(Noted(LEVEL, value, self.now, written=True))
            self.steps.append((self.now, abs(value - self.at)))
            self.at = value

    @rule(value=st.integers(0, 2))
    def write_another_tag(self, value: int) -> None:
        self.history.append(Noted(MODE, value, self.now, written=True))


TestRates = Rates.TestCase


@given(back=st.integers(1, 10**12))
def test_a_clock_that_was_set_back_makes_nothing_faster(back: int) -> None:
    policy = Policy([Rule(LEVEL, 0.0, 2.0, writes_per_s=1)])
    history = [Noted(LEVEL, 1.0, NOW, written=True)]
    assert denied(policy.check(LEVEL, 1.0, NOW - back, history))
