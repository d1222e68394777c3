"""Lines of a run's journal: what goes in comes out, to the bit; what is damaged is refused."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import InvalidData
from testbed.core.measurement import Measurement
from testbed.record.runs import Record, decode_measurement, decode_record, encode_measurement, encode_record
from tests.rig.runs import CASES, MEASUREMENTS, RECORDS, measurement


@given(RECORDS)
def test_a_record_comes_back_as_it_was_and_in_the_same_bytes(record: Record) -> None:
    line = encode_record(record)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    back = decode_record(line[:-1])
    assert back == record
    assert encode_record(back) == line


@given(st.floats())
def test_a_float_comes_back_to_the_last_bit(value: float) -> None:
    back = decode_measurement(encode_measurement(replace(measurement(), value=value))[:-1]).value
    assert isinstance(back, float)
    assert (math.isnan(back) and math.isnan(value)) or (back.hex() == value.hex())


@given(MEASUREMENTS)
def test_a_measurement_is_json_that_others_read(one: Measurement) -> None:
    def refused(text: str) -> object:
        raise AssertionError(text)

    said = json.loads(encode_measurement(one), parse_constant=refused)
    assert list(said)[:5] == ["test", "name", "tag", "unit", "value"]
    assert said["outcome"] == one.outcome.value


def test_true_is_not_one_and_one_is_not_one_point_nought() -> None:
    values = [True, 1, 1.0]
    backs = [decode_measurement(encode_measurement(replace(measurement(), value=value))[:-1]).value for value in values]
    assert [type(back) for back in backs] == [bool, int, float]


@given(CASES, st.data())
def test_a_field_that_is_missing_or_of_another_kind_is_named(record: Record, data: st.DataObject) -> None:
    said = json.loads(encode_record(record))
    key = data.draw(st.sampled_from([name for name in said if name != "record"]))
    with pytest.raises(InvalidData, match=key):
        decode_record(json.dumps({**said, key: None}).encode())
    del said[key]
    with pytest.raises(InvalidData, match=key):
        decode_record(json.dumps(said).encode())


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"{}", b'{"record": "other"}', b"\xff"])
def test_what_is_no_record_is_refused(line: bytes) -> None:
    with pytest.raises(InvalidData):
        decode_record(line)
