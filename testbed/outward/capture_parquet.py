"""A capture as a Parquet file: `time_s`, `scan`, then a column for each tag, under its name and with its unit.

Bools are booleans, whole numbers int64 (uint64 where they need it), the others doubles; what was not read is null.
The file's metadata say the test, the capture's name and the UTC time of the first row, ns.
"""

import io
import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # the package ships no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from testbed.core.errors import InvalidData
from testbed.core.measurement import Capture
from testbed.core.tags import Value
from testbed.outward.parquet_fields import KEY, tag_field, tag_of, unit_of, whole

_TIME, _SCAN = "time_s", "scan"


def encode_capture(capture: Capture) -> bytes:
    """The file's bytes: the same for the same capture, under one version of pyarrow."""
    about = {"test": capture.test, "name": capture.name, "start_ns": capture.start_ns}
    columns = [pa.array(capture.times, pa.float64()), pa.array(capture.scans, whole(capture.scans))]
    columns += [_column(capture.column(tag)) for tag in capture.tags]
    fields = [pa.field(name, one.type) for name, one in zip((_TIME, _SCAN), columns, strict=False)]
    fields += [
        tag_field(tag, unit, column.type, (_TIME, _SCAN))
        for tag, unit, column in zip(capture.tags, capture.units, columns[2:], strict=True)
    ]
    schema = pa.schema(fields, metadata={KEY: json.dumps(about).encode()})
    sink = io.BytesIO()
    pq.write_table(pa.table(columns, schema=schema), sink)
    return sink.getvalue()


def decode_capture(data: bytes) -> Capture:
    """The capture in a file's bytes; raises InvalidData where they hold none. Whole numbers may come back as floats."""
    try:
        table = pq.read_table(io.BytesIO(data))
        about = json.loads((table.schema.metadata or {})[KEY])
        times, scans, *columns = [column.to_pylist() for column in table.columns]
        fields = list(table.schema)[2:]
        return Capture(
            test=about["test"],
            name=about["name"],
            tags=tuple(map(tag_of, fields)),
            units=tuple(unit_of(field) or "" for field in fields),
            start_ns=about["start_ns"],
            times=tuple(times),
            scans=tuple(scans),
            values=tuple(zip(*columns, strict=True)) if columns else tuple(() for _ in times),
        )
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidData(f"no capture: {error}") from None


def _column(values: Sequence[Value | None]) -> Any:  # noqa: ANN401 - pyarrow has no types
    kinds = {type(value) for value in values} - {type(None)}
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds == {int}:
        return pa.array(values, whole(values))
    return pa.array([None if value is None else float(value) for value in values], pa.float64())
