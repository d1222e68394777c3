"""A failpoint does nothing until it is armed, and then fires at the time that was asked for, once."""

from collections.abc import Iterator

import pytest

from testbed.core import failpoints
from testbed.core.failpoints import AFTER, BEFORE, arm, reached


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints._armed.clear()


def test_nothing_is_armed_by_itself() -> None:
    assert failpoints._armed == {}
    reached("sequence", BEFORE, 1)


def test_it_fires_at_its_time_and_once() -> None:
    fired: list[str] = []
    arm("sequence", AFTER, 3, fired.append)
    for size in range(6):
        reached("sequence", BEFORE, size)
        reached("publish", AFTER, size)
        reached("sequence", AFTER, size)
    assert fired == ["2"]


@pytest.mark.parametrize(("point", "when", "count"), [("seqence", BEFORE, 1), ("send", "amid", 1), ("send", AFTER, 0)])
def test_a_point_that_is_none_is_refused(point: str, when: str, count: int) -> None:
    with pytest.raises(ValueError, match="no point"):
        arm(point, when, count, print)
