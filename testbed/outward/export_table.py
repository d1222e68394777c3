"""Rows of states as Arrow batches: one set of types for both kinds of files."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # the package ships no types

from testbed.core.errors import InvalidData
from testbed.core.exported import BOOT, FIXED, INDEX, SCAN, STATUS, TIME, About, StateRow
from testbed.core.tags import DataType, Tag
from testbed.outward.export_about import encode_about
from testbed.outward.parquet_fields import KEY, tag_field

_TYPES = {
    DataType.BOOL: pa.bool_(),
    DataType.INT16: pa.int16(),
    DataType.UINT16: pa.uint16(),
    DataType.INT32: pa.int32(),
    DataType.UINT32: pa.uint32(),
    DataType.FLOAT32: pa.float32(),
    DataType.FLOAT64: pa.float64(),
}


def export_schema(about: About, tags: Sequence[Tag]) -> Any:  # noqa: ANN401 - pyarrow has no types
    """The columns, each tag in the PLC's own type, a scaled one as a double; and what the export says of itself."""
    fields = [
        pa.field(INDEX, pa.int64()),
        pa.field(TIME, pa.timestamp("ns", "UTC")),
        pa.field(BOOT, pa.uint64()),
        pa.field(SCAN, pa.uint64()),
        pa.field(STATUS, pa.string()),
        *(tag_field(tag.name, tag.unit, pa.float64() if tag.scaled else _TYPES[tag.type], FIXED) for tag in tags),
    ]
    return pa.schema(fields, metadata={KEY: encode_about(about)})


def export_batch(rows: Sequence[StateRow], schema: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
    """The rows as one batch. Raises InvalidData for a time beyond the year 2262, which 64 bits cannot hold."""
    columns = [
        [row.index for row in rows],
        [row.time_ns for row in rows],
        [row.boot for row in rows],
        [row.scan for row in rows],
        [row.status for row in rows],
        *(list(column) for column in zip(*(row.values for row in rows), strict=True)),
    ]
    try:
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    except (pa.ArrowException, OverflowError) as error:
        raise InvalidData(
            f"records {rows[0].index} to {rows[-1].index}: no column can hold what they say: {error}"
        ) from None
    return pa.record_batch(arrays, schema=schema)
