"""Tag lists and parameters: their bytes are fixed, since a genesis and a twin record hold their hashes."""

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import InvalidData
from testbed.core.tags import ByteOrder, DataType, ModbusAddress, ModbusTable, Tag
from testbed.record import cbor
from testbed.record.schema import (
    NO_SCHEMA,
    decode_parameters,
    decode_tags,
    encode_parameters,
    encode_tags,
    parameters_hash,
    schema_hash,
)

LEVEL = Tag(
    name="tank1.level",
    type=DataType.FLOAT32,
    unit="m",
    low=0.0,
    high=2.0,
    writable=False,
    modbus=ModbusAddress(ModbusTable.INPUT_REGISTER, 4, ByteOrder.CDAB),
    opcua="cell.tank1.level",
)

text = st.text(st.characters(codec="utf-8"), max_size=20)
numbers = st.floats(allow_nan=False)
tags = st.builds(
    Tag,
    name=text,
    type=st.sampled_from(DataType),
    unit=text,
    low=numbers,
    high=numbers,
    writable=st.booleans(),
    modbus=st.builds(ModbusAddress, st.sampled_from(ModbusTable), st.integers(0, 65535), st.sampled_from(ByteOrder)),
    opcua=text,
    scale=st.sampled_from([1.0, 0.1, -2.0]),
    offset=st.sampled_from([0.0, -273.15]),
    unit_id=st.none() | st.integers(0, 255),
    s7=st.sampled_from(["", "DB1.DBD4"]),
)


def test_a_tag_list_by_hand() -> None:
    items = [
        "tank1.level",
        "float32",
        "m",
        bytes(8),
        bytes.fromhex("4000000000000000"),
        False,
        ["input_register", 4, "CDAB"],
        "cell.tank1.level",
    ]
    assert encode_tags([LEVEL]) == cbor.encode([items])
    assert schema_hash([LEVEL]) == hashlib.sha256(cbor.encode([items])).digest()
    assert schema_hash([LEVEL]).hex() == "2e378b2ed3356fd4871e07db2d9ff1bbb2cde7f696244f971e9eec34a95e4d8f"
    assert not any(NO_SCHEMA)
    assert len(NO_SCHEMA) == 32


def test_where_a_device_stands_and_how_it_scales_by_hand() -> None:
    tag = replace(LEVEL, scale=0.5, offset=-1.0, unit_id=7, s7="DB1.DBD4")
    items = cbor.decode(encode_tags([tag]))
    assert items[0][8:] == [[bytes.fromhex("3fe0000000000000"), bytes.fromhex("bff0000000000000"), 7, "DB1.DBD4"]]  # type: ignore[index]  # as decoded
    assert items[0][:8] == cbor.decode(encode_tags([LEVEL]))[0]  # type: ignore[index]  # as decoded


@pytest.mark.parametrize(
    "more",
    [
        [],
        [None],
        [[]],
        [[cbor.float8(1.0), cbor.float8(0.0), None, ""]],
        [[cbor.float8(0.0), cbor.float8(0.0), None, ""]],
        [[cbor.float8(float("nan")), cbor.float8(0.0), None, ""]],
        [[cbor.float8(2.0), cbor.float8(0.0), 256, ""]],
        [[cbor.float8(2.0), cbor.float8(0.0), True, ""]],
        [[cbor.float8(2.0), cbor.float8(0.0), None, ""], 1],
    ],
    ids=repr,
)
def test_what_stands_behind_a_tag_is_whole_and_says_something(more: list[object]) -> None:
    items = cbor.decode(encode_tags([LEVEL]))
    assert isinstance(items, list)
    if more:
        with pytest.raises(InvalidData):
            decode_tags(cbor.encode([[*items[0], *more]]))
    else:
        assert decode_tags(cbor.encode([items[0]])) == (LEVEL,)


@given(st.lists(tags, max_size=4))
def test_tag_lists_round_trip(listed: list[Tag]) -> None:
    data = encode_tags(listed)
    assert decode_tags(data) == tuple(listed)
    assert schema_hash(listed) == hashlib.sha256(data).digest()


def test_every_field_and_the_order_of_tags_change_the_hash() -> None:
    others = [
        replace(LEVEL, name="tank2.level"),
        replace(LEVEL, type=DataType.FLOAT64),
        replace(LEVEL, unit="cm"),
        replace(LEVEL, low=-0.0),
        replace(LEVEL, high=2.5),
        replace(LEVEL, writable=True),
        replace(LEVEL, modbus=replace(LEVEL.modbus, address=5)),
        replace(LEVEL, modbus=replace(LEVEL.modbus, table=ModbusTable.HOLDING_REGISTER)),
        replace(LEVEL, modbus=replace(LEVEL.modbus, byte_order=ByteOrder.ABCD)),
        replace(LEVEL, opcua="cell.level"),
        replace(LEVEL, scale=0.1),
        replace(LEVEL, offset=1.0),
        replace(LEVEL, unit_id=1),
        replace(LEVEL, s7="DB1.DBD4"),
    ]
    hashes = {schema_hash([tag]) for tag in [LEVEL, *others]}
    assert len(hashes) == 1 + len(others)
    assert schema_hash([LEVEL, others[0]]) != schema_hash([others[0], LEVEL])


def test_every_flipped_bit_of_a_tag_list_is_refused_or_another_list() -> None:
    data = encode_tags([LEVEL])
    for position in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << (position % 8)
        try:
            other = decode_tags(bytes(flipped))
        except InvalidData:
            continue
        assert encode_tags(other) == bytes(flipped)


@pytest.mark.parametrize(
    "tag",
    [
        replace(LEVEL, modbus=ModbusAddress(ModbusTable.COIL, 65536)),
        replace(LEVEL, modbus=ModbusAddress(ModbusTable.COIL, -1)),
        replace(LEVEL, modbus=ModbusAddress(ModbusTable.COIL, True)),
        replace(LEVEL, low=True),
        replace(LEVEL, writable=1),  # type: ignore[arg-type]  # what must be refused
        replace(LEVEL, name=b"level"),  # type: ignore[arg-type]  # what must be refused
        replace(LEVEL, unit=None),  # type: ignore[arg-type]  # what must be refused
    ],
    ids=repr,
)
def test_tags_that_are_not_written(tag: Tag) -> None:
    with pytest.raises(InvalidData):
        encode_tags([tag])


@pytest.mark.parametrize(
    "value",
    [None, 1, "tags", [1], [[]], [["a"] * 8], [["a", "word", "", bytes(8), bytes(8), True, ["coil", 0, "ABCD"], "n"]]],
    ids=repr,
)
def test_other_values_are_no_tag_list(value: object) -> None:
    with pytest.raises(InvalidData):
        decode_tags(cbor.encode(value))


@given(st.dictionaries(text, numbers, max_size=6))
def test_parameters_round_trip_sorted_by_name(parameters: dict[str, float]) -> None:
    data = encode_parameters(parameters)
    assert decode_parameters(data) == parameters
    assert list(decode_parameters(data)) == sorted(parameters)
    assert encode_parameters(dict(reversed(parameters.items()))) == data
    assert parameters_hash(parameters) == parameters_hash(data) == hashlib.sha256(data).digest()


def test_parameters_by_hand() -> None:
    assert encode_parameters({"b": -0.0, "a": 1}) == bytes.fromhex(
        "82" + "82" + "6161" + "48" + "3ff0000000000000" + "82" + "6162" + "48" + "8000000000000000"
    )


@pytest.mark.parametrize(
    "value",
    [
        None,
        [1],
        [["a"]],
        [["a", bytes(8), 1]],
        [["a", bytes(7)]],
        [["a", 1]],
        [[1, bytes(8)]],
        [["b", bytes(8)], ["a", bytes(8)]],
        [["a", bytes(8)], ["a", bytes(8)]],
    ],
    ids=repr,
)
def test_other_values_are_no_parameters(value: object) -> None:
    with pytest.raises(InvalidData):
        decode_parameters(cbor.encode(value))


def test_what_is_no_number_is_no_parameter() -> None:
    with pytest.raises(InvalidData):
        encode_parameters({"a": True})
