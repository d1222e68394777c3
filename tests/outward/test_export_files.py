"""Exported states as CSV and Parquet: what goes in is what others read, to the last bit, and what we read back."""

import csv
import json
import math
import struct
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]  # the package ships no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.errors import InvalidData, UsageError
from testbed.core.exported import GOOD, About, Bound, Cell, Range, StateRow
from testbed.core.rfc3339 import time_text
from testbed.core.tags import DataType, ModbusAddress, ModbusTable, Tag, Value
from testbed.outward.export_about import decode_about, encode_about
from testbed.outward.export_csv import beside, describe_csv, write_csv
from testbed.outward.export_parquet import write_parquet
from testbed.outward.table_file import open_table
from testbed.verify.cells import comparison_of, says_text, says_time, says_whole

WRITERS = {"csv": write_csv, "parquet": write_parquet}
ADDRESS = ModbusAddress(ModbusTable.INPUT_REGISTER, 0)
KINDS: dict[DataType, st.SearchStrategy[Value]] = {
    DataType.BOOL: st.booleans(),
    DataType.INT16: st.integers(-(2**15), 2**15 - 1),
    DataType.UINT16: st.integers(0, 2**16 - 1),
    DataType.INT32: st.integers(-(2**31), 2**31 - 1),
    DataType.UINT32: st.integers(0, 2**32 - 1),
    DataType.FLOAT32: st.floats(width=32),
    DataType.FLOAT64: st.floats(),
}
TAGS = tuple(
    Tag(name, kind, unit, 0.0, 1.0, False, ADDRESS, name, scale)
    for name, kind, unit, scale in [
        *((f"t.{kind.value}", kind, "m" if kind is DataType.FLOAT32 else "", 1.0) for kind in DataType),
        ("scaled", DataType.INT16, "°C", 0.1),
        ("time", DataType.FLOAT64, "s [of day]", 1.0),
    ]
)
VALUES = [KINDS[DataType.FLOAT64 if tag.scaled else tag.type] for tag in TAGS]
ABOUT = About(
    bench="cell",
    origin="cell/gateway",
    schema=bytes(32),
    size=70,
    root=bytes(range(32)),
    note=b"cell/gateway\n70\nAAAA\n\n\xe2\x80\x94 cell/gateway BBBB\n",
    range=Range(Bound.parse("2026-01-01T00:00:00Z"), Bound.parse("scan:17")),
    tags=tuple(tag.name for tag in TAGS),
    software="attestbed 0",
)
STATUS = st.sampled_from([GOOD, 'a "quoted", b: nothing 0x80000000; c: NaN'])


@st.composite
def rows(draw: st.DrawFn) -> list[StateRow]:
    return [
        StateRow(
            index=draw(st.integers(0, 2**63 - 1)),
            time_ns=draw(st.integers(0, 2**63 - 1)),
            boot=draw(st.integers(0, 2**64 - 1)),
            scan=draw(st.none() | st.integers(0, 2**64 - 1)),
            status=draw(STATUS),
            values=tuple(draw(st.none() | strategy) for strategy in VALUES),
        )
        for _ in range(draw(st.integers(0, 4)))
    ]


def written(folder: Path, form: str, batches: Sequence[Sequence[StateRow]]) -> Path:
    path = folder / f"states.{form}"
    WRITERS[form](path, ABOUT, TAGS, batches)
    if form == "csv":
        beside(path).write_bytes(describe_csv(path.name, ABOUT, TAGS))
    return path


def is_row(cells: tuple[Cell, ...], row: StateRow) -> bool:
    index, time_ns, boot, scan, status, *values = cells
    return (
        says_whole(index, row.index)
        and says_time(time_ns, row.time_ns)
        and says_whole(boot, row.boot)
        and says_whole(scan, row.scan)
        and says_text(status, row.status)
        and all(comparison_of(tag)(cell, value) for tag, cell, value in zip(TAGS, values, row.values, strict=True))
    )


@pytest.mark.parametrize("form", WRITERS)
@given(states=rows())
def test_every_value_is_read_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, form: str, states: list[StateRow]
) -> None:
    path = written(tmp_path_factory.mktemp("x"), form, [states[:1], [], states[1:]])
    with open_table(path) as table:
        found = list(table.rows)
        assert table.columns[:5] == ("index", "time", "boot", "scan", "status")
        assert table.columns[5:] == (*(tag.name for tag in TAGS[:-1]), "tag.time")
        assert [unit or "" for unit in table.units[5:]] == [tag.unit for tag in TAGS]
        assert (table.about, table.problem) == (ABOUT, "")
    assert [number for number, _ in found] == [place + (2 if form == "csv" else 1) for place in range(len(states))]
    assert all(is_row(cells, row) for (_, cells), row in zip(found, states, strict=True))


@given(st.floats(width=32, allow_nan=False), st.floats(allow_nan=False))
def test_a_csv_has_short_texts_that_give_the_same_floats(
    tmp_path_factory: pytest.TempPathFactory, single: float, double: float
) -> None:
    row = StateRow(0, 0, 0, 0, GOOD, (False, 0, 0, 0, 0, single, double, 0.0, 0.0))
    with written(tmp_path_factory.mktemp("x"), "csv", [[row]]).open(encoding="utf-8", newline="") as file:
        (found,) = csv.DictReader(file)
    assert struct.pack(">f", float(found["t.float32 [m]"])) == struct.pack(">f", single)
    assert struct.pack(">d", float(found["t.float64"])) == struct.pack(">d", double)
    # Nine digits are always enough for 32 bits, 17 for 64 (IEEE 754, section 5.12.2).
    assert digits(found["t.float32 [m]"]) <= 9
    assert digits(found["t.float64"]) <= 17


def digits(text: str) -> int:
    """Significant ones."""
    return len(text.lower().partition("e")[0].lstrip("-").replace(".", "").strip("0"))


def test_a_csv_is_a_table_from_its_first_line_on(tmp_path: Path) -> None:
    states = [StateRow(5, 1, 1, None, "t.bool: nothing", (None, 1, 2, 3, 4, 0.1, -0.0, math.inf, math.nan))]
    lines = written(tmp_path, "csv", [states]).read_text(encoding="utf-8").splitlines()
    columns = "t.bool,t.int16,t.uint16,t.int32,t.uint32,t.float32 [m],t.float64,scaled [°C],tag.time [s [of day]]"
    assert lines == [
        f"index,time,boot,scan,status,{columns}",
        f'5,"{time_text(1)}",1,,"t.bool: nothing",,1,2,3,4,0.1,-0,inf,nan',
    ]


def test_what_stands_beside_a_csv_is_csv_on_the_web(tmp_path: Path) -> None:
    document = json.loads(beside(written(tmp_path, "csv", [])).read_text(encoding="utf-8"))
    assert (document["@context"], document["url"]) == ("http://www.w3.org/ns/csvw", "states.csv")
    columns = document["tableSchema"]["columns"]
    with (tmp_path / "states.csv").open(encoding="utf-8", newline="") as file:
        assert [column["titles"] for column in columns] == next(csv.reader(file))
    assert {column["name"]: column["datatype"] for column in columns}["t.float32"] == "float"


def test_a_parquet_file_has_types_units_and_what_it_is(tmp_path: Path) -> None:
    schema = pq.read_schema(written(tmp_path, "parquet", []))
    assert str(schema.field("time").type) == "timestamp[ns, tz=UTC]"
    assert str(schema.field("t.float32").type) == "float"
    assert str(schema.field("scaled").type) == "double"
    assert schema.field("scaled").metadata[b"unit"] == "°C".encode()
    assert decode_about(schema.metadata[b"attestbed"]) == ABOUT


def test_what_an_export_says_of_itself_is_read_strictly() -> None:
    fields = json.loads(encode_about(ABOUT))
    assert decode_about(json.dumps(fields).encode()) == ABOUT
    wrong: dict[str, tuple[object, ...]] = {
        "export": (2, "1", None),
        "size": ("70", 7.0, None),
        "tags": ("level", None),
        "schema": ("x", 0, None),
        "root": ("x", 0, None),
        "from": ("tomorrow", 5),
        "to": ("tomorrow", {}),
    }
    for key in fields:
        for value in wrong.get(key, (5, None, {})):
            with pytest.raises(InvalidData):
                decode_about(json.dumps({**fields, key: value}).encode())
        with pytest.raises(InvalidData):
            decode_about(json.dumps({name: value for name, value in fields.items() if name != key}).encode())


def test_a_time_that_no_column_holds_is_refused(tmp_path: Path) -> None:
    row = StateRow(5, 2**63, 1, 1, GOOD, (False, 0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0))
    for form in WRITERS:
        with pytest.raises(InvalidData, match="records 5 to 5"):
            written(tmp_path, form, [[row]])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (None, "No such file"),
        (b"", "no column of it is called index"),
        (b"a,b\n1,2\n", "no column of it is called index"),
        (b"\xff\x00\x81", "neither Parquet nor text in UTF-8"),
        (b"PAR1nothing", "no Parquet file"),
        (b"index\n" + b"1" * (1 << 20), "longer than"),
        (b'index,status\n1,"', "line 2"),
        (b"index\n1\n\xff\n", "neither Parquet nor text in UTF-8"),
        (b"index\n" + b"1\n" * 9000 + b"\xff\n", "line [0-9]+: cannot be read"),
    ],
)
def test_what_is_no_table_is_said(tmp_path: Path, data: bytes | None, says: str) -> None:
    path = tmp_path / "states.csv"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UsageError, match=says), open_table(path) as table:
        list(table.rows)


def test_a_parquet_file_that_was_cut_or_damaged_is_said(tmp_path: Path) -> None:
    state = StateRow(5, 1, 1, 1, GOOD, (False, 0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0))
    data = written(tmp_path, "parquet", [[state] * 100]).read_bytes()
    for damaged in (data[:-1], data[:200], b"PAR1" + bytes(60) + data[64:]):
        path = tmp_path / "damaged.parquet"
        path.write_bytes(damaged)
        with pytest.raises(UsageError, match=r"damaged\.parquet"), open_table(path) as table:
            list(table.rows)


def test_whatever_pandas_makes_of_a_time_is_read(tmp_path: Path) -> None:
    moment = 1_767_225_600_123_456_000
    kinds = [
        pa.array([moment // 1000], pa.timestamp("us")),
        pa.array([moment], pa.timestamp("ns", "Europe/Berlin")),
        pa.array([moment]),
        pa.array(["2026-01-01 00:00:00.123456"]),
        pa.array(["2026-01-01 00:00:00.123456"]).dictionary_encode(),
    ]
    for kind in kinds:
        path = tmp_path / "times.parquet"
        pq.write_table(pa.table({"index": [1], "time": kind}), path)
        with open_table(path) as table:
            ((_, cells),) = table.rows
        assert says_time(cells[1], moment)
        assert not says_time(cells[1], moment + 1000)
