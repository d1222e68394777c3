"""Somebody's copy: each row is genuine, changed, missing, made up, double, out of order, pending, or cannot be proved.

One bench is checked once; files are exported of it, edited as people and programs edit them, and held against it.
"""

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]  # the package ships no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from testbed.core.entry import Kind
from testbed.core.exported import Bound, Range, Table
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.core.tags import Tag
from testbed.keys.checkpoint import sign_checkpoint
from testbed.outward.export_about import encode_about
from testbed.outward.export_csv import beside
from testbed.outward.table_file import open_table
from testbed.rig.auditing import approved_model
from testbed.rig.bench import load_bench
from testbed.rig.exporting import export_states
from testbed.rig.log_keys import signing_key
from testbed.verify.across import configured_tags
from testbed.verify.against import CheckedFile, Row, check_file
from testbed.verify.evidence import Evidence
from testbed.verify.spans import Spans
from testbed.verify.trust import Trust
from testbed.verify.verdict import Checked, check

Lines = list[list[str]]
Edit = Callable[[Lines], Lines]
GATEWAY = "water-cell/gateway"


@pytest.fixture(scope="module")
def checked(trust: Trust, evidence: Evidence) -> Checked:
    found = check(trust, evidence, approved_model)
    assert found.report.verdict is Verdict.GENUINE
    return found


@pytest.fixture(scope="module")
def exports(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all states as states.csv and states.parquet."""
    folder = tmp_path_factory.mktemp("exports")
    bench = load_bench(finished / "bench.toml")
    for form in ("csv", "parquet"):
        export_states(bench, "gateway", (), Range(), form, folder / f"states.{form}", lambda _what, _done, _parts: None)
    return folder


@pytest.fixture
def folder(exports: Path, tmp_path: Path) -> Path:
    """A copy of it, to be edited."""
    return Path(shutil.copytree(exports, tmp_path / "copy"))


@pytest.fixture
def hold(checked: Checked) -> Callable[..., CheckedFile]:
    """Holds a file against the log. asked: what it should hold; changed: another outcome of the bench's check."""

    def against(path: Path, asked: Range | None = None, changed: Checked | None = None) -> CheckedFile:
        bench = changed or checked
        log = bench.logs[GATEWAY]
        with open_table(path) as table:
            return check_file(bench, log, tags_of(checked), table, path.name, asked)

    return against


def tags_of(checked: Checked) -> tuple[Tag, ...]:
    tags = configured_tags(checked.logs[GATEWAY])
    assert tags is not None
    return tags


def edit(path: Path, change: Edit, **form: str) -> None:
    """Read a CSV file and write it again as a program would."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    with path.open("w", encoding=form.pop("encoding", "utf-8"), newline="") as file:
        csv.writer(file, **{"lineterminator": "\n", **form}).writerows(change(lines))  # type: ignore[arg-type]


def counts(found: CheckedFile) -> dict[Row, int]:
    """How many of each kind there are."""
    return {kind: spans.count for kind, spans in found.kinds.items() if spans.count}


def only(found: CheckedFile) -> Finding:
    (one,) = found.findings
    return one


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_an_untouched_file_is_genuine(
    folder: Path, form: str, hold: Callable[..., CheckedFile], checked: Checked
) -> None:
    found = hold(folder / f"states.{form}")
    assert (found.verdict, found.findings) == (Verdict.GENUINE, [])
    states = sum(one.entry.kind is Kind.STATE for one in checked.logs[GATEWAY].genuine.values())
    assert counts(found) == {Row.GENUINE: states}
    assert len(found.checked) == 5 + len(tags_of(checked))
    assert (found.absent, found.strange) == ((), ())
    assert found.span.startswith("everything of the first ")


def reversed_columns(lines: Lines) -> Lines:
    return [line[::-1] for line in lines]


def more_zeros(lines: Lines) -> Lines:
    return [lines[0], *([_zeros(cell) for cell in line] for line in lines[1:])]


def _zeros(cell: str) -> str:
    return f"{cell}000" if "." in cell and "e" not in cell and "Z" not in cell else cell


def as_pandas_writes(lines: Lines) -> Lines:
    """Row numbers in front, times with a space and an offset, True and False."""
    words = {"true": "True", "false": "False"}
    return [["", *lines[0]]] + [
        [str(place), *(words.get(cell, cell.replace("T", " ").replace("Z", "+00:00")) for cell in line)]
        for place, line in enumerate(lines[1:])
    ]


def whole_numbers_as_floats(lines: Lines) -> Lines:
    return [lines[0], *([f"{cell}.0" if cell.isdecimal() else cell for cell in line] for line in lines[1:])]


def decimal_commas(lines: Lines) -> Lines:
    return [lines[0], *([cell.replace(".", ",") for cell in line] for line in lines[1:])]


@pytest.mark.parametrize(
    ("change", "form"),
    [
        (reversed_columns, {}),
        (more_zeros, {}),
        (as_pandas_writes, {}),
        (whole_numbers_as_floats, {}),
        (list, {"lineterminator": "\r\n", "encoding": "utf-8-sig"}),
        (list, {"quoting": csv.QUOTE_ALL}),
        (list, {"delimiter": "\t", "encoding": "utf-16"}),
        (decimal_commas, {"delimiter": ";", "lineterminator": "\r\n", "encoding": "utf-8-sig"}),
        (lambda lines: [*lines[:50], [], *lines[50:], []], {}),
    ],
)
@pytest.mark.parametrize("metadata", [True, False])
def test_a_file_that_another_program_saved_is_genuine(
    folder: Path, hold: Callable[..., CheckedFile], change: Edit, form: dict[str, str], metadata: bool
) -> None:
    path = folder / "states.csv"
    edit(path, change, **form)
    if not metadata:
        beside(path).unlink()
    found = hold(path)
    assert (found.verdict, found.findings) == (Verdict.GENUINE, [])
    assert set(counts(found)) == {Row.GENUINE}
    assert ("as the file says" in found.span) is metadata


def test_a_parquet_file_without_its_metadata_is_genuine(folder: Path, hold: Callable[..., CheckedFile]) -> None:
    path = folder / "states.parquet"
    table = pq.read_table(path)
    bare = pa.table({name: table[name] for name in reversed(table.column_names)})
    pq.write_table(bare.set_column(0, bare.column_names[0], bare[0].cast(pa.string())), path)
    found = hold(path)
    assert (found.verdict, set(counts(found))) == (Verdict.GENUINE, {Row.GENUINE})
    assert "its metadata are gone" in found.span


def set_cell(line: int, column: str, cell: str) -> Edit:
    def change(lines: Lines) -> Lines:
        lines[line - 1][lines[0].index(column)] = cell
        return lines

    return change


@pytest.mark.parametrize(
    ("column", "cell", "says"),
    [
        ("tank2.level [m]", "1.5", "tank2.level is '1.5', the log says 0.5"),
        ("tank2.level [m]", "", "tank2.level is empty, the log says 0.5"),
        ("tank2.level [m]", "nan", "tank2.level is 'nan', the log says 0.5"),
        ("time", "2026-01-01T00:00:05.000000001Z", "the log says 2026-01-01T00:00:0"),
        ("boot", "2", "boot is '2', the log says 1"),
        ("scan", "", "scan is empty, the log says "),
        ("status", "tank2.level: nothing", "the log says good"),
        ("alarm.high_level", "true", "alarm.high_level is 'true', the log says false"),
        ("control.mode", "2.5", "control.mode is '2.5', the log says 2"),
    ],
)
def test_one_changed_cell_is_found_with_its_column_and_what_was_logged(
    folder: Path, hold: Callable[..., CheckedFile], column: str, cell: str, says: str
) -> None:
    path = folder / "states.csv"
    edit(path, set_cell(50, column, cell))
    found = hold(path)
    one = only(found)
    assert (one.what, one.layer, found.verdict) == (What.ALTERED, Layer.FILE, Verdict.FALSIFIED)
    assert one.where.startswith("line 50 of states.csv, record ")
    assert says in one.detail
    assert counts(found)[Row.CHANGED] == 1
    assert found.kinds[Row.CHANGED].spans == [[50, 50]]


def test_each_bit_of_a_value_in_a_parquet_file_counts(folder: Path, hold: Callable[..., CheckedFile]) -> None:
    path = folder / "states.parquet"
    table = pq.read_table(path)
    data = bytearray(table["tank2.level"].combine_chunks().buffers()[1].to_pybytes())
    data[7 * 4] ^= 1  # the last bit of the eighth value
    column = pa.Array.from_buffers(pa.float32(), table.num_rows, [None, pa.py_buffer(bytes(data))])
    place = table.column_names.index("tank2.level")
    pq.write_table(table.set_column(place, table.schema.field(place), column), path)
    one = only(hold(path))
    assert one.where.startswith("row 8 of states.parquet, record ")
    assert one.detail.startswith("tank2.level is ")


def test_rows_that_are_gone_are_named_by_their_records(folder: Path, hold: Callable[..., CheckedFile]) -> None:
    path = folder / "states.csv"
    with path.open(encoding="utf-8") as file:
        gone = [int(line.partition(",")[0]) for line in list(file)[49:52]]
    edit(path, lambda lines: lines[:49] + lines[52:])
    found = hold(path)
    assert found.verdict is Verdict.FALSIFIED
    assert [one.index for one in found.findings] == gone
    assert {(one.what, one.layer) for one in found.findings} == {(What.DELETED, Layer.FILE)}
    assert counts(found)[Row.MISSING] == 3


def test_rows_gone_from_the_end_are_seen_by_what_the_file_or_the_auditor_says(
    folder: Path, hold: Callable[..., CheckedFile]
) -> None:
    path = folder / "states.csv"
    edit(path, lambda lines: lines[:-4])
    assert counts(hold(path))[Row.MISSING] == 4
    beside(path).unlink()
    # Nobody says what it should hold, so nobody can say that something is missing; and that is said.
    found = hold(path)
    assert (found.verdict, counts(found).get(Row.MISSING)) == (Verdict.GENUINE, None)
    assert found.span.startswith("records ")
    found = hold(path, asked=Range(first=Bound.parse("scan:1")))
    assert (found.verdict, counts(found)[Row.MISSING]) == (Verdict.FALSIFIED, 4)
    assert found.span.endswith(", as asked")


def test_a_part_of_a_log_is_genuine_and_what_lies_outside_is_not_missing(
    finished: Path, tmp_path: Path, hold: Callable[..., CheckedFile]
) -> None:
    span = Range(Bound.parse("2026-01-01T00:00:10Z"), Bound.parse("scan:150"))
    path = tmp_path / "part.csv"
    tags = ("pump.flow", "tank2.level")
    exported = export_states(
        load_bench(finished / "bench.toml"), "gateway", tags, span, "csv", path, lambda _what, _done, _parts: None
    )
    assert exported.first is not None
    assert exported.last is not None
    assert (exported.first.time_ns % 10**11, exported.last.scan) == (10**10, 150)
    found = hold(path)
    assert (found.verdict, counts(found)) == (Verdict.GENUINE, {Row.GENUINE: exported.rows})
    assert found.checked == ("index", "time", "boot", "scan", "status", *tags)


@pytest.mark.parametrize(
    ("index", "says"),
    [
        ("0", "is no state, it is a genesis"),
        ("999999", "there is no record 999999"),
        ("-1", "there is no record -1"),
        ("", "its index is empty: no record has it"),
        ("fifty", "its index is 'fifty': no record has it"),
    ],
)
def test_a_row_that_no_record_stands_for_is_made_up(
    folder: Path, hold: Callable[..., CheckedFile], index: str, says: str
) -> None:
    path = folder / "states.csv"
    edit(path, lambda lines: [*lines[:50], [index, *lines[49][1:]], *lines[50:]])
    found = hold(path)
    one = only(found)
    assert (one.what, one.layer, found.verdict) == (What.INVENTED, Layer.FILE, Verdict.FALSIFIED)
    assert says in one.detail
    assert found.kinds[Row.MADE_UP].spans == [[51, 51]]


def test_a_row_that_stands_twice_or_in_another_place_is_found(folder: Path, hold: Callable[..., CheckedFile]) -> None:
    path = folder / "states.csv"
    edit(path, lambda lines: [*lines[:50], lines[20], *lines[50:]])
    found = hold(path)
    assert (only(found).what, found.kinds[Row.DOUBLE].spans) == (What.INSERTED, [[51, 51]])
    edit(path, lambda lines: [*lines[:20], *lines[21:]])  # now the row stands in another place
    found = hold(path)
    assert (only(found).what, found.kinds[Row.OUT_OF_ORDER].spans) == (What.REORDERED, [[50, 50]])
    assert found.verdict is Verdict.FALSIFIED


def test_a_row_with_more_cells_than_columns_is_changed(folder: Path, hold: Callable[..., CheckedFile]) -> None:
    path = folder / "states.csv"
    edit(path, lambda lines: [*lines[:49], [*lines[49], "1"], *lines[50:]])
    assert "there are 32 columns" in only(hold(path)).detail


def test_another_unit_is_another_value(folder: Path, hold: Callable[..., CheckedFile]) -> None:
    path = folder / "states.csv"
    edit(path, lambda lines: [[cell.replace("[m]", "[cm]") for cell in lines[0]], *lines[1:]])
    found = hold(path)
    assert found.verdict is Verdict.FALSIFIED
    assert [one.detail for one in found.findings] == [
        f"it gives {tag} in cm, the log in m" for tag in ("tank1.level", "tank2.level", "control.level_setpoint")
    ]


def test_a_column_that_was_never_logged_is_not_vouched_for(folder: Path, hold: Callable[..., CheckedFile]) -> None:
    path = folder / "states.csv"
    edit(path, lambda lines: [[*line, "tank9.level" if place == 0 else "1.0"] for place, line in enumerate(lines)])
    found = hold(path)
    assert (found.verdict, found.strange) == (Verdict.INCONCLUSIVE, ("tank9.level",))
    edit(path, lambda lines: [["tank2.level", *line[:-1]] for line in lines])
    assert hold(path).strange == ("tank2.level",)


def test_columns_that_were_taken_out_are_said(folder: Path, hold: Callable[..., CheckedFile]) -> None:
    path = folder / "states.csv"
    edit(path, lambda lines: [[line[0], *line[2:]] for line in lines])
    found = hold(path)
    assert (found.verdict, found.absent) == (Verdict.GENUINE, ("time",))


def test_rows_that_no_anchor_covers_are_pending(
    folder: Path, hold: Callable[..., CheckedFile], checked: Checked
) -> None:
    standings = tuple(
        replace(one, confirmed=one.confirmed - 10) if one.origin == GATEWAY else one for one in checked.report.standings
    )
    waiting = replace(checked, report=replace(checked.report, standings=standings))
    found = hold(folder / "states.csv", changed=waiting)
    one = only(found)
    assert (one.what, one.layer, found.verdict) == (What.UNANCHORED, Layer.ANCHOR, Verdict.INCONCLUSIVE)
    assert counts(found)[Row.PENDING] > 1
    # A changed row is changed, pending or not.
    edit(folder / "states.csv", lambda lines: set_cell(len(lines), "boot", "9")(lines))
    assert counts(hold(folder / "states.csv", changed=waiting))[Row.CHANGED] == 1


def test_a_row_whose_record_is_not_genuine_is_not_either(
    folder: Path, hold: Callable[..., CheckedFile], trust: Trust, evidence: Evidence
) -> None:
    log = evidence.logs[GATEWAY]
    rows = [replace(row, body=(row.body or b"")[:-1] + b"\x01") if row.index == 100 else row for row in log.rows]
    altered = replace(evidence, logs={**evidence.logs, GATEWAY: replace(log, rows=tuple(rows))})
    bench = check(trust, altered, approved_model)
    found = hold(folder / "states.csv", changed=bench)
    assert found.verdict is Verdict.FALSIFIED
    assert [(one.what, one.layer) for one in found.findings if one.index == 100] == [
        (What.MISSING, Layer.FILE),
        (What.ALTERED, Layer.STORE),
    ]
    assert counts(found)[Row.UNPROVED] == 1
    # Nor is it missing where the file leaves it out: nobody knows any more what it was.
    edit(folder / "states.csv", lambda lines: [line for line in lines if line[0] != "100"])
    assert Row.MISSING not in counts(hold(folder / "states.csv", changed=bench))


def test_the_bench_s_own_verdict_is_the_best_that_a_file_can_have(
    folder: Path, hold: Callable[..., CheckedFile], checked: Checked
) -> None:
    finding = Finding(What.SILENT, Layer.GATEWAY, "there", "so", Verdict.INCONCLUSIVE)
    report = replace(checked.report, findings=(finding,), verdict=Verdict.INCONCLUSIVE)
    found = hold(folder / "states.csv", changed=replace(checked, report=report))
    assert (found.verdict, only(found)) == (Verdict.INCONCLUSIVE, finding)


def test_the_checkpoint_of_an_export_bears_witness(
    exports: Path, tmp_path: Path, finished: Path, hold: Callable[..., CheckedFile], checked: Checked
) -> None:
    """A log that was exported once cannot be signed anew over other records, nor cut off, behind the file's back."""
    table = pq.read_table(exports / "states.parquet")
    with open_table(exports / "states.parquet") as found:
        about = found.about
    assert about is not None
    key = signing_key(load_bench(finished / "bench.toml"), "gateway")
    point = next(one for one in checked.logs[GATEWAY].notes.values() if one.size == about.size)
    forked = replace(point, size=40, root=bytes(32))
    beyond = replace(point, size=point.size + 5)
    other = signing_key(load_bench(finished / "bench.toml"), "reader")
    cases = {
        "a fork": (replace(about, size=40, root=bytes(32), note=sign_checkpoint(forked, key)), What.FORKED, Layer.LOG),
        "a cut": (replace(about, size=beyond.size, note=sign_checkpoint(beyond, key)), What.ROLLED_BACK, Layer.LOG),
        "another key": (replace(about, note=sign_checkpoint(point, other)), What.ALTERED, Layer.FILE),
        "another size": (replace(about, size=about.size - 1), What.ALTERED, Layer.FILE),
        "another root": (replace(about, root=bytes(32)), What.ALTERED, Layer.FILE),
        "another tag list": (replace(about, schema=bytes(32)), What.ALTERED, Layer.FILE),
    }
    for name, (claim, what, layer) in cases.items():
        path = tmp_path / "claims.parquet"
        pq.write_table(table.replace_schema_metadata({b"attestbed": encode_about(claim)}), path)
        result = hold(path)
        assert (only(result).what, only(result).layer, result.verdict) == (what, layer, Verdict.FALSIFIED), name


def test_metadata_that_cannot_be_read_are_as_if_they_were_not_there(
    folder: Path, hold: Callable[..., CheckedFile]
) -> None:
    path = folder / "states.csv"
    for broken in (b"", b"{", b"[]", b'{"urn:attestbed:export": 1}'):
        beside(path).write_bytes(broken)
        found = hold(path)
        assert found.verdict is Verdict.GENUINE
        assert "cannot be read" in found.span


def test_many_findings_of_one_kind_are_counted_not_listed(folder: Path, hold: Callable[..., CheckedFile]) -> None:
    path = folder / "states.csv"
    edit(path, lambda lines: [lines[0], *([*line[:2], "7", *line[3:]] for line in lines[1:])])
    found = hold(path)
    assert len(found.findings) == 12
    assert counts(found) == {Row.CHANGED: found.rows}
    assert found.kinds[Row.CHANGED].spans == [[2, found.rows + 1]]


def test_a_file_without_rows_says_nothing(folder: Path, hold: Callable[..., CheckedFile]) -> None:
    path = folder / "states.csv"
    edit(path, lambda lines: lines[:1])
    beside(path).unlink()
    assert hold(path).verdict is Verdict.INCONCLUSIVE


def test_memory_stays_bounded_whatever_is_in_the_file(checked: Checked) -> None:
    """Rows are taken one by one, and of a million bad ones a thousand spans are kept."""
    table = Table(("index",), (None,), "row", ((2 * number, (None,)) for number in range(100_000)), None, "")
    found = check_file(checked, checked.logs[GATEWAY], tags_of(checked), table, "x", None)
    spans = found.kinds[Row.MADE_UP]
    assert (spans.count, len(spans.spans), spans.left_out) == (100_000, 1000, 99_000)
    assert len(found.findings) == 12


def test_spans_are_shown_in_words() -> None:
    spans = Spans()
    for number in (1, 2, 3, 7, 9, 10):
        spans.add(number)
    assert spans.words(2) == "1 to 3, 7 and 2 more"
    assert spans.words(5) == "1 to 3, 7, 9 to 10"
