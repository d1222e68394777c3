"""What a model reads of a state: a number where there is a good one, None otherwise."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.bodies import State
from testbed.core.errors import UsageError
from testbed.core.tags import DataType, ModbusAddress, ModbusTable, Tag
from testbed.fieldbus.readings import readings_of
from testbed.fieldbus.registers import encode


def tag(name: str, kind: DataType) -> Tag:
    return Tag(name, kind, "", 0.0, 100.0, False, ModbusAddress(ModbusTable.INPUT_REGISTER, 0), f"cell.{name}")


LEVEL = tag("tank1.level", DataType.FLOAT32)
MODE = tag("control.mode", DataType.UINT16)
ALARM = tag("alarm.high", DataType.BOOL)
TAGS = (LEVEL, MODE, ALARM)
NAMES = tuple(each.name for each in TAGS)
STATE = State(1, 1, None, 0, (encode(LEVEL, 1.5), encode(MODE, 2), encode(ALARM, True)), (0, 0, 0))


def test_values_come_in_the_order_that_was_asked_for() -> None:
    assert readings_of(TAGS, NAMES)(STATE) == (1.5, 2.0, 1.0)
    assert readings_of(TAGS, NAMES[::-1])(STATE) == (1.0, 2.0, 1.5)
    assert readings_of(TAGS, (NAMES[1], NAMES[1]))(STATE) == (2.0, 2.0)
    assert readings_of(TAGS, ())(STATE) == ()
    assert all(type(value) is float for value in readings_of(TAGS, NAMES)(STATE))


@given(st.integers(0, 2**32 - 1))
def test_only_a_good_status_gives_a_value(status: int) -> None:
    # The two highest bits say Good, Uncertain or Bad; what is below them does not matter.
    read = readings_of(TAGS, NAMES)(replace(STATE, statuses=(0, status, 0)))
    assert read == (1.5, 2.0 if status < 2**30 else None, 1.0)


@pytest.mark.parametrize("status", [0x4000_0000, 0x8000_0000, 0x8005_0000, 0xC000_0000])
def test_uncertain_and_bad_give_none(status: int) -> None:
    assert readings_of(TAGS, NAMES)(replace(STATE, statuses=(status, 0, 0))) == (None, 2.0, 1.0)


@pytest.mark.parametrize("raw", [None, b"", b"\x00", b"\x00\x01\x00", b"\x00" * 4])
def test_what_was_not_read_or_is_not_of_the_type_gives_none(raw: bytes | None) -> None:
    values = (STATE.values[0], raw, STATE.values[2])
    assert readings_of(TAGS, NAMES)(replace(STATE, values=values)) == (1.5, None, 1.0)


def test_a_bool_is_00_or_01() -> None:
    for raw, expected in ((b"\x00", 0.0), (b"\x01", 1.0), (b"\x02", None), (b"\xff", None)):
        values = (*STATE.values[:2], raw)
        assert readings_of(TAGS, ("alarm.high",))(replace(STATE, values=values)) == (expected,)


def test_a_state_with_fewer_values_than_tags_gives_none_behind_them() -> None:
    short = replace(STATE, values=STATE.values[:1], statuses=STATE.statuses[:1])
    assert readings_of(TAGS, NAMES)(short) == (1.5, None, None)


def test_a_name_that_is_no_tag_is_said_before_anything_is_read() -> None:
    with pytest.raises(UsageError, match=r"tank9\.level, tank8\.level") as raised:
        readings_of(TAGS, ("tank1.level", "tank9.level", "tank8.level"))
    assert raised.value.mend
