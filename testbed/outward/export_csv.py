"""Logged states as CSV (RFC 4180), and beside it what they are.

The first line names the columns, with their units: `tank2.level [m]`. It is the only line that is no row: a comment
before it would be data to Excel, pandas and most others unless each is told to skip it. What the export says of itself
stands in a file of its own, `NAME.csv-metadata.json`, where "CSV on the Web" looks for it (W3C, Metadata Vocabulary for
Tabular Data, section 5.3), and only `testbed verify --against` needs it. Units stand in the names, since they are what
survives any program that saves the file anew.

Numbers are the shortest text that gives the same number again: of a 32-bit float, the shortest for 32 bits. Nothing is
an empty cell; which tags have nothing, and why, is the text of `status`.
"""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # the package ships no types
import pyarrow.csv as pc  # type: ignore[import-untyped]

from testbed.core.exported import BOOT, FIXED, INDEX, SCAN, STATUS, TIME, About, StateRow, column_of
from testbed.core.rfc3339 import time_text
from testbed.core.tags import DataType, Tag
from testbed.outward.export_about import about_fields
from testbed.outward.export_table import export_batch, export_schema

_OURS = "urn:attestbed:"
_FIXED_DATATYPES = {
    INDEX: "nonNegativeInteger",
    TIME: "dateTimeStamp",
    BOOT: "unsignedLong",
    SCAN: "unsignedLong",
    STATUS: "string",
}
_DATATYPES = {
    DataType.BOOL: "boolean",
    DataType.INT16: "short",
    DataType.UINT16: "unsignedShort",
    DataType.INT32: "int",
    DataType.UINT32: "unsignedInt",
    DataType.FLOAT32: "float",
    DataType.FLOAT64: "double",
}


def beside(path: Path) -> Path:
    """Where the file stands that says what a CSV file is."""
    return path.with_name(f"{path.name}-metadata.json")


def title_of(column: str, unit: str) -> str:
    """A column's name in the first line."""
    return f"{column} [{unit}]" if unit else column


def write_csv(path: Path, about: About, tags: Sequence[Tag], batches: Iterable[Sequence[StateRow]]) -> None:
    """Write all rows to `path`, a batch at a time."""
    schema = export_schema(about, tags)
    place = schema.get_field_index(TIME)
    # Arrow's own text of a time has a space in it, and an offset that some do not read.
    as_text = schema.set(place, pa.field(TIME, pa.string()))
    options = pc.WriteOptions(include_header=False, quoting_style="needed")
    with path.open("wb") as file:
        file.write(_first_line(tags))
        with pc.CSVWriter(file, as_text, write_options=options) as writer:
            for rows in batches:
                if rows:
                    batch = export_batch(rows, schema)
                    times = pa.array([time_text(row.time_ns) for row in rows], pa.string())
                    columns = batch.columns
                    columns[place] = times
                    writer.write_batch(pa.record_batch(columns, schema=as_text))


def describe_csv(name: str, about: About, tags: Sequence[Tag]) -> bytes:
    """The file beside a CSV file called `name`."""
    columns: list[dict[str, object]] = [
        {"name": name, "titles": name, "datatype": datatype, "required": name != SCAN}
        for name, datatype in _FIXED_DATATYPES.items()
    ]
    columns += [
        {
            "name": column_of(tag.name),
            "titles": title_of(column_of(tag.name), tag.unit),
            "datatype": "double" if tag.scaled else _DATATYPES[tag.type],
            f"{_OURS}unit": tag.unit,
        }
        for tag in tags
    ]
    document: dict[str, Any] = {
        "@context": "http://www.w3.org/ns/csvw",
        "url": name,
        "tableSchema": {"columns": columns, "primaryKey": INDEX},
        **{f"{_OURS}{key}": value for key, value in about_fields(about).items()},
    }
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def said_beside(data: bytes) -> dict[str, Any]:
    """The fields of `about_fields` in such a file; none of them where it is something else. Raises ValueError."""
    document = json.loads(data)
    if not isinstance(document, dict):
        return {}
    return {key.removeprefix(_OURS): value for key, value in document.items() if key.startswith(_OURS)}


def _first_line(tags: Sequence[Tag]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow([*FIXED, *(title_of(column_of(t.name), t.unit) for t in tags)])
    return line.getvalue().encode()
