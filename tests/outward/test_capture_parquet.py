"""Captures as Parquet: what goes in comes out, and others read columns of the types and units that they expect."""

import io

import pyarrow as pa  # type: ignore[import-untyped]  # the package ships no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import InvalidData
from testbed.core.measurement import Capture
from testbed.core.tags import Value
from testbed.outward.capture_parquet import decode_capture, encode_capture
from tests.rig.runs import capture

COLUMNS: list[st.SearchStrategy[Value]] = [
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 2**64 - 1),
    st.floats(allow_nan=False),
]


@st.composite
def captures(draw: st.DrawFn) -> Capture:
    tags = draw(st.lists(st.sampled_from(["a", "b.c", "scan", "time_s", "ü"]), unique=True, max_size=4))
    rows = draw(st.integers(0, 5))
    columns = [draw(st.lists(st.none() | draw(st.sampled_from(COLUMNS)), min_size=rows, max_size=rows)) for _ in tags]
    scans = draw(st.lists(st.none() | st.integers(0, 2**64 - 1), min_size=rows, max_size=rows))
    times = tuple(float(place) for place in range(rows))
    values = tuple(tuple(column[row] for column in columns) for row in range(rows))
    return Capture("t", "n", tuple(tags), tuple("°C" for _ in tags), draw(st.integers(0)), times, tuple(scans), values)


@given(captures())
def test_a_capture_comes_back_as_it_was_and_in_the_same_bytes(one: Capture) -> None:
    data = encode_capture(one)
    assert decode_capture(data) == one
    assert encode_capture(decode_capture(data)) == data


def test_others_read_types_units_and_nulls() -> None:
    table = pq.read_table(io.BytesIO(encode_capture(capture())))
    assert table.column_names == ["time_s", "scan", "tank2.level", "pump.running"]
    assert [str(kind) for kind in table.schema.types] == ["double", "int64", "double", "bool"]
    assert table.schema.field("tank2.level").metadata[b"unit"] == b"m"
    assert table["tank2.level"].null_count == 1


def test_what_is_no_capture_is_refused() -> None:
    other = io.BytesIO()
    pq.write_table(pa.table({"a": [1]}), other)
    for data in (b"", b"PAR1", encode_capture(capture())[:-3], other.getvalue()):
        with pytest.raises(InvalidData, match="no capture"):
            decode_capture(data)
