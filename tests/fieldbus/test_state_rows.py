"""A state as a row: exact values, and a status that says of each value what is not simply good about it."""

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.bodies import State
from testbed.core.exported import GOOD
from testbed.core.tags import DataType, ModbusAddress, ModbusTable, Tag
from testbed.fieldbus.registers import encode
from testbed.fieldbus.state_rows import StateRows


def tag(name: str, kind: DataType, scale: float = 1.0) -> Tag:
    address = ModbusAddress(ModbusTable.INPUT_REGISTER, 0)
    return Tag(name, kind, "", 0.0, 100.0, False, address, f"cell.{name}", scale)


LEVEL, TENTHS, ALARM = tag("level", DataType.FLOAT32), tag("tenths", DataType.INT16, 0.25), tag("alarm", DataType.BOOL)
TAGS = (LEVEL, TENTHS, ALARM)
NAMES = tuple(each.name for each in TAGS)
STATE = State(3, 17, None, 5, (encode(LEVEL, 1.5), encode(TENTHS, 0.75), encode(ALARM, True)), (0, 0, 0))


def test_a_good_state_is_its_values() -> None:
    row = StateRows(TAGS, NAMES).row(9, STATE)
    assert (row.index, row.time_ns, row.boot, row.scan, row.status) == (9, 5, 3, 17, GOOD)
    assert row.values == (1.5, 0.75, True)
    assert StateRows(TAGS, ("alarm", "level")).row(9, STATE).values == (True, 1.5)


@given(st.binary(min_size=4, max_size=4))
def test_each_float_is_the_one_that_was_read(raw: bytes) -> None:
    row = StateRows((LEVEL,), ("level",)).row(0, State(1, 1, None, 0, (raw,), (0,)))
    (number,) = struct.unpack(">f", raw)
    assert row.values == (number,) or number != number
    assert row.status == (GOOD if number == number else "level: NaN")


@pytest.mark.parametrize(
    ("values", "statuses", "shown", "status"),
    [
        ((None, b"\x00\x03", b"\x01"), (0, 0, 0), (None, 0.75, True), "level: nothing"),
        (
            (None, b"\x00\x03", None),
            (0x800A0000, 0, 0),
            (None, 0.75, None),
            "level: nothing 0x800A0000; alarm: nothing",
        ),
        ((b"\x3f\xc0\x00\x00", b"\x00\x03", b"\x01"), (0x40000000, 0, 0), (1.5, 0.75, True), "level: 0x40000000"),
        ((b"\x3f", b"\x00\x03", b"\x02"), (0, 0, 0), (None, 0.75, None), "level: unreadable 3f; alarm: unreadable 02"),
        ((b"\x3f\xc0\x00\x00",), (0,), (None, None, None), "1 values of 3 tags"),
    ],
)
def test_what_is_not_good_is_said(
    values: tuple[bytes | None, ...], statuses: tuple[int, ...], shown: tuple[object, ...], status: str
) -> None:
    row = StateRows(TAGS, NAMES).row(0, replace(STATE, values=values, statuses=statuses))
    assert (row.values, row.status) == (shown, status)


def test_the_status_speaks_of_tags_that_are_not_shown() -> None:
    state = replace(STATE, values=(None, *STATE.values[1:]))
    assert StateRows(TAGS, ("alarm",)).row(0, state).status == "level: nothing"
