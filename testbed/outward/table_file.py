"""Reads a table that may be an export, CSV or Parquet, row by row: also one that others opened and saved again."""

import codecs
import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa  # type: ignore[import-untyped]  # the package ships no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from testbed.core.errors import InvalidData, UsageError
from testbed.core.exported import INDEX, About, Cell, Table
from testbed.outward.export_about import decode_about, read_about
from testbed.outward.export_csv import beside, said_beside
from testbed.outward.parquet_fields import KEY, unit_of

_MAGIC = b"PAR1"
_MOST = 1 << 20
"""Bytes of a metadata file, and of one line of a table."""
_BATCH = 4096
_TITLE = re.compile(r"(?P<name>\S+) \[(?P<unit>.*)\]")
_ENCODINGS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_MEND = "name a CSV or Parquet file that `testbed export` wrote, with its column index"


@contextmanager
def open_table(path: Path) -> Iterator[Table]:
    """The table in a file, until the end of the block.

    Raises UsageError where the file is not there, or no table with a column `index`; reading its rows raises UsageError
    where the file breaks off or is damaged.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4)
        if head == _MAGIC:
            yield _parquet(path)
            return
        with path.open(encoding=_encoding(head), newline="") as text:
            yield _csv(path, text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}", _MEND) from None


def _encoding(head: bytes) -> str:
    return next((name for mark, name in _ENCODINGS if head.startswith(mark)), "utf-8")


def _csv(path: Path, text: IO[str]) -> Table:
    try:
        line = text.readline(_MOST)
    except UnicodeError:
        raise UsageError(f"{path}: neither Parquet nor text in UTF-8", _MEND) from None
    # Programs of countries that write 1,5 put semicolons between their columns.
    marks = [
        mark for mark in ",;\t" if any(_split(one)[0] == INDEX for one in next(csv.reader([line], delimiter=mark), []))
    ]
    if not marks:
        raise UsageError(f"{path}: no column of it is called {INDEX}", _MEND)
    names, units = zip(*map(_split, next(csv.reader([line], delimiter=marks[0]))), strict=True)
    about, problem = _about_beside(path)
    return Table(names, units, "line", _csv_rows(path, text, marks[0], len(names)), about, problem)


def _csv_rows(path: Path, text: IO[str], mark: str, columns: int) -> Iterator[tuple[int, tuple[Cell, ...]]]:
    reader = csv.reader(_bounded(path, text), delimiter=mark, strict=True)
    number = 1
    try:
        for cells in reader:
            # Where a quoted cell holds line feeds, a row is known by its first line.
            first, number = number + 1, 1 + reader.line_num
            if not cells:
                continue
            if mark != ",":
                cells = [cell if "." in cell else cell.replace(",", ".") for cell in cells]
            yield first, tuple(cells) if len(cells) >= columns else (*cells, *[""] * (columns - len(cells)))
    except (csv.Error, UnicodeError) as error:
        raise UsageError(f"{path}: line {reader.line_num + 1}: cannot be read: {error}", _MEND) from None


def _bounded(path: Path, text: IO[str]) -> Iterator[str]:
    """Lines; one without an end would fill the memory."""
    while line := text.readline(_MOST):
        if len(line) == _MOST:
            raise UsageError(f"{path}: a line is longer than {_MOST} characters", _MEND)
        yield line


def _about_beside(path: Path) -> tuple[About | None, str]:
    file = beside(path)
    if not file.is_file():
        return None, f"{file.name} is not beside it"
    try:
        with file.open("rb") as opened:
            data = opened.read(_MOST)
        return read_about(said_beside(data)), ""
    except (OSError, ValueError) as error:
        return None, f"{file.name} cannot be read: {error}"


def _parquet(path: Path) -> Table:
    try:
        # Not a whole row group at a time: it may be all of the file.
        file = pq.ParquetFile(path, pre_buffer=False)
        schema = file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{path}: no Parquet file: {error}", _MEND) from None
    split = [_split(name) for name in schema.names]
    if INDEX not in (name for name, _ in split):
        raise UsageError(f"{path}: no column of it is called {INDEX}", _MEND)
    units = tuple(
        unit_of(field) if unit_of(field) is not None else unit for field, (_, unit) in zip(schema, split, strict=True)
    )
    about, problem = _about_within(schema)
    return Table(tuple(name for name, _ in split), units, "row", _parquet_rows(path, file), about, problem)


def _about_within(schema: Any) -> tuple[About | None, str]:  # noqa: ANN401 - pyarrow has no types
    data = (schema.metadata or {}).get(KEY)
    if data is None:
        return None, "its metadata are gone"
    try:
        return decode_about(data), ""
    except InvalidData as error:
        return None, f"its metadata cannot be read: {error}"


def _parquet_rows(path: Path, file: Any) -> Iterator[tuple[int, tuple[Cell, ...]]]:  # noqa: ANN401 - pyarrow has no types
    number = 0
    try:
        with file:
            for batch in file.iter_batches(_BATCH):
                for cells in zip(*(_plain(column) for column in batch.columns), strict=True):
                    number += 1
                    yield number, cells
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{path}: behind row {number}: cannot be read: {error}", _MEND) from None


def _plain(column: Any) -> list[Cell]:  # noqa: ANN401 - pyarrow has no types
    """Numbers, bools and text as they are, times as ns since 1970, anything else as text."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("ns", kind.tz)).cast(pa.int64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        column = column.cast(pa.string())
    found: list[Cell] = column.to_pylist()
    return found


def _split(title: str) -> tuple[str, str | None]:
    """A column's name, and the unit behind it; None where there is none."""
    match = _TITLE.fullmatch(title.strip())
    return (match["name"], match["unit"]) if match else (title.strip(), None)
