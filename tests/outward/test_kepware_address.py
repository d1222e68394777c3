"""Addresses in Kepware's lists: where they are on the wire, and what is said of those that a bench has no tags for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.tags import DataType, ModbusTable
from testbed.outward.draft import NotTaken
from testbed.outward.kepware_address import ModbusPlace, modbus_place, s7_place

COIL, INPUT = ModbusTable.COIL, ModbusTable.INPUT_REGISTER
DISCRETE, HOLDING = ModbusTable.DISCRETE_INPUT, ModbusTable.HOLDING_REGISTER


@given(st.sampled_from(ModbusTable), st.integers(0, 65535))
def test_a_place_is_read_as_it_is_written(table: ModbusTable, address: int) -> None:
    assert modbus_place(str(ModbusPlace(table, address))) == ModbusPlace(table, address)


@pytest.mark.parametrize(
    ("text", "table", "address"),
    [
        ("400001", HOLDING, 0),
        ("40001", HOLDING, 0),
        ("49999", HOLDING, 9998),
        ("465536", HOLDING, 65535),
        ("300001", INPUT, 0),
        ("30010", INPUT, 9),
        ("100001", DISCRETE, 0),
        ("10017", DISCRETE, 16),
        ("000001", COIL, 0),
        ("00002", COIL, 1),
    ],
)
def test_modbus(text: str, table: ModbusTable, address: int) -> None:
    assert modbus_place(text) == ModbusPlace(table, address)


@pytest.mark.parametrize(
    ("text", "said", "mend"),
    [
        ("40001.3", "a bit of a register", "40001 as uint16"),
        ("400001.15", "a bit of a register", "400001 as uint16"),
        ("400001.10H", "text", "other tool"),
        ("400001 [10]", "an array", "a tag of its own"),
        ("300001[4][8]", "an array", "a tag of its own"),
        ("W400001", "can only be written", "400001"),
        ("400000", "from 1 to 65536", "correct"),
        ("465537", "from 1 to 65536", "correct"),
        ("200001", "no Modbus address", "400001"),
        ("1", "no Modbus address", "all its digits"),
        ("", "no Modbus address", "400001"),
        ("40001 ", "no Modbus address", "400001"),
        ("٤٠٠٠١", "no Modbus address", "400001"),
    ],
)
def test_what_is_no_modbus_tag_names_its_mend(text: str, said: str, mend: str) -> None:
    with pytest.raises(NotTaken, match=said) as caught:
        modbus_place(text)
    assert mend in caught.value.mend


@pytest.mark.parametrize(
    ("text", "written", "kind"),
    [
        ("DB1,REAL4", "DB1.DBD4", DataType.FLOAT32),
        ("DB1,LREAL8", "DB1.DBL8", DataType.FLOAT64),
        ("DB10,INT2", "DB10.DBW2", DataType.INT16),
        ("DB1,I2", "DB1.DBW2", DataType.INT16),
        ("DB1,W2", "DB1.DBW2", DataType.UINT16),
        ("DB1,WORD2", "DB1.DBW2", DataType.UINT16),
        ("DB1,DINT0", "DB1.DBD0", DataType.INT32),
        ("DB1,DI0", "DB1.DBD0", DataType.INT32),
        ("DB1,D0", "DB1.DBD0", DataType.UINT32),
        ("DB1,DWORD0", "DB1.DBD0", DataType.UINT32),
        ("DB1,B7", "DB1.DBB7", DataType.UINT16),
        ("DB1,CHAR7", "DB1.DBB7", DataType.INT16),
        ("DB1,X0.3", "DB1.DBX0.3", DataType.BOOL),
        ("DB1.DBX0.3", "DB1.DBX0.3", DataType.BOOL),
        ("DB1.DBD4", "DB1.DBD4", DataType.UINT32),
        ("db1,real4", "DB1.DBD4", DataType.FLOAT32),
        # The lowest bit of a word stands in its last byte.
        ("DB1,W10.0", "DB1.DBX11.0", DataType.BOOL),
        ("DB1,W10.8", "DB1.DBX10.0", DataType.BOOL),
        ("DB1,D10.31", "DB1.DBX10.7", DataType.BOOL),
        ("DB1,B10.7", "DB1.DBX10.7", DataType.BOOL),
        ("I0.7", "I0.7", DataType.BOOL),
        ("EX0.7", "I0.7", DataType.BOOL),
        ("IW2", "IW2", DataType.UINT16),
        ("QB1", "QB1", DataType.UINT16),
        ("AINT4", "QW4", DataType.INT16),
        ("MREAL4", "MD4", DataType.FLOAT32),
        ("FDI8", "MD8", DataType.INT32),
    ],
)
def test_siemens(text: str, written: str, kind: DataType) -> None:
    place = s7_place(text)
    assert (str(place.address), place.type) == (written, kind)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("DB1,STRING10.20", "a text, a time or of 64 bits"),
        ("DB1,DATE10", "a text, a time or of 64 bits"),
        ("DB1,LINT8", "a text, a time or of 64 bits"),
        ("DB1,REAL4[10]", "an array"),
        ("DB1,X0", "names no bit"),
        ("DB1,X0.8", "no bit 8"),
        ("DB1,W0.16", "no bit 16"),
        ("DB1,REAL4.1", "no bit 1"),
        ("DB1,FOO4", "FOO is no type"),
        ("DB0,INT4", "from 1"),
        ("DB1,INT65535", "from 0"),
        ("T1", "a timer, a counter or a periphery"),
        ("C12", "a timer, a counter or a periphery"),
        ("PIW256", "a timer, a counter or a periphery"),
        ("DB1", "no S7 address"),
        ("", "no S7 address"),
    ],
)
def test_what_is_no_siemens_tag(text: str, said: str) -> None:
    with pytest.raises(NotTaken, match=said) as caught:
        s7_place(text)
    assert caught.value.mend


@given(st.text("DBWXREALINT0123456789,.[]: ", max_size=16))
def test_whatever_stands_there_is_a_place_or_is_told(text: str) -> None:
    mends = []
    for read in (modbus_place, s7_place):
        try:
            mends.append(str(read(text)))
        except NotTaken as error:
            mends.append(error.mend)
    assert all(mends)
