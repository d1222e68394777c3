"""Two readers pack the same image of a scan, in whatever order their protocols bring the bytes."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import InvalidData, UsageError
from testbed.core.tags import ByteOrder, DataType, ModbusAddress, ModbusTable, Tag, Value
from testbed.fieldbus.packed import image_size, packer_of, repacker_of
from testbed.fieldbus.registers import as_read, encode

VALUES: dict[DataType, st.SearchStrategy[Value]] = {
    DataType.BOOL: st.booleans(),
    DataType.INT16: st.integers(-(2**15), 2**15 - 1),
    DataType.UINT16: st.integers(0, 2**16 - 1),
    DataType.INT32: st.integers(-(2**31), 2**31 - 1),
    DataType.UINT32: st.integers(0, 2**32 - 1),
    DataType.FLOAT32: st.floats(width=32),
    DataType.FLOAT64: st.floats(),
}


def tag(name: str, kind: DataType, order: ByteOrder) -> Tag:
    return Tag(name, kind, "", 0.0, 1.0, False, ModbusAddress(ModbusTable.INPUT_REGISTER, 0, order), name)


@st.composite
def rows(draw: st.DrawFn) -> tuple[Sequence[Tag], Sequence[Value]]:
    kinds = draw(st.lists(st.tuples(st.sampled_from(DataType), st.sampled_from(ByteOrder)), min_size=1, max_size=12))
    tags = [tag(f"t{place}", kind, order) for place, (kind, order) in enumerate(kinds)]
    return tags, [draw(VALUES[one.type]) for one in tags]


@given(rows())
def test_the_device_and_both_readers_pack_one_image(row: tuple[Sequence[Tag], Sequence[Value]]) -> None:
    tags, values = row
    image = packer_of(tags)(values)
    assert len(image) == image_size(tags)
    for read in (tags, as_read(tags)):
        raws = [encode(one, value) for one, value in zip(read, values, strict=True)]
        assert repacker_of(read)(raws, None) == image


@given(rows(), st.data())
def test_what_was_not_read_is_taken_from_another_image_or_there_is_none(
    row: tuple[Sequence[Tag], Sequence[Value]], data: st.DataObject
) -> None:
    tags, values = row
    image = packer_of(tags)(values)
    raws: list[bytes | None] = [encode(one, value) for one, value in zip(tags, values, strict=True)]
    place = data.draw(st.integers(0, len(tags) - 1))
    raws[place] = None
    repack = repacker_of(tags)
    assert repack(raws, image) == image
    assert repack(raws, None) is None
    raws[place] = bytes(9)
    assert repack(raws, image) is None
    assert repack(raws[:-1], image) is None


def test_values_that_do_not_fit_are_refused() -> None:
    pack = packer_of([tag("a", DataType.UINT16, ByteOrder.ABCD)])
    for values in ((-1,), (2**16,), (1.5,), (), (1, 2)):
        with pytest.raises(InvalidData, match="do not fit"):
            pack(values)


def test_a_scaled_tag_has_no_place_in_an_image() -> None:
    scaled = replace(tag("a", DataType.UINT16, ByteOrder.ABCD), scale=0.1)
    for make in (packer_of, repacker_of):
        with pytest.raises(UsageError, match="scaled"):
            make([scaled])
