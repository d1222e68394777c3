"""A log that is read from its file where it is asked for is found as one that is held, by one process and by several,
and what changes under the check is noticed.
"""

import dataclasses
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from testbed.core.bodies import State
from testbed.core.entry import Kind
from testbed.core.errors import LogChanged
from testbed.core.finding import Verdict, What
from testbed.rig.auditing import approved_model
from testbed.rig.bench import Bench
from testbed.rig.paths import Paths
from testbed.store.stored_rows import StoredRows
from testbed.verify.crew import Crew
from testbed.verify.evidence import Evidence, LogEvidence
from testbed.verify.gather import _named_blocks, read_log
from testbed.verify.log import check_log
from testbed.verify.published import TileFolder, read_tiles
from testbed.verify.records import StoredRecords
from testbed.verify.trace import trace
from testbed.verify.trust import Trust
from testbed.verify.verdict import Checked, check
from testbed.verify.work import ALONE, Work

SOURCE, TWIN = "water-cell/gateway", "water-cell/twin"
ROLES = {SOURCE: "gateway", TWIN: "twin", "water-cell/reader": "reader", "water-cell/operator": "operator"}
LOOSE = "CREATE TABLE records (idx, entry, salt, body)"

DAMAGE = {
    "nothing": [],
    "a body": ["UPDATE records SET body = CAST(x'00' || substr(body, 2) AS BLOB) WHERE idx = 77"],
    "an entry": ["UPDATE records SET entry = CAST(x'00' || substr(entry, 2) AS BLOB) WHERE idx = 256"],
    "a body gone": ["UPDATE records SET body = NULL WHERE idx IN (3, 290)"],
    "a salt": ["UPDATE records SET salt = x'0102' WHERE idx = 5"],
    "a row gone": ["DELETE FROM records WHERE idx = 100"],
    "the first and the last": ["DELETE FROM records WHERE idx IN (0, (SELECT max(idx) FROM records))"],
    "a tile's worth gone": ["DELETE FROM records WHERE idx BETWEEN 20 AND 280"],
    "a row made up far off": ["INSERT INTO records VALUES (1099511627776, x'80', x'00', NULL)"],
    "a row made up below": ["INSERT INTO records VALUES (-7, x'80', x'00', NULL)"],
    "renumbered far off": ["UPDATE records SET idx = idx + 1000000 WHERE idx > 250"],
    "two change places": [
        "UPDATE records SET idx = -1 WHERE idx = 60",
        "UPDATE records SET idx = 60 WHERE idx = 61",
        "UPDATE records SET idx = 61 WHERE idx = -1",
    ],
    "no row": ["DELETE FROM records"],
    "no checkpoint": ["DELETE FROM checkpoints"],
    "another table": [
        "ALTER TABLE records RENAME TO old",
        LOOSE,
        "INSERT INTO records SELECT * FROM old",
        "UPDATE records SET entry = 'text', salt = 7, body = 1.5 WHERE idx = 40",
        "INSERT INTO records SELECT * FROM old WHERE idx = 41",
        "INSERT INTO records VALUES ('text', x'80', x'00', NULL), (NULL, 'x', NULL, NULL)",
    ],
    "a view": [
        "ALTER TABLE records RENAME TO old",
        "CREATE VIEW records AS SELECT idx, entry, salt, body FROM old WHERE idx <> 30",
    ],
}


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    with Crew(2) as helpers:
        yield helpers


def files_of(bench: Bench, origin: str) -> tuple[Path, Path]:
    paths = Paths(bench.data)
    return paths.log(ROLES[origin]), paths.tlog(ROLES[origin])


def with_log(evidence: Evidence, log: LogEvidence) -> Evidence:
    return dataclasses.replace(evidence, logs={**evidence.logs, log.origin: log})


def judged(trust: Trust, evidence: Evidence, log: LogEvidence, work: Work = ALONE) -> Checked:
    return check(trust, with_log(evidence, log), approved_model, work)


@pytest.mark.parametrize("origin", [SOURCE, TWIN])
@pytest.mark.parametrize("name", DAMAGE)
def test_the_same_is_found_wherever_the_rows_are(
    trust: Trust, bench: Bench, evidence: Evidence, crew: Crew, origin: str, name: str
) -> None:
    with closing(sqlite3.connect(files_of(bench, origin)[0])) as connection, connection:
        for statement in DAMAGE[name]:
            connection.execute(statement)
    held = read_log(origin, *files_of(bench, origin))
    expected = judged(trust, evidence, held).report
    assert isinstance(held.rows, tuple)
    for work in (ALONE, Work(crew, segment=256)):
        log = read_log(origin, *files_of(bench, origin), at_once=0)
        assert isinstance(log.rows, StoredRows)
        assert list(log.rows) == list(held.rows)
        assert judged(trust, evidence, log, work).report == expected
    assert (expected.verdict is Verdict.GENUINE) is (name == "nothing")


def test_every_log_of_a_bench_may_be_read_from_its_file(
    trust: Trust, bench: Bench, evidence: Evidence, crew: Crew
) -> None:
    expected = check(trust, evidence, approved_model)
    logs = dict(evidence.logs)
    for origin in ROLES:
        read = read_log(origin, *files_of(bench, origin), at_once=0)
        logs[origin] = dataclasses.replace(read, mirrors=evidence.logs[origin].mirrors)
    told: list[tuple[str, int, int]] = []
    work = Work(crew, lambda *said: told.append(said), segment=256)
    checked = check(trust, dataclasses.replace(evidence, logs=logs), approved_model, work)
    assert checked.report == expected.report
    size = len(evidence.logs[SOURCE].rows)
    assert [said[1:] for said in told if SOURCE in said[0]] == [(done, -(-size // 256)) for done in range(3)]
    assert trace(checked, "cell", 150) == trace(expected, "cell", 150)
    for origin in ROLES:
        assert list(checked.logs[origin].genuine.items()) == list(expected.logs[origin].genuine.items())


def test_records_are_read_by_kind_and_by_index(trust: Trust, bench: Bench) -> None:
    (trusted,) = (one for one in trust.logs if one.origin == SOURCE)
    log = check_log(trusted, True, read_log(SOURCE, *files_of(bench, SOURCE), at_once=0), [], {})
    held = dict(log.genuine)
    assert isinstance(log.genuine, StoredRecords)
    states = [one for one in held.values() if isinstance(one.body, State)]
    assert list(log.of(Kind.STATE)) == states
    assert list(log.of(Kind.STATE, since=states[7].index)) == states[7:]
    assert log.count(0, len(held), Kind.STATE) == len(states) == 300
    assert [log.kind(index) for index in held] == [one.entry.kind for one in held.values()]
    assert list(log.entries()) == [one.entry for one in held.values()]
    assert log.find("cell", 150) == next(index for index, one in held.items() if one.entry.seq == 150)
    assert log.find("cell", 2**70) is None
    del log.genuine[9]
    assert (9 in log.genuine, log.genuine.get(9), log.kind(9)) == (False, None, None)
    assert (len(log.genuine), log.count(0, 20)) == (len(held) - 1, 19)
    assert list(log.gaps(3, 12)) == [(9, 10)]
    assert (log.has_all(0, 9), log.has_all(0, 10), log.end) == (True, False, len(held))
    assert set(log.genuine) == set(held) - {9}


def test_a_record_that_is_changed_behind_the_check_is_never_taken_for_what_was_checked(
    trust: Trust, bench: Bench, evidence: Evidence
) -> None:
    (trusted,) = (one for one in trust.logs if one.origin == SOURCE)
    path = files_of(bench, SOURCE)[0]
    found = read_log(SOURCE, *files_of(bench, SOURCE), at_once=0)
    log = check_log(trusted, True, found, [], {})
    body = log.genuine[10].body
    before = evidence.logs[SOURCE].rows[300].body or b"?"
    changed = before[:30] + bytes([before[30] ^ 1]) + before[31:]
    # Wherever SQLite has it: pages that were split keep what stood there.
    path.write_bytes(path.read_bytes().replace(before, changed))
    assert log.genuine[10].body == body
    with pytest.raises(LogChanged, match="no longer what they were"):
        log.genuine[300]
    # The check as a whole begins again without it.
    report = judged(trust, evidence, found).report
    assert (What.UNREACHABLE, SOURCE) in {(one.what, one.origin) for one in report.findings}
    assert report.verdict is Verdict.INCONCLUSIVE


def test_a_file_that_breaks_after_it_was_opened_is_unreachable(trust: Trust, bench: Bench, evidence: Evidence) -> None:
    path = files_of(bench, SOURCE)[0]
    found = read_log(SOURCE, *files_of(bench, SOURCE), at_once=0)
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))
    assert list(_named_blocks(found)) == []
    report = judged(trust, evidence, found).report
    assert (What.UNREACHABLE, SOURCE) in {(one.what, one.origin) for one in report.findings}
    assert report.verdict is Verdict.INCONCLUSIVE


def test_full_tiles_stay_in_their_files_until_they_are_asked_for(
    trust: Trust, bench: Bench, evidence: Evidence
) -> None:
    store, published = files_of(bench, TWIN)
    note, tiles = read_tiles(published, at_once=0)
    assert isinstance(tiles, TileFolder)
    assert (note, dict(tiles)) == (evidence.logs[TWIN].published, evidence.logs[TWIN].tiles)
    log = dataclasses.replace(read_log(TWIN, store, published), tiles=tiles)
    assert judged(trust, evidence, log).report.findings == ()
    (published / "tile/0/001").unlink()
    (one,) = judged(trust, evidence, log).report.findings
    assert (one.what, one.where) == (What.MISSING, f"tile level 0, tile 1 of {TWIN}")


def test_a_copy_of_a_running_log_lives_as_long_as_its_rows(bench: Bench) -> None:
    path = files_of(bench, SOURCE)[0]
    path.with_name(f"{path.name}-wal").write_bytes(b"")
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE other (x)")
        log = read_log(SOURCE, *files_of(bench, SOURCE), at_once=0)
        assert isinstance(log.rows, StoredRows)
        copy = Path(log.rows.reaches(256)[0].address.removeprefix("file://").partition("?")[0])
        assert copy != path
        assert copy.is_file()
        assert log.rows[-1].index == len(log.rows) - 1
        del log
    assert not copy.parent.exists()
