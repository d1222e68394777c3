"""Logged states as a Parquet file: typed columns with their units, and in its metadata what it is an export of."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow.parquet as pq  # type: ignore[import-untyped]  # the package ships no types

from testbed.core.exported import About, StateRow
from testbed.core.tags import Tag
from testbed.outward.export_table import export_batch, export_schema


def write_parquet(path: Path, about: About, tags: Sequence[Tag], batches: Iterable[Sequence[StateRow]]) -> None:
    """Write all rows to `path`, a row group for each batch."""
    schema = export_schema(about, tags)
    with pq.ParquetWriter(path, schema) as writer:
        for rows in batches:
            if rows:
                writer.write_batch(export_batch(rows, schema))
