"""Findings on neighbours: three and more in a row are one, and no record is lost in between."""

from hypothesis import given
from hypothesis import strategies as st

from testbed.core.finding import Finding, Layer, What
from testbed.verify.runs import in_runs, runs


def on(index: int, what: What = What.DELETED, detail: str = "why") -> Finding:
    return Finding(what, Layer.STORE, f"record {index} of a/b", detail, origin="a/b", index=index)


def test_three_in_a_row_are_one_finding_that_names_the_first_and_the_last() -> None:
    (one,) = in_runs([on(4), on(5), on(6)])
    assert (one.where, one.index) == ("records 4 to 6 of a/b", 4)
    assert one.detail == "why; so it is with each of these 3"


def test_two_in_a_row_are_two_findings() -> None:
    assert in_runs([on(5), on(4)]) == [on(4), on(5)]


def test_neighbours_of_which_other_things_are_said_are_no_run() -> None:
    mixed = [on(4), on(5, What.ALTERED), on(6, detail="why not")]
    assert in_runs(mixed) == mixed


def test_several_pushed_in_at_one_place_are_one_finding() -> None:
    (one,) = in_runs([on(4, What.INSERTED)] * 3)
    assert (one.where, one.index) == ("record 4 of a/b", 4)


@given(st.lists(st.integers(0, 40), max_size=40).map(sorted))
def test_every_number_is_in_one_run(numbers: list[int]) -> None:
    found = runs(numbers, lambda number: number)
    assert [number for run in found for number in run] == numbers
    assert all(len(run) == 1 or (len(run) >= 3 and run[-1] - run[0] < len(run)) for run in found)
