"""Damage to the files of a bench: whatever bytes are changed, the answer is a verdict, and GENUINE only where nothing
that is read says anything else than before.
"""

import asyncio
import dataclasses
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testbed.chain.reading import Contents, read_journal
from testbed.core.errors import InvalidData, TestbedError
from testbed.core.finding import Layer, Verdict, What
from testbed.rig.auditing import approved_model, audit
from testbed.rig.bench import Bench, load_bench
from testbed.rig.paths import Paths
from testbed.verify.evidence import Evidence, LogEvidence
from testbed.verify.gather import read_log
from testbed.verify.trust import Trust
from testbed.verify.verdict import Report, check

ROLES = {"water-cell/gateway": "gateway", "water-cell/twin": "twin"}


def verdict(bench: Bench) -> Verdict:
    return asyncio.run(audit(bench, bench.trust_file)).report.verdict


def reread(trust: Trust, bench: Bench, evidence: Evidence, origin: str) -> tuple[LogEvidence, Report]:
    """One log read anew from disk, and the verdict on it beside everything else as it was."""
    paths = Paths(bench.data)
    log = read_log(origin, paths.log(ROLES[origin]), paths.tlog(ROLES[origin]))
    report = check(trust, dataclasses.replace(evidence, logs={**evidence.logs, origin: log}), approved_model).report
    return log, report


def change(bench: Bench, origin: str, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(Paths(bench.data).log(ROLES[origin]))) as connection, connection:
        connection.execute(statement, values)


# Folders and files that are gone, or are something else.


@pytest.mark.parametrize("name", ["anchor/journal.jsonl", "chain/state", "gateway/log.sqlite", "gateway", "twin/tlog"])
def test_what_is_gone_is_inconclusive(bench: Bench, name: str) -> None:
    path = bench.data / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert verdict(bench) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("name", ["anchor/journal.jsonl", "chain/state", "chain/genesis.json", "gateway/log.sqlite"])
@pytest.mark.parametrize("junk", [b"", b"\x00" * 5000, b"\xff{junk\n" * 40], ids=["empty", "zeros", "junk"])
def test_what_cannot_be_read_is_inconclusive(bench: Bench, name: str, junk: bytes) -> None:
    (bench.data / name).write_bytes(junk)
    if name == "chain/genesis.json":
        assert verdict(bench) in (Verdict.INCONCLUSIVE, Verdict.GENUINE)
    else:
        assert verdict(bench) is Verdict.INCONCLUSIVE


def test_a_damaged_schema_whose_complaint_is_no_text_is_inconclusive(
    trust: Trust, bench: Bench, evidence: Evidence
) -> None:
    path = Paths(bench.data).log("gateway")
    before = path.read_bytes()
    assert before.count(b"CREATE TABLE records") == 1
    # SQLite repeats what it cannot parse, and that is not UTF-8.
    path.write_bytes(before.replace(b"CREATE TABLE records", b"CREATE \xa0ABLE records"))
    log, report = reread(trust, bench, evidence, "water-cell/gateway")
    assert "SQLite cannot read the log" in log.problem
    assert report.verdict is Verdict.INCONCLUSIVE


def test_without_a_trust_file_there_is_no_verdict(bench: Bench) -> None:
    bench.trust_file.unlink()
    with pytest.raises(TestbedError, match="trust"):
        verdict(bench)


@pytest.mark.parametrize(
    "junk", [b"", b"junk", b"\xff\xfe", b"a\n99999999999999999999\nb\n\n", b"x/y\n4611686018427387904\n"]
)
def test_a_published_checkpoint_that_is_none_is_named(
    trust: Trust, bench: Bench, evidence: Evidence, junk: bytes
) -> None:
    (Paths(bench.data).tlog("gateway") / "checkpoint").write_bytes(junk)
    _, report = reread(trust, bench, evidence, "water-cell/gateway")
    assert report.verdict is Verdict.FALSIFIED
    assert [(one.what, one.layer) for one in report.findings] == [(What.WRONG_KEY, Layer.IDENTITY)]


# Columns that hold what no writer puts there.


@pytest.mark.parametrize("origin", ROLES)
@pytest.mark.parametrize(
    ("column", "junk"),
    [
        ("entry", b""),
        ("entry", b"\x80" * 70_000),
        ("salt", b"short"),
        ("salt", b""),
        ("body", b""),
        ("body", b"\xff" * 9),
    ],
)
def test_junk_in_a_column_is_altered_at_its_index(
    trust: Trust, bench: Bench, evidence: Evidence, origin: str, column: str, junk: bytes
) -> None:
    change(bench, origin, f"UPDATE records SET {column} = ? WHERE idx = 41", junk)  # noqa: S608 - a name from above
    _, report = reread(trust, bench, evidence, origin)
    assert [(one.what, one.layer, one.index) for one in report.findings] == [(What.ALTERED, Layer.STORE, 41)]


@pytest.mark.parametrize("number", [-1, -(2**63), 2**40, 2**63 - 2])
def test_a_made_up_row_at_an_impossible_number_is_inserted(
    trust: Trust, bench: Bench, evidence: Evidence, number: int
) -> None:
    change(bench, "water-cell/gateway", "INSERT INTO records VALUES (?, x'80', x'00', NULL)", number)
    _, report = reread(trust, bench, evidence, "water-cell/gateway")
    assert [(one.what, one.layer) for one in report.findings] == [(What.INSERTED, Layer.STORE)]


def test_a_row_that_is_numbered_far_off_is_reordered(trust: Trust, bench: Bench, evidence: Evidence) -> None:
    (last,) = (len(evidence.logs["water-cell/gateway"].rows) - 1,)
    change(bench, "water-cell/gateway", "UPDATE records SET idx = ? WHERE idx = ?", 2**40, last)
    _, report = reread(trust, bench, evidence, "water-cell/gateway")
    assert [(one.what, one.index) for one in report.findings] == [(What.REORDERED, last)]


@pytest.mark.parametrize("table", ["records", "checkpoints"])
def test_an_empty_table_is_not_genuine(trust: Trust, bench: Bench, evidence: Evidence, table: str) -> None:
    for origin in ROLES:
        change(bench, origin, f"DELETE FROM {table}")  # noqa: S608 - a name from above
        _, report = reread(trust, bench, evidence, origin)
        assert report.verdict is Verdict.FALSIFIED
        # Without its configuration record a source cannot be read, so its twin cannot be run again.
        assert {one.what for one in report.findings} - {What.MISSING} == {What.DELETED}


def test_columns_of_another_type_are_read_as_altered(trust: Trust, bench: Bench, evidence: Evidence) -> None:
    path = Paths(bench.data).log("gateway")
    with closing(sqlite3.connect(path)) as connection, connection:
        rows = connection.execute("SELECT * FROM records").fetchall()
        connection.execute("DROP TABLE records")
        connection.execute("CREATE TABLE records (idx INTEGER PRIMARY KEY, entry, salt, body)")
        rows[5] = (5, "text", 7, 1.5)
        rows[9] = (9, None, None, None)
        connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?)", rows)
    _, report = reread(trust, bench, evidence, "water-cell/gateway")
    assert [(one.what, one.index) for one in report.findings] == [(What.ALTERED, 5), (What.ALTERED, 9)]


# Random bytes in random places.


@pytest.fixture(scope="module")
def soft(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A copy that examples damage and put back."""
    folder = tmp_path_factory.mktemp("soft") / "copy"
    shutil.copytree(finished, folder)
    return load_bench(folder / "bench.toml")


def said(log: LogEvidence) -> tuple[object, ...]:
    """What a log says: records, published files, and the checkpoints that its store has."""
    return log.problem, log.rows, log.published, log.tiles


@st.composite
def flips(draw: st.DrawFn) -> list[tuple[float, int]]:
    """Places in a file, as a share of its length, and what is XORed into the byte there."""
    return draw(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=3))


def flipped(data: bytes, places: list[tuple[float, int]]) -> bytes:
    changed = bytearray(data)
    for share, mask in places:
        changed[int(share * len(data))] ^= mask
    return bytes(changed)


quick = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@quick
@given(origin=st.sampled_from(sorted(ROLES)), places=flips())
def test_random_bytes_in_a_database(
    trust: Trust, soft: Bench, evidence: Evidence, origin: str, places: list[tuple[float, int]]
) -> None:
    path = Paths(soft.data).log(ROLES[origin])
    before = path.read_bytes()
    try:
        path.write_bytes(flipped(before, places))
        log, report = reread(trust, soft, evidence, origin)
    finally:
        path.write_bytes(before)
    untouched = evidence.logs[origin]
    # Neutral: free space, header fields, and a checkpoint between two others that nobody published or anchored.
    neutral = said(log) == said(untouched) and set(log.checkpoints) <= set(untouched.checkpoints)
    assert neutral or report.verdict is not Verdict.GENUINE


@quick
@given(origin=st.sampled_from(sorted(ROLES)), share=st.floats(0, 1, exclude_max=True), places=flips())
def test_random_bytes_in_published_files(
    trust: Trust, soft: Bench, evidence: Evidence, origin: str, share: float, places: list[tuple[float, int]]
) -> None:
    folder = Paths(soft.data).tlog(ROLES[origin])
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = files[int(share * len(files))]
    before = path.read_bytes()
    after = flipped(before, places)
    try:
        path.write_bytes(after)
        _, report = reread(trust, soft, evidence, origin)
    finally:
        path.write_bytes(before)
    # Two flips may undo each other; any other change of a published byte is a falsification.
    assert report.verdict is (Verdict.GENUINE if after == before else Verdict.FALSIFIED)


def meaning(contents: Contents) -> object:
    """What a journal says, without what is no claim: the node's version and arguments, and the case of hex digits."""
    text = repr(dataclasses.replace(contents.head, node_version=None, arguments=()))
    return (text + repr(contents.steps)).lower()


@quick
@given(places=flips())
def test_random_bytes_in_the_journal(
    trust: Trust, soft: Bench, evidence: Evidence, places: list[tuple[float, int]]
) -> None:
    path = Paths(soft.data).journal
    before = path.read_bytes()
    untouched = read_journal(path)
    contents: Contents | None = None
    try:
        path.write_bytes(flipped(before, places))
        contents = read_journal(path)
    except InvalidData:
        pass
    finally:
        path.write_bytes(before)
    changed = dataclasses.replace(
        evidence,
        journal_head=contents.head if contents else None,
        journal=contents.steps if contents else (),
        journal_problem="" if contents else "damaged",
    )
    report = check(trust, changed, approved_model).report
    # Neutral also: the last line end, without which the last step counts as still open.
    neutral = contents is not None and (
        meaning(contents) == meaning(untouched) or contents.steps[:-1] == untouched.steps[:-1]
    )
    assert neutral or report.verdict is not Verdict.GENUINE


@settings(quick, max_examples=8)
@given(places=flips())
def test_random_bytes_in_the_state_of_the_node(soft: Bench, places: list[tuple[float, int]]) -> None:
    path = Paths(soft.data).chain_state
    before = path.read_bytes()
    try:
        path.write_bytes(flipped(before, places))
        # The state is derived: what matters of it (blocks, code, slots) is checked, the rest is neutral.
        assert verdict(soft) in Verdict
    finally:
        path.write_bytes(before)
