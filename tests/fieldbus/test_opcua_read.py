"""Answers to a Read request, cut by us and encoded by the library."""

import struct

import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary
from asyncua.ua.uaerrors import UaStatusCodeError
from hypothesis import given
from hypothesis import strategies as some

from testbed.core.errors import InvalidData
from testbed.core.tags import DataType
from testbed.fieldbus.opcua_read import ReadValue, results

KINDS = {
    DataType.BOOL: (ua.VariantType.Boolean, "<?", some.booleans()),
    DataType.INT16: (ua.VariantType.Int16, "<h", some.integers(-(2**15), 2**15 - 1)),
    DataType.UINT16: (ua.VariantType.UInt16, "<H", some.integers(0, 2**16 - 1)),
    DataType.INT32: (ua.VariantType.Int32, "<i", some.integers(-(2**31), 2**31 - 1)),
    DataType.UINT32: (ua.VariantType.UInt32, "<I", some.integers(0, 2**32 - 1)),
    DataType.FLOAT32: (ua.VariantType.Float, "<f", some.floats(width=32)),
    DataType.FLOAT64: (ua.VariantType.Double, "<d", some.floats()),
}
EPOCH = 116_444_736_000_000_000
MISMATCH = 0x80740000


def answer(*values: ua.DataValue) -> bytes:
    response = ua.ReadResponse()
    response.Results = list(values)
    return struct_to_binary(response)


def by_hand(value: bytes) -> bytes:
    """An answer with one DataValue of these bytes."""
    return answer()[:-8] + struct.pack("<i", 1) + value + bytes(4)


@some.composite
def values(draw: some.DrawFn) -> tuple[DataType, ua.DataValue, ReadValue]:
    """What was asked for, what the server says, and what is to be read in it."""
    asked, sent = draw(some.sampled_from(list(KINDS))), draw(some.sampled_from(list(KINDS)))
    variant, layout, numbers = KINDS[sent]
    status = draw(some.sampled_from([0, 0x400, 0x40900000, 0x80310000]))
    value = draw(some.none() | numbers)
    array = value is not None and draw(some.booleans())
    sent_value = ua.Variant([value, value] if array else value, ua.VariantType.Null if value is None else variant)
    raw = struct.pack(layout, value) if value is not None and not array and sent is asked else None
    shown = MISMATCH if raw is None and status < 0x40000000 else status
    return asked, ua.DataValue(sent_value, ua.StatusCode(ua.UInt32(status))), ReadValue(raw, shown, None)


@given(some.lists(values(), max_size=5))
def test_values_of_an_answer(found: list[tuple[DataType, ua.DataValue, ReadValue]]) -> None:
    body = answer(*[value for _, value, _ in found])
    assert results(body, [kind for kind, _, _ in found]) == [expected for _, _, expected in found]


@given(some.lists(values(), min_size=1, max_size=3), some.data())
def test_an_answer_with_a_part_missing_or_to_spare_is_none(
    found: list[tuple[DataType, ua.DataValue, ReadValue]], data: some.DataObject
) -> None:
    body = answer(*[value for _, value, _ in found])
    kinds = [kind for kind, _, _ in found]
    cut = data.draw(some.integers(0, len(body) - 1))
    for wrong in (body[:cut], body + b"\x00"):
        with pytest.raises(InvalidData):
            results(wrong, kinds)
    with pytest.raises(InvalidData, match="values came for"):
        results(body, [*kinds, DataType.BOOL])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"\x00", ReadValue(None, MISMATCH, None)),
        (b"\x02" + struct.pack("<I", 0x80340000), ReadValue(None, 0x80340000, None)),
        (b"\x01\x01\x07", ReadValue(b"\x01", 0, None)),  # true is whatever is not 0
        (b"\x05\x01\x00" + struct.pack("<q", EPOCH + 10), ReadValue(b"\x00", 0, 1000)),
        (b"\x0d\x01\x00" + struct.pack("<qq", EPOCH + 10, EPOCH + 20), ReadValue(b"\x00", 0, 1000)),
        (
            b"\x3d\x01\x00" + struct.pack("<qHqH", EPOCH + 10, 250, EPOCH + 20, 9999),
            ReadValue(b"\x00", 0, 1002),
        ),
        (b"\x05\x01\x00" + struct.pack("<q", 0), ReadValue(b"\x00", 0, None)),
        (b"\x05\x01\x00" + struct.pack("<q", 2**63 - 1), ReadValue(b"\x00", 0, None)),
    ],
)
def test_parts_of_a_value(value: bytes, expected: ReadValue) -> None:
    # OPC 10000-6, section 5.2.2.17: the picoseconds stand behind their own timestamp.
    assert results(by_hand(value), [DataType.BOOL]) == [expected]


@pytest.mark.parametrize("value", [b"\x40", b"\x80", b"\x41\x01\x00", b"\x0c", b"\x01\x3f"])
def test_what_is_no_value(value: bytes) -> None:
    with pytest.raises(InvalidData):
        results(by_hand(value), [DataType.BOOL])


def test_a_longer_header_and_a_fault() -> None:
    response = ua.ReadResponse()
    response.ResponseHeader.StringTable = [ua.String("one"), ua.String("two")]
    response.Results = [ua.DataValue(ua.Variant(True, ua.VariantType.Boolean))]
    assert results(struct_to_binary(response), [DataType.BOOL]) == [ReadValue(b"\x01", 0, None)]
    response.ResponseHeader.ServiceResult = ua.StatusCode(ua.UInt32(0x80100000))
    with pytest.raises(UaStatusCodeError, match="BadTooManyOperations"):
        results(struct_to_binary(response), [DataType.BOOL])
    fault = ua.ServiceFault()
    with pytest.raises(InvalidData, match="says Good"):
        results(struct_to_binary(fault), [])
    with pytest.raises(InvalidData, match="no answer to a Read"):
        results(struct_to_binary(ua.WriteResponse()), [])
