"""A report of a test run is the one that was run, or what was changed is named: every file, every line, every place.

The bench is a real one that was simulated. Two runs were logged while it ran, and are anchored; a third one came last.
"""

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.bodies import Beacon, TestManifest
from testbed.core.clock import VirtualClock
from testbed.core.entropy import SeededEntropy
from testbed.core.errors import UsageError
from testbed.core.finding import Finding, Layer, Verdict, What
from testbed.core.identity import Identity
from testbed.core.run import LogSize
from testbed.record.manifest import MANIFEST, decode_manifest, lines_of, recorded_pairs, sha256
from testbed.rig.auditing import audit, auditor, read_report
from testbed.rig.bench import Bench, load_bench
from testbed.rig.default import default_text
from testbed.rig.lockstep import START_NS, simulate
from testbed.rig.operating import operator_log
from testbed.rig.paths import Paths
from testbed.rig.trust import load_trust
from testbed.verify.report import CheckedReport, check_report
from testbed.verify.report_device import check_device
from testbed.verify.report_lines import LineEdit, compare_lines
from testbed.verify.trust import Trust
from testbed.verify.verdict import Checked
from tests.rig.runs import DEVICE, HEAT, LEVEL, write_run

SCANS = 60
FILES = {"capture-001-level-and-pump.parquet", "junit.xml", "measurements.jsonl", "report.html", "run.jsonl"}
TEXTS = sorted(name for name in FILES if not name.endswith("parquet"))


@dataclass(frozen=True)
class Finished:
    """A bench with three runs, and what an auditor makes of it. Not to be changed."""

    bench: Bench
    trust: Trust
    checked: Checked
    runs: tuple[Path, Path, Path]
    files: tuple[dict[str, bytes], dict[str, bytes], dict[str, bytes]]

    def check(self, files: dict[str, bytes]) -> CheckedReport:
        return check_report(self.trust, self.checked, files)


def clock_at(scan: int) -> VirtualClock:
    return VirtualClock(START_NS + scan * 10**8)


@pytest.fixture(scope="session")
def tested(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("tested")
    (folder / "bench.toml").write_text(default_text().replace("every = 256", "every = 32"), encoding="utf-8")
    bench = load_bench(folder / "bench.toml")
    runs: list[Path] = []

    def test(scan: int) -> None:
        if scan in (30, 45):
            runs.append(write_run(bench, folder / "evidence", scan, clock_at(scan)).folder)

    asyncio.run(simulate(bench, SCANS, 5, progress=test))
    runs.append(write_run(bench, folder / "evidence", 99, clock_at(SCANS)).folder)
    checked = asyncio.run(audit(bench, bench.trust_file))
    assert checked.report.verdict is Verdict.GENUINE
    first, second, third = runs
    files = (read_report(first), read_report(second), read_report(third))
    return Finished(bench, auditor(load_trust(bench.trust_file)), checked, (first, second, third), files)


@pytest.fixture
def copy(tested: Finished, tmp_path: Path) -> Bench:
    """The bench, to be changed."""
    shutil.copytree(tested.bench.folder, tmp_path / "copy")
    return load_bench(tmp_path / "copy" / "bench.toml")


def only(report: CheckedReport) -> Finding:
    (found,) = report.findings
    return found


def test_an_untouched_report_is_genuine_and_says_on_what_it_rests(tested: Finished) -> None:
    for run, files in zip(tested.runs[:2], tested.files, strict=False):
        report = tested.check(files)
        assert report.findings == ()
        assert report.verdict is Verdict.GENUINE
        assert (report.run, report.files, report.logged) == (run.name, 6, 6)
        assert report.facts is not None
        assert report.facts.device == DEVICE
        assert report.seen is not None
        assert report.seen[0] == "water-cell/gateway"
        assert report.trace is not None
        assert report.trace.origin == "water-cell/operator"
        assert report.trace.anchor is not None
        assert report.trace.after is not None
        assert report.trace.after.block < report.trace.anchor.block
    # Text is hashed line by line, so that nothing in it has no name.
    assert report.lines == sum(len(lines_of(files[name])) for name in TEXTS)


def test_what_no_anchor_covers_yet_is_pending_and_still_held_to_its_record(tested: Finished) -> None:
    report = tested.check(tested.files[2])
    assert (only(report).what, report.verdict) == (What.UNANCHORED, Verdict.INCONCLUSIVE)
    assert report.files == report.logged
    assert report.trace is not None
    assert report.trace.anchor is None
    changed = {
        **tested.files[2],
        "measurements.jsonl": tested.files[2]["measurements.jsonl"].replace(b"61.25", b"51.25"),
    }
    assert tested.check(changed).verdict is Verdict.FALSIFIED


@pytest.mark.parametrize("name", sorted(FILES | {MANIFEST}))
@given(st.data())
def test_one_flipped_bit_anywhere_is_falsified_and_named(tested: Finished, name: str, data: st.DataObject) -> None:
    files = tested.files[0]
    place = data.draw(st.integers(0, len(files[name]) - 1), label="place")
    changed = bytearray(files[name])
    changed[place] ^= 1 << data.draw(st.integers(0, 7), label="bit")
    report = tested.check({**files, name: bytes(changed)})
    assert report.verdict is Verdict.FALSIFIED
    assert report.run == tested.runs[0].name
    lines = lines_of(files[name])
    if name not in TEXTS:
        assert (only(report).what, only(report).where) == (What.ALTERED, name)
        return
    number = files[name][:place].count(b"\n")
    assert {one.layer for one in report.findings} == {Layer.REPORT}
    if files[name][place] == 10 and number == len(lines) - 1:
        assert only(report).where == f"end of {name}" or only(report).where.startswith(f"line {len(lines)} of {name}")
    else:
        assert report.findings[0].what is What.ALTERED
        assert report.findings[0].where.partition(":")[0] == f"line {number + 1} of {name}"
        # A line feed that goes makes one line of two, and both are other ones then.
        assert len(report.findings) == 1 + (files[name][place] == 10)


@pytest.mark.parametrize("name", ["measurements.jsonl", "junit.xml", "report.html", "run.jsonl"])
def test_the_measurement_that_was_edited_is_named(tested: Finished, name: str) -> None:
    edits = [(b"61.25", b"59.25", f"{HEAT} tank2.temperature"), (b"1.05", b"1.15", f"{LEVEL} pump.speed")]
    for before, after, about in edits:
        lines = tested.files[0][name].split(b"\n")
        (place, *_) = [
            place for place, line in enumerate(lines) if before in line and about.split()[1].encode() in line
        ]
        lines[place] = lines[place].replace(before, after)
        found = only(tested.check({**tested.files[0], name: b"\n".join(lines)}))
        assert (found.what, found.layer, found.verdict) == (What.ALTERED, Layer.REPORT, Verdict.FALSIFIED)
        assert found.where == f"line {place + 1} of {name}: {about}"


@pytest.mark.parametrize("name", sorted(FILES | {MANIFEST}))
def test_a_missing_file_is_named(tested: Finished, name: str) -> None:
    report = tested.check({other: data for other, data in tested.files[0].items() if other != name})
    assert (only(report).what, only(report).where, report.verdict) == (What.DELETED, name, Verdict.FALSIFIED)


def test_the_capture_that_a_changed_file_held_is_named(tested: Finished) -> None:
    name = "capture-001-level-and-pump.parquet"
    found = only(tested.check({**tested.files[0], name: tested.files[0][name] + b"\x00"}))
    assert found.where == name
    assert f"level and pump of {LEVEL}" in found.detail


def test_a_file_too_many_is_named(tested: Finished) -> None:
    report = tested.check({**tested.files[0], "note.txt": b"all is well\n"})
    assert (only(report).what, only(report).where, report.verdict) == (What.INSERTED, "note.txt", Verdict.FALSIFIED)


def test_lines_that_are_gone_added_or_moved_are_named(tested: Finished) -> None:
    files, name = tested.files[0], "measurements.jsonl"
    lines = files[name].splitlines(keepends=True)
    cases = [
        (
            lines[:1] + lines[2:],
            What.DELETED,
            "line 2 of measurements.jsonl: tests/test_tank.py::test_level pump.speed",
        ),
        ([*lines[:2], lines[0], *lines[2:]], What.INSERTED, "line 3 of measurements.jsonl"),
        ([*lines, lines[0]], What.INSERTED, "line 5 of measurements.jsonl"),
        ([lines[1], lines[0], *lines[2:]], What.REORDERED, "line 1 of measurements.jsonl"),
        ([], What.DELETED, "line 1 of measurements.jsonl"),
    ]
    for changed, what, where in cases:
        report = tested.check({**files, name: b"".join(changed)})
        assert report.verdict is Verdict.FALSIFIED
        assert report.findings[0].what is what
        assert report.findings[0].where.startswith(where)


def test_every_file_edited_is_still_this_run_with_each_edit_named(tested: Finished) -> None:
    changed = {name: data[:-2] + bytes([data[-2] ^ 1]) + data[-1:] for name, data in tested.files[0].items()}
    report = tested.check(changed)
    assert report.run == tested.runs[0].name
    assert (report.files, report.verdict) == (0, Verdict.FALSIFIED)
    assert {name for name in changed if any(name in one.where for one in report.findings)} == set(changed)


def test_files_of_another_run_are_not_of_this_one(tested: Finished) -> None:
    one, other = tested.files[:2]
    mixed = tested.check({**one, "measurements.jsonl": other["measurements.jsonl"]})
    assert only(mixed).where.startswith("line 1 of measurements.jsonl")
    both = tested.check({**one, "junit.xml": other["junit.xml"], "report.html": other["report.html"]})
    assert both.run == tested.runs[0].name
    assert both.verdict is Verdict.FALSIFIED


def test_a_run_that_the_bench_never_logged_is_invented(tested: Finished, tmp_path: Path) -> None:
    unlogged = load_bench(None)
    other = replace(unlogged, data=tmp_path / "nothing")
    kept = write_run(other, tmp_path, 7)
    assert kept.index is None
    assert "testbed init" in kept.problem
    report = tested.check(read_report(kept.folder))
    assert (only(report).what, report.verdict) == (What.INVENTED, Verdict.FALSIFIED)
    assert "logged no such run" in only(report).detail
    assert (report.run, report.trace) == ("", None)


def test_a_report_that_takes_the_name_of_a_run_is_held_against_that_run(tested: Finished) -> None:
    forged = {name: data.replace(b"61.25", b"1.0") for name, data in tested.files[1].items()}
    names = [run.name.encode() for run in tested.runs]
    taken = {name: data.replace(names[1], names[0]) for name, data in forged.items()}
    report = tested.check(taken)
    assert (report.run, report.verdict) == (tested.runs[0].name, Verdict.FALSIFIED)


def test_a_report_of_another_bench_is_said_to_be_one(tested: Finished, tmp_path: Path) -> None:
    other = replace(load_bench(None), name="other-cell", data=tmp_path / "nothing")
    report = tested.check(read_report(write_run(other, tmp_path, 7).folder))
    assert (only(report).what, report.verdict) == (What.INVENTED, Verdict.FALSIFIED)
    assert "bench other-cell" in only(report).detail
    # Its own operator may have logged it; then what it says of itself is held against the trust file.
    renamed = replace(tested.trust, bench="another-cell")
    found = only(check_report(renamed, tested.checked, tested.files[0]))
    assert (found.what, found.layer) == (What.UNAPPROVED, Layer.IDENTITY)


def test_a_second_record_of_a_run_is_not_its_own(copy: Bench, tested: Finished) -> None:
    """Whoever holds the operator's key can log an edited report later, but not as the first one."""
    folder = copy.folder / "evidence" / tested.runs[0].name
    path = folder / "measurements.jsonl"
    path.write_bytes(path.read_bytes().replace(b"61.25", b"51.25"))
    data = (folder / MANIFEST).read_bytes()
    old, new = (sha256(files) for files in (tested.files[0][path.name], path.read_bytes()))
    lines = dict(
        zip(map(sha256, lines_of(tested.files[0][path.name])), map(sha256, lines_of(path.read_bytes())), strict=True)
    )
    data = data.replace(old.hex().encode(), new.hex().encode())
    for before, after in lines.items():
        data = data.replace(before.hex().encode(), after.hex().encode())
    (folder / MANIFEST).write_bytes(data)
    body = TestManifest(recorded_pairs(data, decode_manifest(data)))
    with operator_log(copy, clock_at(SCANS), SeededEntropy(1, "forger"), simulated=True) as log:
        log.append([(tested.runs[0].name, body)])
    checked = asyncio.run(audit(copy, copy.trust_file))
    report = check_report(tested.trust, checked, read_report(folder))
    assert report.verdict is Verdict.FALSIFIED
    assert [one.what for one in report.findings if one.verdict is Verdict.FALSIFIED] == [What.INVENTED]


def test_a_run_on_another_device_than_the_readers_saw_is_not_taken_for_one_on_theirs(tested: Finished) -> None:
    report = tested.check(tested.files[0])
    assert report.facts is not None
    assert report.end is not None
    logs = list(tested.checked.logs.values())
    origin, index = check_device(report.facts, report.end, logs)[0] or ("", -1)
    for other in (replace(DEVICE, firmware="1.1"), replace(DEVICE, serial="7"), Identity(product="other")):
        seen, findings = check_device(replace(report.facts, device=other), report.end, logs)
        assert seen is None
        assert [(one.what, one.verdict) for one in findings] == [(What.DISAGREED, Verdict.INCONCLUSIVE)]
    # A device that says nothing, or that nobody asked, is no contradiction.
    assert check_device(replace(report.facts, device=Identity()), report.end, logs) == (None, [])
    others = [log for log in logs if log.origin == "water-cell/operator"]
    assert check_device(report.facts, report.end, others) == (None, [])
    # What was read only after the run says nothing of it.
    before = replace(report.end, logs=(LogSize(origin, index),))
    gateway = [log for log in logs if log.origin == origin]
    assert check_device(replace(report.facts, device=Identity(product="other")), before, gateway) == (None, [])


def test_a_false_block_in_the_facts_is_found(tested: Finished) -> None:
    report = tested.check(tested.files[0])
    assert report.facts is not None
    assert report.facts.block is not None
    block = report.facts.block
    # As if the chain had another block there: what the run says of it was logged, so it is the chain that is other.
    chain = replace(
        tested.checked.chain,
        times={key: value for key, value in tested.checked.chain.times.items() if key != block.block_hash},
        hashes={**tested.checked.chain.hashes, block.number: {bytes(32)}},
    )
    found = only(check_report(tested.trust, replace(tested.checked, chain=chain), tested.files[0]))
    assert (found.what, found.layer) == (What.REWRITTEN, Layer.CHAIN)
    assert isinstance(block, Beacon)


def damaged(tested: Finished, copy: Bench, damage: Callable[[Paths], object]) -> CheckedReport:
    damage(Paths(copy.data))
    checked = asyncio.run(audit(copy, copy.trust_file))
    return check_report(tested.trust, checked, tested.files[0])


def test_without_the_operators_log_nothing_is_said(tested: Finished, copy: Bench) -> None:
    report = damaged(tested, copy, lambda paths: paths.log("operator").unlink())
    assert report.verdict is Verdict.INCONCLUSIVE
    assert {one.what for one in report.findings} == {What.UNREACHABLE, What.MISSING}


def test_without_a_journal_nothing_is_anchored(tested: Finished, copy: Bench) -> None:
    report = damaged(tested, copy, lambda paths: paths.journal.unlink())
    assert report.verdict is Verdict.INCONCLUSIVE
    assert What.UNANCHORED in {one.what for one in report.findings}


def test_a_changed_operators_log_is_a_finding_of_the_report(tested: Finished, copy: Bench) -> None:
    def change_tile(paths: Paths) -> None:
        tile = next(path for path in sorted(paths.tlog("operator").glob("tile/0/**/*")) if path.is_file())
        tile.write_bytes(bytes([tile.read_bytes()[0] ^ 1]) + tile.read_bytes()[1:])

    report = damaged(tested, copy, change_tile)
    assert report.verdict is Verdict.FALSIFIED
    assert {one.origin for one in report.findings} == {"water-cell/operator"}


def test_what_is_wrong_with_another_log_does_not_touch_the_report(tested: Finished, copy: Bench) -> None:
    report = damaged(tested, copy, lambda paths: paths.log("gateway").unlink())
    assert report.findings == ()
    assert report.verdict is Verdict.GENUINE


def test_a_report_is_a_folder_or_its_manifest(tested: Finished, tmp_path: Path) -> None:
    run = tested.runs[0]
    assert read_report(run / MANIFEST) == read_report(run)
    for wrong in (run / "junit.xml", run / "nothing", tmp_path / "nowhere" / MANIFEST, run.parent, tmp_path):
        with pytest.raises(UsageError):
            read_report(wrong)
    with pytest.raises(UsageError, match=run.name):
        read_report(run.parent)


LINES = st.lists(st.sampled_from([b"a", b"b", b"c", b"d"]), max_size=8)


@given(LINES, LINES)
def test_lines_that_differ_are_always_noticed_and_equal_ones_never(logged: list[bytes], found: list[bytes]) -> None:
    edits = compare_lines(logged, found)
    assert bool(edits) == (logged != found)
    assert all(1 <= edit.number <= len(logged) + 1 for edit in edits)


@given(LINES.filter(bool), st.data())
def test_one_changed_line_is_found_in_its_place(logged: list[bytes], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(logged) - 1))
    changed = [*logged[:place], b"new", *logged[place + 1 :]]
    assert compare_lines(logged, changed) == [LineEdit(What.ALTERED, place + 1)]
