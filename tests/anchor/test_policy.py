"""When to anchor: enough records, or enough waiting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.anchor.policy import Policy, is_due

SECOND = 10**9


@pytest.mark.parametrize(
    ("every", "waiting", "waited_s", "due"),
    [
        (1, 0, 0, False),
        (1, 1, 0, True),
        (10, 9, 59, False),
        (10, 10, 0, True),
        (10, 11, 0, True),
        (10, 1, 60, True),
        (10, 0, 1000, False),
        (10, 1, -1, True),
        (10, 0, -1, False),
    ],
)
def test_when_it_is_due(every: int, waiting: int, waited_s: int, due: bool) -> None:
    assert is_due(Policy(every, 60 * SECOND), waiting, waited_s * SECOND) == due


@given(st.integers(1, 1000), st.integers(0, 10**12), st.integers(0, 2000), st.integers(0, 10**13))
def test_more_records_or_more_waiting_never_put_it_off(every: int, within: int, waiting: int, waited: int) -> None:
    policy = Policy(every, within)
    if is_due(policy, waiting, waited):
        assert is_due(policy, waiting + 1, waited)
        assert is_due(policy, waiting, waited + 1)
    assert not is_due(policy, 0, waited)
