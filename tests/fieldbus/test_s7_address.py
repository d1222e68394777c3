"""S7 addresses: every form that people write is read, and what is none says what is wrong and how to mend it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import InvalidData, UsageError
from testbed.core.tags import DataType, ModbusAddress, ModbusTable, Tag
from testbed.fieldbus.s7_address import Area, S7Address, address_of, parse


def tag(kind: DataType, s7: str) -> Tag:
    return Tag("tank.level", kind, "", 0, 1, True, ModbusAddress(ModbusTable.HOLDING_REGISTER, 0), "n", s7=s7)


@st.composite
def addresses(draw: st.DrawFn) -> S7Address:
    area = draw(st.sampled_from(Area))
    db = draw(st.integers(1, 65535)) if area is Area.DATA_BLOCK else 0
    bit = draw(st.none() | st.integers(0, 7))
    size = 1 if bit is not None else draw(st.sampled_from([1, 2, 4, 8]))
    return S7Address(area, db, draw(st.integers(0, 65536 - size)), bit, size)


@given(addresses())
def test_what_is_written_is_read_again(address: S7Address) -> None:
    for written in (str(address), f"%{address}", str(address).lower()):
        assert parse(written) == address


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("DB1.DBX0.0", "DB1.DBX0.0"),
        ("%DB10.DBD4", "DB10.DBD4"),
        ("db3.dbw012", "DB3.DBW12"),
        ("DB1.DBL8", "DB1.DBL8"),
        ("DB1,DBB3", "DB1.DBB3"),
        ("I0.7", "I0.7"),
        ("E0.7", "I0.7"),
        ("%IX0.7", "I0.7"),
        ("EW2", "IW2"),
        ("A1.0", "Q1.0"),
        ("AB1", "QB1"),
        ("QD4", "QD4"),
        ("M10.5", "M10.5"),
        ("%MX10.5", "M10.5"),
        ("MW20", "MW20"),
        ("V1104.3", "DB1.DBX1104.3"),
        ("VW1118", "DB1.DBW1118"),
    ],
)
def test_the_ways_in_which_it_is_written(text: str, written: str) -> None:
    assert str(parse(text)) == written


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no S7 address"),
        ("DB1", "no S7 address"),
        ("DB1.DBS4", "no S7 address"),
        ("DB1.DBD", "no S7 address"),
        ("DB1.DBD-4", "no S7 address"),
        ("T1", "no S7 address"),
        ("%IW64:P", "no S7 address"),
        ("DB1.DBD4 ", "no S7 address"),
        ("DB1.DBD٤", "no S7 address"),
        ("DB1.DBX4", "names no bit"),
        ("I4", "names no bit"),
        ("DB1.DBD4.1", "a bit of what is no bit"),
        ("M4.8", "from 0 to 7"),
        ("DB0.DBD4", "from 1 to 65535"),
        ("DB65536.DBD4", "from 1 to 65535"),
        ("DB1.DBD65533", "from 0 to 65535"),
        ("MB65536", "from 0 to 65535"),
    ],
)
def test_what_is_none(text: str, said: str) -> None:
    with pytest.raises(InvalidData, match=said):
        parse(text)


@given(st.text("DBXWLIQM%.,0123456789", max_size=14))
def test_nothing_but_an_address_or_a_fault_comes_of_it(text: str) -> None:
    try:
        address = parse(text)
    except InvalidData:
        return
    assert parse(str(address)) == address


@pytest.mark.parametrize(
    ("kind", "s7"),
    [
        (DataType.BOOL, "M0.0"),
        (DataType.INT16, "DB1.DBW0"),
        (DataType.UINT16, "DB1.DBB0"),
        (DataType.UINT32, "ID0"),
        (DataType.FLOAT32, "DB1.DBD0"),
        (DataType.FLOAT64, "DB1.DBL0"),
    ],
)
def test_what_fits(kind: DataType, s7: str) -> None:
    assert str(address_of(tag(kind, s7))) == s7


@pytest.mark.parametrize(
    ("kind", "s7", "mend"),
    [
        (DataType.BOOL, "MB0", "M0.0"),
        (DataType.BOOL, "DB1.DBW4", "DB1.DBX4.0"),
        (DataType.INT16, "DB1.DBD4", "DB1.DBW4"),
        (DataType.INT16, "M0.0", "MW0"),
        (DataType.FLOAT32, "DB1.DBW4", "DB1.DBD4"),
        (DataType.FLOAT64, "DB1.DBD4", "DB1.DBL4"),
        (DataType.INT32, "", "DB1.DBD4"),
        (DataType.INT32, "40001", "DB1.DBD4"),
    ],
)
def test_what_does_not_fit_names_tag_and_mend(kind: DataType, s7: str, mend: str) -> None:
    with pytest.raises(UsageError, match=r"tank\.level") as caught:
        address_of(tag(kind, s7))
    assert mend in caught.value.mend
