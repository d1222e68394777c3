"""Ends of a range as people write them, and which states a range holds."""

import pytest

from testbed.core.errors import InvalidData
from testbed.core.exported import GOOD, Bound, By, Range, StateRow


def row(index: int, time_ns: int, scan: int | None) -> StateRow:
    return StateRow(index, time_ns, 1, scan, GOOD, ())


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("300", Bound(By.INDEX, 300)),
        ("scan:120", Bound(By.SCAN, 120)),
        ("1970-01-01T00:00:01Z", Bound(By.TIME, 10**9)),
        ("1970-01-01T00:00:10.000000100Z", Bound(By.TIME, 10**10 + 100)),
    ],
)
def test_an_end_of_a_range_is_read_and_written(text: str, bound: Bound) -> None:
    assert Bound.parse(text) == bound
    assert Bound.parse(str(bound)) == bound
    assert str(bound) == text.replace("100Z", "1Z")


@pytest.mark.parametrize(
    "text", ["", "-1", "scan:", "scan:-1", "yesterday", "1.5", "2026-01-01", "1970-01-01T00:00:01"]
)
def test_what_is_no_end_of_a_range_is_refused(text: str) -> None:
    with pytest.raises(InvalidData):
        Bound.parse(text)


def test_both_ends_belong_to_a_range() -> None:
    rows = [row(index, index * 10**9, index + 100) for index in range(10)]
    for first, last in (("3", "5"), ("scan:103", "scan:105"), ("1970-01-01T00:00:03Z", "1970-01-01T00:00:05Z")):
        span = Range(Bound.parse(first), Bound.parse(last))
        assert [one.index for one in rows if span.holds(one)] == [3, 4, 5]
    assert all(map(Range().holds, rows))


def test_a_state_without_a_scan_is_in_no_range_of_scans() -> None:
    assert not Range(first=Bound(By.SCAN, 0)).holds(row(1, 1, None))
    assert not Range(last=Bound(By.SCAN, 10)).holds(row(1, 1, None))


@pytest.mark.parametrize(("first", "last", "indices"), [("3", "5", (3, 6)), ("3", None, (3, 8)), (None, "99", (0, 8))])
def test_a_range_of_indices_ends_with_the_log(first: str | None, last: str | None, indices: tuple[int, int]) -> None:
    ends = [None if end is None else Bound.parse(end) for end in (first, last)]
    assert Range(*ends).indices(8) == indices
