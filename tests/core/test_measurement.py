"""Limits: what keeps them, what is marginal, and how they read."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.measurement import MARGIN, Capture, Limits

numbers = st.floats(-1e6, 1e6)


@given(numbers, numbers, numbers)
def test_a_value_keeps_limits_from_low_to_high_and_no_other_does(a: float, b: float, value: float) -> None:
    low, high = sorted((a, b))
    assert Limits(low, high).holds(value) == (low <= value <= high)
    assert Limits(low=low).holds(value) == (low <= value)
    assert Limits(high=high).holds(value) == (value <= high)


@given(numbers, st.floats(1e-3, 1e3), st.floats(0.0, 1.0))
def test_marginal_is_the_last_twentieth_before_a_limit(low: float, width: float, part: float) -> None:
    limits = Limits(low, low + width)
    value = low + part * width
    if abs(part - MARGIN) > 1e-3 and abs(part - 1 + MARGIN) > 1e-3 and limits.holds(value):
        assert limits.marginal(value, 1.0) == (part < MARGIN or part > 1 - MARGIN)


def test_what_breaks_the_limits_is_not_marginal() -> None:
    assert not Limits(0.9, 1.1).marginal(1.11, 2.0)
    assert not Limits(high=1.0).marginal(1.01, 2.0)


def test_an_open_side_measures_its_margin_by_the_range_of_the_tag() -> None:
    assert Limits(low=0.9).marginal(0.99, 2.0)
    assert not Limits(low=0.9).marginal(1.01, 2.0)


def test_a_failed_sensor_keeps_no_limits() -> None:
    assert not Limits(low=0.0).holds(math.nan)
    assert not Limits(high=9.0).holds(math.nan)
    assert not Limits(equal=1.0).holds(math.nan)


def test_true_is_compared_as_it_is() -> None:
    assert Limits(equal=True).holds(True)
    assert not Limits(equal=True).holds(False)
    assert not Limits(equal=True).marginal(True, 1.0)


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (Limits(0.9, 1.1), "0.9 to 1.1"),
        (Limits(low=0.9), "at least 0.9"),
        (Limits(high=1.1, for_s=30.0), "at most 1.1 for 30 s"),
        (Limits(equal=False), "equal to false"),
    ],
)
def test_limits_read_as_a_person_writes_them(limits: Limits, text: str) -> None:
    assert str(limits) == text


@pytest.mark.parametrize("wrong", [{}, {"low": 2.0, "high": 1.0}, {"low": math.nan, "high": 1.0}])
def test_limits_that_nothing_could_keep_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="limits"):
        Limits(**wrong)


def test_a_capture_gives_one_tag_s_samples() -> None:
    capture = Capture("t", "c", ("a", "b"), ("m", ""), 0, (0.0, 0.1), (1, 2), ((1.0, True), (None, False)))
    assert capture.column("a") == (1.0, None)
    assert capture.column("b") == (True, False)
    with pytest.raises(ValueError, match="c was not captured"):
        capture.column("c")
