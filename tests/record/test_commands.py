"""Commands as text: one form, there and back."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import InvalidData
from testbed.core.tags import Value
from testbed.record.commands import command_text, parse_command

TAGS = st.from_regex(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*", fullmatch=True)
VALUES = st.booleans() | st.integers(-(2**31), 2**32) | st.floats(allow_nan=False, allow_infinity=False)


@given(TAGS, VALUES)
def test_a_command_comes_back_as_it_was(tag: str, value: Value) -> None:
    found = parse_command(command_text(tag, value))
    assert found == (tag, value)
    assert type(found[1]) is type(value)


@given(st.text())
def test_whatever_is_read_has_one_form(text: str) -> None:
    try:
        tag, value = parse_command(text)
    except InvalidData:
        return
    assert command_text(tag, value) == text


@pytest.mark.parametrize(
    "text",
    ["", "write", "write  = 1", "read a = 1", "write a = ", "write a = 01", "write a = 1.50", "write a = True",
     "write a = nan", "write a = inf", "write a b = 1", "write a = 1 ", "write a=1", "Write a = 1", "write a = 1_0"],
)  # fmt: skip
def test_any_other_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidData):
        parse_command(text)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_no_command(value: float) -> None:
    with pytest.raises(InvalidData):
        command_text("a", value)


@pytest.mark.parametrize("tag", ["", "a b", "a = 1"])
def test_what_is_no_name_is_no_command(tag: str) -> None:
    with pytest.raises(InvalidData):
        command_text(tag, 1)
