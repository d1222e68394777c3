"""A cell says what the log says in whatever form a program saves it, and nothing that is another number."""

import math
import struct

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from testbed.core.exported import Cell
from testbed.core.tags import DataType, ModbusAddress, ModbusTable, Tag, Value
from testbed.verify.cells import comparison_of, cut, rounded, says_text, says_time, whole

ADDRESS = ModbusAddress(ModbusTable.INPUT_REGISTER, 0)


def says(kind: DataType, cell: Cell, value: Value | None, scale: float = 1.0) -> bool:
    return comparison_of(Tag("t", kind, "", 0.0, 1.0, False, ADDRESS, "t", scale))(cell, value)


SINGLE = struct.unpack(">f", struct.pack(">f", 0.1))[0]


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        (DataType.FLOAT32, "0.1", SINGLE),
        (DataType.FLOAT32, "0.10000000149011612", SINGLE),
        (DataType.FLOAT32, " +1.0e-1 ", SINGLE),
        (DataType.FLOAT32, 0.1, SINGLE),
        (DataType.FLOAT64, "1.50000", 1.5),
        (DataType.FLOAT64, "15E-1", 1.5),
        (DataType.FLOAT64, "0", -0.0),
        (DataType.FLOAT64, "-INF", -math.inf),
        (DataType.FLOAT64, "", math.nan),
        (DataType.FLOAT64, "NaN", None),
        (DataType.FLOAT64, math.nan, math.nan),
        (DataType.FLOAT64, None, math.nan),
        (DataType.UINT16, "300.0", 300),
        (DataType.UINT16, "3e2", 300),
        (DataType.UINT16, 300.0, 300),
        (DataType.UINT16, "", None),
        (DataType.BOOL, "TRUE", True),
        (DataType.BOOL, "False", False),
        (DataType.BOOL, "1", True),
        (DataType.BOOL, 0.0, False),
        (DataType.BOOL, True, True),
        (DataType.BOOL, None, None),
    ],
)
def test_the_same_in_another_form(kind: DataType, cell: Cell, value: Value | None) -> None:
    assert says(kind, cell, value)


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        (DataType.FLOAT32, "0.10000001", SINGLE),
        (DataType.FLOAT32, "1e39", math.inf),
        (DataType.FLOAT32, "", SINGLE),
        (DataType.FLOAT32, "0.1 m", SINGLE),
        (DataType.FLOAT32, "0x1p-3", 0.125),
        (DataType.FLOAT64, "1_5", 15.0),
        (DataType.FLOAT64, "1e400", math.inf),
        (DataType.FLOAT64, "inf", -math.inf),
        (DataType.FLOAT64, "0", math.nan),
        (DataType.FLOAT64, "0", None),
        (DataType.FLOAT64, True, 1.0),
        (DataType.UINT16, "300.5", 300),
        (DataType.UINT16, "0300x", 300),
        (DataType.UINT16, "-300", 300),
        (DataType.UINT16, True, 1),
        (DataType.UINT16, "1" * 500, 1),
        (DataType.UINT16, "\N{ARABIC-INDIC DIGIT THREE}", 3),
        (DataType.BOOL, "yes", True),
        (DataType.BOOL, "true", False),
        (DataType.BOOL, "", False),
        (DataType.BOOL, "2", True),
        (DataType.BOOL, "false", None),
    ],
)
def test_another_value_is_never_taken_for_it(kind: DataType, cell: Cell, value: Value | None) -> None:
    assert not says(kind, cell, value)


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_two_doubles_are_the_same_only_if_they_are(one: float, other: float) -> None:
    assert says(DataType.FLOAT64, repr(one), one)
    assert says(DataType.FLOAT64, repr(other), one) is (one == other)


@given(st.floats(width=32, allow_nan=False), st.integers(0, 31))
def test_a_flipped_bit_of_a_single_is_seen(value: float, bit: int) -> None:
    (raw,) = struct.unpack(">I", struct.pack(">f", value))
    (flipped,) = struct.unpack(">f", struct.pack(">I", raw ^ 1 << bit))
    assume(value != flipped)
    assert says(DataType.FLOAT32, repr(value), value)
    assert not says(DataType.FLOAT32, repr(flipped), value)


@given(st.integers(-(2**63), 2**64), st.integers(-(2**63), 2**64))
def test_two_whole_numbers_are_the_same_only_if_they_are(one: int, other: int) -> None:
    for form in (str(one), f"{one}.0", f"{one}.", f"{one}E0"):
        assert says(DataType.UINT32, form, one)
        assert says(DataType.UINT32, form, other) is (one == other)


def test_a_number_that_a_spreadsheet_has_rounded_is_told_from_another() -> None:
    value = 0.1 + 0.2
    assert not says(DataType.FLOAT64, "0.3", value)
    assert rounded("0.3", value)
    assert not rounded("0.4", value)
    assert not rounded(repr(value), value)
    assert not rounded("", value)


@pytest.mark.parametrize(
    "cell", ["1970-01-01T00:00:01Z", "1970-01-01 00:00:01.000", "1970-01-01T01:00:01+01:00", "1000000000", 10**9, 1e9]
)
def test_a_time_in_another_form(cell: Cell) -> None:
    assert says_time(cell, 10**9)
    assert not says_time(cell, 10**9 + 1)


def test_a_time_that_a_database_has_cut_is_told_from_another() -> None:
    time_ns = 1_234_567_891
    assert [cut(cell, time_ns) for cell in ("1970-01-01 00:00:01.234567+00", "1234000000", 10**9)] == [
        "microseconds",
        "milliseconds",
        "seconds",
    ]
    assert not any(says_time(cell, time_ns) for cell in ("1970-01-01 00:00:01.234567+00", "1234000000", 10**9))
    assert [cut(cell, time_ns) for cell in ("1970-01-01 00:00:01.234568+00", "", time_ns)] == ["", "", ""]


@pytest.mark.parametrize("cell", ["", None, "01.01.1970 00:00:01", math.nan, True])
def test_what_is_no_time_is_never_one(cell: Cell) -> None:
    assert not says_time(cell, 10**9)
    assert not says_time(cell, 1)


def test_whole_numbers_are_whole() -> None:
    assert [whole(cell) for cell in ("", None, "1.5", 1.5, math.inf, math.nan, "x", False)] == [None] * 8


def test_text_is_compared_without_the_spaces_around_it() -> None:
    assert says_text(" good ", "good")
    assert not says_text("Good", "good")
    assert not says_text(None, "good")
