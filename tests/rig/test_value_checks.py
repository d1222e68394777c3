"""Values that cannot be right are told from those that can, and the byte order that cures them is found."""

import math
import struct

from hypothesis import assume, given
from hypothesis import strategies as st

from testbed.core.tags import ByteOrder, DataType, ModbusAddress, ModbusTable, Tag
from testbed.fieldbus.registers import encode
from testbed.rig.value_checks import told, value_faults


def tag(order: ByteOrder, high: float = 400.0, kind: DataType = DataType.FLOAT32) -> Tag:
    place = ModbusAddress(ModbusTable.HOLDING_REGISTER, 0, order)
    return Tag("volts", kind, "V", 0.0, high, writable=False, modbus=place, opcua="")


@given(value=st.floats(1.0, 400.0, width=32), held=st.sampled_from(ByteOrder), read=st.sampled_from(ByteOrder))
def test_a_float_in_the_wrong_order_is_cured_by_the_right_one(value: float, held: ByteOrder, read: ByteOrder) -> None:
    raw = encode(tag(held), value)
    faults = value_faults({tag(read): raw})
    if held is read:
        assert faults == []
    for fault in faults:
        assert held in fault.orders or not fault.orders


@given(value=st.floats(1.0, 400.0, width=32))
def test_swapped_registers_are_told_with_the_value_that_they_would_give(value: float) -> None:
    wrong, raw = tag(ByteOrder.ABCD), encode(tag(ByteOrder.CDAB), value)
    faults = value_faults({wrong: raw})
    assume(faults)  # a few floats are as good a value when they are turned
    _, mend = told(faults, {wrong: raw})
    assert mend.startswith('write byte_order = "')


def test_a_float_that_vanishes_is_one_that_is_turned() -> None:
    wrong, raw = tag(ByteOrder.ABCD), bytes.fromhex("199A4366")
    assert 0 < struct.unpack(">f", raw)[0] < 1e-20
    (fault,) = value_faults({wrong: raw})
    seen, mend = told([fault], {wrong: raw})
    assert seen.startswith("volts = ")
    assert mend == 'write byte_order = "CDAB" for volts: volts = 230.1 V'


def test_what_is_no_number_and_what_no_order_cures() -> None:
    right = tag(ByteOrder.ABCD)
    raw = struct.pack(">f", math.nan)
    (fault,) = value_faults({right: raw})
    assert told([fault], {right: raw})[0] == "volts = nan V (range 0..400)"
    whole = tag(ByteOrder.ABCD, 100.0, DataType.UINT16)
    raw = (0x7F7F).to_bytes(2, "big")
    (fault,) = value_faults({whole: raw})
    assert "compare type, scale, byte_order, range and address" in told([fault], {whole: raw})[1]


@given(st.floats(0.0, 400.0, width=32), st.sampled_from(ByteOrder))
def test_what_is_right_is_left_alone(value: float, order: ByteOrder) -> None:
    assume(value == 0 or value > 1e-3)
    right = tag(order)
    assert value_faults({right: encode(right, value)}) == []
