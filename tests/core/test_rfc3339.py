"""Times as text lose no nanosecond, and what is no time is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import InvalidData
from testbed.core.rfc3339 import parse_time, time_text

TIMES = st.integers(0, 253_402_300_800 * 10**9 - 1)


@given(TIMES)
def test_a_time_comes_back_to_the_nanosecond(time_ns: int) -> None:
    text = time_text(time_ns)
    assert parse_time(text) == time_ns
    for offset in ("", "+00", "+00:00", "Z"):
        assert parse_time(text.replace("T", " ").replace("Z", offset), strict=False) == time_ns
    assert len(text) == 30


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01 00:00:00.5z", 5 * 10**8),
        ("1970-01-01t02:00:00.000000001+02:00", 1),
        ("1969-12-31T19:00:00-05:00", 0),
        ("2024-02-29T23:59:59.999999999Z", 1_709_251_199_999_999_999),
    ],
)
def test_what_rfc_3339_allows_is_read(text: str, time_ns: int) -> None:
    assert parse_time(text) == time_ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-01",
        "2026-01-01T00:00Z",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00+00",
        "2026-02-29T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00.0000000001Z",
        "2026-01-01T00:00:00Z ",
        "\N{FULLWIDTH DIGIT TWO}026-01-01T00:00:00Z",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidData):
        parse_time(text)


@pytest.mark.parametrize("time_ns", [-1, 253_402_300_800 * 10**9])
def test_a_time_without_four_digits_of_a_year_is_refused(time_ns: int) -> None:
    with pytest.raises(InvalidData):
        time_text(time_ns)
