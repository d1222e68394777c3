"""Values to registers and back: every type in every byte order, and nothing else."""

import math
import re
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import InvalidData
from testbed.core.tags import ByteOrder, DataType, ModbusAddress, ModbusTable, Tag, Value
from testbed.fieldbus.registers import bytes_of, decode, decoder_of, encode, registers_of

VALUES: dict[DataType, st.SearchStrategy[Value]] = {
    DataType.BOOL: st.booleans(),
    DataType.INT16: st.integers(-(2**15), 2**15 - 1),
    DataType.UINT16: st.integers(0, 2**16 - 1),
    DataType.INT32: st.integers(-(2**31), 2**31 - 1),
    DataType.UINT32: st.integers(0, 2**32 - 1),
    DataType.FLOAT32: st.floats(width=32, allow_nan=False),
    DataType.FLOAT64: st.floats(allow_nan=False),
}


def a_tag(kind: DataType, order: ByteOrder = ByteOrder.ABCD) -> Tag:
    table = ModbusTable.COIL if kind is DataType.BOOL else ModbusTable.HOLDING_REGISTER
    return Tag("a.tag", kind, "", 0.0, 1.0, True, ModbusAddress(table, 0, order), "cell.a.tag")


some_tags = given(
    st.lists(
        st.builds(a_tag, st.sampled_from(DataType), st.sampled_from(ByteOrder)).flatmap(
            lambda tag: st.tuples(
                st.just(tag),
                # Mostly as it should be, so that long lists are as well.
                st.sampled_from(range(20)).flatmap(
                    lambda luck: (
                        st.none() | st.binary(max_size=8)
                        if luck == 0
                        else VALUES[tag.type].map(lambda value: encode(tag, value))
                    )
                ),
            )
        ),
        max_size=8,
    )
)


@pytest.mark.parametrize("order", ByteOrder)
@pytest.mark.parametrize("kind", DataType)
@given(data=st.data())
def test_every_value_comes_back(kind: DataType, order: ByteOrder, data: st.DataObject) -> None:
    tag = a_tag(kind, order)
    value = data.draw(VALUES[kind])
    raw = encode(tag, value)
    assert len(raw) == kind.size
    back = decode(tag, raw)
    assert (back, type(back)) == (value, type(value))


@pytest.mark.parametrize("order", ByteOrder)
@pytest.mark.parametrize("kind", [kind for kind in DataType if kind is not DataType.BOOL])
@given(data=st.data())
def test_all_bytes_come_back_unless_they_are_no_number(kind: DataType, order: ByteOrder, data: st.DataObject) -> None:
    tag = a_tag(kind, order)
    raw = data.draw(st.binary(min_size=kind.size, max_size=kind.size))
    value = decode(tag, raw)
    if value == value:
        assert encode(tag, value) == raw


@pytest.mark.parametrize(
    ("kind", "order", "value", "raw"),
    [
        (DataType.UINT32, ByteOrder.ABCD, 0x0A0B0C0D, "0a0b0c0d"),
        (DataType.UINT32, ByteOrder.CDAB, 0x0A0B0C0D, "0c0d0a0b"),
        (DataType.UINT32, ByteOrder.BADC, 0x0A0B0C0D, "0b0a0d0c"),
        (DataType.UINT32, ByteOrder.DCBA, 0x0A0B0C0D, "0d0c0b0a"),
        (DataType.UINT16, ByteOrder.ABCD, 0x0A0B, "0a0b"),
        (DataType.UINT16, ByteOrder.CDAB, 0x0A0B, "0a0b"),
        (DataType.UINT16, ByteOrder.DCBA, 0x0A0B, "0b0a"),
        (DataType.INT16, ByteOrder.ABCD, -2, "fffe"),
        (DataType.FLOAT32, ByteOrder.ABCD, 1.0, "3f800000"),
        (DataType.FLOAT32, ByteOrder.CDAB, 1.0, "00003f80"),
        (DataType.FLOAT64, ByteOrder.ABCD, 1.0, "3ff0000000000000"),
        (DataType.FLOAT64, ByteOrder.CDAB, struct.unpack(">d", bytes(range(8)))[0], "0607040502030001"),
        (DataType.FLOAT64, ByteOrder.BADC, struct.unpack(">d", bytes(range(8)))[0], "0100030205040706"),
        (DataType.FLOAT64, ByteOrder.DCBA, struct.unpack(">d", bytes(range(8)))[0], "0706050403020100"),
        (DataType.BOOL, ByteOrder.ABCD, True, "01"),
    ],
)
def test_known_answers(kind: DataType, order: ByteOrder, value: Value, raw: str) -> None:
    assert encode(a_tag(kind, order), value).hex() == raw
    assert decode(a_tag(kind, order), bytes.fromhex(raw)) == value


@pytest.mark.parametrize("kind", DataType)
def test_another_length_is_refused(kind: DataType) -> None:
    for size in {0, kind.size - 1, kind.size + 1, 2 * kind.size}:
        with pytest.raises(InvalidData, match="bytes"):
            decode(a_tag(kind), bytes(size))


def test_a_bool_is_00_or_01() -> None:
    with pytest.raises(InvalidData, match="neither"):
        decode(a_tag(DataType.BOOL), b"\x02")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (DataType.BOOL, 1),
        (DataType.UINT16, True),
        (DataType.UINT16, 1.0),
        (DataType.UINT16, -1),
        (DataType.UINT16, 65536),
        (DataType.INT16, 32768),
        (DataType.UINT32, 2**32),
        (DataType.FLOAT32, 1),
        (DataType.FLOAT32, 1e39),
        (DataType.FLOAT64, False),
    ],
)
def test_a_value_of_another_type_or_size_is_refused(kind: DataType, value: Value) -> None:
    with pytest.raises(InvalidData, match=r"a\.tag"):
        encode(a_tag(kind), value)


@pytest.mark.parametrize(
    ("kind", "scale", "offset", "held", "value"),
    [
        (DataType.INT16, 0.1, 0.0, -5, -0.5),
        (DataType.UINT16, 0.5, -20.0, 100, 30.0),
        (DataType.FLOAT32, 2.0, 1.0, 1.5, 4.0),
    ],
)
def test_what_the_device_holds_is_scaled(
    kind: DataType, scale: float, offset: float, held: Value, value: float
) -> None:
    plain = a_tag(kind)
    tag = replace(plain, scale=scale, offset=offset)
    assert encode(tag, value) == encode(plain, held)
    assert decode(tag, encode(plain, held)) == value
    assert decoder_of([plain, tag])([encode(plain, held)] * 2) == [held, value]


@pytest.mark.parametrize("value", [True, math.nan, math.inf, 1e9])
def test_what_cannot_be_scaled_into_the_device_is_refused(value: Value) -> None:
    with pytest.raises(InvalidData, match=r"a\.tag"):
        encode(replace(a_tag(DataType.UINT16), scale=0.1), value)


@given(st.lists(st.integers(0, 65535)))
def test_registers_and_bytes(registers: list[int]) -> None:
    assert registers_of(bytes_of(registers)) == registers
    with pytest.raises(InvalidData, match="whole registers"):
        registers_of(bytes_of(registers) + b"\x00")


@some_tags
def test_all_at_once_is_one_by_one(found: list[tuple[Tag, bytes | None]]) -> None:
    tags, raws = [tag for tag, _ in found], [raw for _, raw in found]
    decoder = decoder_of(tags)
    try:
        values = [decode(tag, raw) for tag, raw in found]
    except InvalidData as error:
        with pytest.raises(InvalidData, match=f"^{re.escape(str(error))}$"):
            decoder(raws)
    else:
        # As text, by which a NaN is itself and 0.0 is not -0.0.
        assert [(str(value), type(value)) for value in decoder(raws)] == [(str(value), type(value)) for value in values]


def test_all_at_once_wants_a_value_for_each_tag() -> None:
    decoder = decoder_of([a_tag(DataType.UINT16), a_tag(DataType.UINT16)])
    assert decoder([b"\x00\x01", b"\x00\x02"]) == [1, 2]
    for raws in ([b"\x00\x01"], [b"\x00\x01"] * 3, [b"\x00\x01", b"\x00\x02", None]):
        with pytest.raises(InvalidData, match="there are 2 tags"):
            decoder(raws)
