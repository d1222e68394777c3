"""A run's evidence: whole when it ended, made good when it was killed, and logged once whatever happened."""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.core.bodies import WATCHDOG_TRIPPED, Event, State, TestManifest
from testbed.core.clock import SystemClock, VirtualClock
from testbed.core.entropy import SeededEntropy, SystemEntropy
from testbed.core.entry import Kind
from testbed.core.errors import StoreError
from testbed.core.measurement import Outcome
from testbed.core.run import Case, CaseOutcome, Ended, RunEnd, RunFacts, SafeState
from testbed.fieldbus.registers import encode
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.record.manifest import MANIFEST, decode_manifest, parse_name, recorded_pairs, sha256
from testbed.record.runs import decode_measurement, decode_record
from testbed.rig.bench import Bench, load_bench
from testbed.rig.default import default_text
from testbed.rig.evidence import EvidenceWriter, recover_broken_runs
from testbed.rig.initialize import initialize
from testbed.rig.locks import role_lock
from testbed.rig.logs import Configuration, open_log
from testbed.rig.paths import Paths
from testbed.rig.run_facts import commit_of, facts_of
from testbed.store.sqlite import LogStore
from tests.rig.runs import BEGUN, DEVICE, HEAT, LEVEL, capture, measurement, write_run

NAMES = {"capture-001-level-and-pump.parquet", "junit.xml", MANIFEST, "measurements.jsonl", "report.html", "run.jsonl"}

# Begins a run, says so, and measures without end; it is killed.
ENDLESS = """
import sys
from pathlib import Path
from testbed.core.run import Case, CaseOutcome
from testbed.rig.bench import load_bench
from testbed.rig.evidence import EvidenceWriter
from testbed.rig.run_facts import facts_of
from tests.rig.runs import BEGUN, DEVICE, HEAT, LEVEL, capture, measurement

bench = load_bench(Path(sys.argv[1]))
folder = Path(sys.argv[2])
facts = facts_of(bench, "modbus", DEVICE, seed=1, tests=folder)
evidence = EvidenceWriter.open(bench, folder, facts)
evidence.started(LEVEL)
evidence.capture(capture())
evidence.outcome(Case(LEVEL, CaseOutcome.PASS, 1.0))
evidence.started(HEAT)
for number in range(10**9):
    evidence.measurement(measurement(HEAT, "tank2.temperature", 60 + number / 100))
    print(number, flush=True)
"""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a bench that was made ready and never ran. Not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "bench.toml").write_text(default_text(), encoding="utf-8")
    bench = load_bench(folder / "bench.toml")
    asyncio.run(initialize(bench, bench.trust_file, SystemClock(), SystemEntropy(), simulated=False))
    return folder


def copied(made: Path, to: Path) -> Bench:
    shutil.copytree(made, to)
    return load_bench(to / "bench.toml")


@pytest.fixture
def bench(made: Path, tmp_path: Path) -> Bench:
    return copied(made, tmp_path / "bench")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "evidence"


def logged(bench: Bench) -> list[tuple[int, str, TestManifest]]:
    """Index, run and manifest of each test record of the operator's log."""
    found = []
    with LogStore.read(Paths(bench.data).log(bench.operator.name)) as store:
        for row in store.rows():
            entry = decode_entry(row.entry)
            if entry.kind is Kind.TEST:
                body = decode_body(entry.kind, row.body or b"")
                assert isinstance(body, TestManifest)
                found.append((row.index, entry.source, body))
    return found


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def begun(bench: Bench, folder: Path) -> EvidenceWriter:
    return EvidenceWriter.open(bench, folder, facts_of(bench, "modbus", DEVICE, seed=1, tests=folder))


def test_a_run_leaves_its_files_and_a_record_that_commits_to_each(bench: Bench, folder: Path) -> None:
    kept = write_run(bench, folder, 3, simulated=False)
    assert kept.problem == ""
    files = files_of(kept.folder)
    assert set(files) == NAMES
    ((index, run, body),) = logged(bench)
    assert (index, run) == (kept.index, kept.folder.name)
    assert body.files == recorded_pairs(files[MANIFEST], decode_manifest(files[MANIFEST]))
    named = {parse_name(name) for name, _ in body.files}
    assert {file for file, number, _ in named if number is None} == NAMES
    for name, digest in body.files:
        file, number, _ = parse_name(name)
        data = files[file] if number is None else files[file].split(b"\n")[number - 1]
        assert sha256(data) == digest
    assert ("measurements.jsonl", 3, f"{HEAT} tank2.temperature") in named
    lines = files["measurements.jsonl"].splitlines()
    measured = [decode_measurement(line) for line in lines]
    assert [(one.test, one.name, one.outcome) for one in measured][2] == (HEAT, "tank2.temperature", Outcome.FAIL)
    facts = json.loads(files["run.jsonl"].splitlines()[0])
    assert facts["logs"][bench.origin("operator")] == 3  # as large as it was when the run began


def test_the_same_run_gives_the_same_files(made: Path, tmp_path: Path) -> None:
    benches = [copied(made, tmp_path / name) for name in ("one", "other")]
    first, second = (
        files_of(write_run(bench, bench.folder / "evidence", 3, simulated=False).folder) for bench in benches
    )
    assert first == second


def test_a_run_of_a_name_that_is_logged_already_is_not_taken_for_it(bench: Bench, tmp_path: Path) -> None:
    write_run(bench, tmp_path / "one", 3, simulated=False)
    kept = write_run(bench, tmp_path / "other", 3, simulated=False)  # the log had grown meanwhile, and that is told
    assert kept.index is None
    assert "another run of the name" in kept.problem
    assert len(logged(bench)) == 1


def test_whatever_else_is_put_into_the_folder_is_listed(bench: Bench, folder: Path) -> None:
    with begun(bench, folder) as evidence:
        (evidence.folder / "firmware").mkdir()
        (evidence.folder / "firmware" / "dump.bin").write_bytes(b"\x00\x01")
        (evidence.folder / ".report.html.1.tmp").write_bytes(b"left by a writer that was killed")
        kept = evidence.close(Ended.FINISHED, SafeState.NONE)
    pairs = dict(logged(bench)[0][2].files)
    assert pairs["firmware/dump.bin"] == sha256(b"\x00\x01")
    assert set(files_of(kept.folder)) == (NAMES | {"firmware/dump.bin"}) - {"capture-001-level-and-pump.parquet"}


def test_a_killed_run_is_reported_by_the_next_start_with_the_last_thing_known(bench: Bench, folder: Path) -> None:
    command = [sys.executable, "-c", ENDLESS, bench.file, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
        assert recover_broken_runs(bench, folder) == []  # it lives
        process.send_signal(signal.SIGKILL)
        process.stdout.read()
    assert logged(bench) == []
    (kept,) = recover_broken_runs(
        bench, folder, safe_state_of=lambda facts: (SafeState.REACHED, f"watchdog of {facts.bench}")
    )
    assert (kept.problem, len(logged(bench))) == ("", 1)
    files = files_of(kept.folder)
    assert set(files) == NAMES
    measured = [decode_measurement(line) for line in files["measurements.jsonl"].splitlines()]
    assert len(measured) >= 5
    page = files["report.html"].decode()
    assert "broken off" in page
    assert f"{HEAT} was running, with tank2.temperature = {measured[-1].value}" in page
    assert "watchdog of water-cell" in page
    assert "the run broke off" in files["junit.xml"].decode()
    # Once is enough.
    assert recover_broken_runs(bench, folder) == []
    assert files_of(kept.folder) == files
    assert len(logged(bench)) == 1


STAGES = ("begun", "torn", "ended", "half written", "not logged", "logged")


@pytest.mark.parametrize("stage", STAGES)
def test_wherever_a_run_was_killed_it_ends_as_one_report_and_one_record(
    bench: Bench, made: Path, folder: Path, tmp_path: Path, stage: str
) -> None:
    whole = write_run(bench, tmp_path / "elsewhere", 3, simulated=False)
    lines = (whole.folder / "run.jsonl").read_bytes().splitlines(keepends=True)
    other = copied(made, tmp_path / "other")
    run = folder / whole.folder.name
    run.mkdir(parents=True)
    keep = {"begun": lines[:1], "torn": [*lines[:5], lines[5][:20]]}.get(stage, lines)
    (run / "run.jsonl").write_bytes(b"".join(keep))
    if stage not in ("begun", "torn"):
        names = {"ended": [], "half written": ["junit.xml"]}.get(stage, sorted(NAMES - {"run.jsonl"}))
        for name in {*names, "capture-001-level-and-pump.parquet"}:
            (run / name).write_bytes((whole.folder / name).read_bytes())
    if stage == "logged":
        assert len(recover_broken_runs(other, folder)) == 1
        assert recover_broken_runs(other, folder) == []
    else:
        (kept,) = recover_broken_runs(other, folder)
        assert (kept.folder, kept.problem) == (run, "")
    assert recover_broken_runs(other, folder) == []
    ((_, source, body),) = logged(other)
    assert source == run.name
    files = files_of(run)
    for name, digest in body.files:
        file, number, _ = parse_name(name)
        if number is None:
            assert sha256(files[file]) == digest
    assert ("broken off" in files["report.html"].decode()) == (stage in ("begun", "torn"))
    if stage not in ("begun", "torn"):
        assert files == files_of(whole.folder)


def test_while_somebody_commands_the_files_are_there_and_the_record_comes_later(bench: Bench, folder: Path) -> None:
    with begun(bench, folder) as evidence, role_lock(bench, bench.operator.name):
        kept = evidence.close(Ended.FINISHED, SafeState.REACHED)
    assert kept.index is None
    assert "runs already" in kept.problem
    assert (kept.folder / MANIFEST).is_file()
    (later,) = recover_broken_runs(bench, folder)
    assert later.index == logged(bench)[0][0]


def test_a_bench_that_was_not_made_ready_leaves_files_and_says_that_nothing_was_logged(tmp_path: Path) -> None:
    bench = replace(load_bench(None), data=tmp_path / "nothing")
    kept = write_run(bench, tmp_path, 3, simulated=False)
    assert set(files_of(kept.folder)) == NAMES
    assert "testbed init" in kept.problem
    assert recover_broken_runs(bench, tmp_path) == []


def test_runs_of_another_bench_and_empty_journals_are_left_alone(bench: Bench, folder: Path) -> None:
    with begun(replace(bench, name="other"), folder) as evidence:
        evidence.started(LEVEL)
    (folder / "run-empty").mkdir()
    (folder / "run-empty" / "run.jsonl").write_bytes(b"")
    assert recover_broken_runs(bench, folder) == []
    assert recover_broken_runs(bench, folder / "nowhere") == []


def test_a_journal_that_was_changed_is_named(bench: Bench, folder: Path) -> None:
    with begun(bench, folder) as evidence:
        evidence.started(LEVEL)
    path = evidence.folder / "run.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"started"', b'"Started"'))
    with pytest.raises(StoreError, match=r"run\.jsonl"):
        recover_broken_runs(bench, folder)


def test_a_lost_capture_does_not_keep_the_report_from_being_written(bench: Bench, folder: Path) -> None:
    with begun(bench, folder) as evidence:
        evidence.started(LEVEL)
        evidence.capture(capture())
        (evidence.folder / "capture-001-level-and-pump.parquet").write_bytes(b"damaged")
        evidence.outcome(Case(LEVEL, CaseOutcome.PASS, 1.0))
        kept = evidence.close(Ended.FINISHED, SafeState.NONE)
    assert "capture-001-level-and-pump.parquet cannot be read" in (kept.folder / "report.html").read_text()


def test_a_folder_that_cannot_be_made_is_named(bench: Bench, folder: Path) -> None:
    folder.write_text("a file")
    with pytest.raises(StoreError, match="no folder can be made"):
        begun(bench, folder)


def test_measurements_keep_their_order_and_value(bench: Bench, folder: Path) -> None:
    values = [0.1 + 0.2, 1e-300, True, 3]
    with begun(bench, folder) as evidence:
        for value in values:
            evidence.measurement(replace(measurement(), value=value))
        kept = evidence.close(Ended.INTERRUPTED, SafeState.REACHED, detail="SIGINT")
    lines = (kept.folder / "measurements.jsonl").read_bytes().splitlines()
    assert [decode_measurement(line).value for line in lines] == values


def test_the_commit_of_the_test_tree_is_found(tmp_path: Path) -> None:
    assert commit_of(tmp_path) == ""
    tree = tmp_path / "tree"
    tree.mkdir()
    git = ["git", "-C", str(tree), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    (tree / "test_x.py").write_text("one")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "one"], check=True)
    commit = commit_of(tree / "test_x.py")
    assert len(commit) == 40
    (tree / "test_x.py").write_text("two")
    assert commit_of(tree) == f"{commit}+changed"


def test_facts_name_the_bench_and_its_logs(bench: Bench, tmp_path: Path) -> None:
    facts = facts_of(bench, "opcua", DEVICE, seed=None, tests=tmp_path)
    assert isinstance(facts, RunFacts)
    assert (facts.bench, facts.transport, facts.device, facts.seed) == ("water-cell", "opcua", DEVICE, None)
    assert {one.origin: one.size for one in facts.logs}[bench.origin("operator")] == 3
    assert facts.run.startswith("run-2")
    assert facts_of(bench, "opcua", DEVICE, seed=None, tests=tmp_path).run != facts.run


def state(bench: Bench, second: float, **values: float) -> State:
    """What the gateway read `second` s after the run began: 0 for each tag but those that are named."""
    given = {name.replace("_", ".", 1): value for name, value in values.items()}
    raw = tuple(encode(tag, given[tag.name]) if tag.name in given else bytes(tag.type.size) for tag in bench.tags)
    return State(1, None, None, BEGUN + int(second * 1e9), raw, (0,) * len(raw))


@pytest.mark.parametrize(
    ("tripped", "second", "pump", "expected"),
    [
        (True, 3.0, 0.0, SafeState.REACHED),
        (True, 3.0, 55.0, SafeState.UNKNOWN),  # it may still be on its way
        (True, 30.0, 55.0, SafeState.FAILED),
        (False, 3.0, 0.0, SafeState.UNKNOWN),
    ],
)
def test_the_gateways_log_tells_whether_a_broken_run_left_the_machine_safe(
    bench: Bench, folder: Path, tripped: bool, second: float, pump: float, expected: SafeState
) -> None:
    clock, entropy = VirtualClock(BEGUN), SeededEntropy(1, "gateway")
    log, store = open_log(bench, "gateway", Configuration(), clock, entropy, simulated=False)
    log.append([("cell", Event(BEGUN, WATCHDOG_TRIPPED, b"an older one")), ("cell", state(bench, 0.0))])
    with begun(bench, folder) as evidence:
        evidence.started(LEVEL)
    trip = [("cell", Event(BEGUN + 2 * 10**9, WATCHDOG_TRIPPED, b"boot 1 scan 20"))] if tripped else []
    log.append([("cell", state(bench, 1.0, pump_speed=80.0)), *trip, ("cell", state(bench, second, pump_speed=pump))])
    store.close()
    (kept,) = recover_broken_runs(bench, folder)
    end = decode_record((kept.folder / "run.jsonl").read_bytes().splitlines()[-1])
    assert isinstance(end, RunEnd)
    assert (end.how, end.safe_state) == (Ended.BROKEN_OFF, expected)
    assert (
        "record 4 of water-cell/gateway: the watchdog tripped at 2026-01-01T00:00:02Z" in end.safe_detail
    ) == tripped
    assert ("pump.speed is 55.0, not 0 to 1" in end.safe_detail) == (tripped and pump > 1)
