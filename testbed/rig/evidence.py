"""What a run of tests leaves behind: a folder of files, and a record in the operator's log that commits to each.

recover_broken_runs(bench, evidence_dir)
facts = facts_of(bench, transport, device, seed=seed, tests=tests)
with EvidenceWriter.open(bench, evidence_dir, facts) as evidence:
    evidence.started(test)
    evidence.measurement(measurement)
    evidence.capture(capture)
    evidence.outcome(Case(test, CaseOutcome.PASS, 0.25))
    kept = evidence.close(Ended.FINISHED, SafeState.REACHED)

The folder of a run holds `run.jsonl`, its journal, from the first moment. When the run has ended its files are made of
the journal: junit.xml, measurements.jsonl, report.html, and last of all manifest.json, which lists every file. Then the
manifest is logged. A process may be killed at any point of this: the next start goes on from what stands there.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

from testbed.core.bodies import Body, TestManifest
from testbed.core.clock import Clock, SystemClock
from testbed.core.entropy import Entropy, SystemEntropy
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData, StoreError, TestbedError, UsageError
from testbed.core.measurement import Capture, Measurement
from testbed.core.run import Case, Ended, RunEnd, RunFacts, SafeState
from testbed.outward.capture_parquet import decode_capture, encode_capture
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.record.manifest import (
    MANIFEST,
    Manifest,
    Pairs,
    decode_manifest,
    encode_manifest,
    pairs_of,
    recorded_pairs,
    sha256,
)
from testbed.record.runs import Captured, Record, Started, decode_record, encode_record
from testbed.rig.bench import Bench
from testbed.rig.broken_off import seen_of_safe_state
from testbed.rig.logs import check_real
from testbed.rig.operating import operator_log
from testbed.rig.paths import Paths
from testbed.rig.run_facts import log_sizes
from testbed.rig.run_files import (
    JOURNAL,
    abouts,
    bytes_of,
    capture_name,
    journal_lines,
    last_known,
    report_of,
    texts_of,
)
from testbed.store.files import write_atomic
from testbed.store.lines import LineFile
from testbed.store.sqlite import LogStore

SafeStateOf = Callable[[RunFacts], tuple[SafeState, str]]
"""What is known of the safe state of a run that was broken off, with words on it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Where the evidence of a run is. index: of its record in the operator's log; problem: why there is none, or ""."""

    folder: Path
    index: int | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Means:
    """What writing into the operator's log takes."""

    bench: Bench
    clock: Clock
    entropy: Entropy
    simulated: bool


class EvidenceWriter:
    """Writes the evidence of one run. Each thing is on disk when the call that says it returns.

    folder: the run's own. Whatever else is put there before the run is closed is listed in the manifest as well.
    A process that is killed leaves what it said; `recover_broken_runs` makes a report of it later.
    """

    def __init__(self, means: _Means, folder: Path, facts: RunFacts, journal: LineFile) -> None:
        self.folder = folder
        self._means = means
        self._journal = journal
        self._records: list[Record] = []
        self._captures = 0
        self._keep(facts)

    @classmethod
    def open(
        cls,
        bench: Bench,
        folder: Path,
        facts: RunFacts,
        *,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
        simulated: bool = False,
    ) -> "EvidenceWriter":
        """Begin a run: its own folder, named as the run, is made in `folder`. Raises StoreError where it cannot be."""
        own = folder / facts.run
        try:
            own.mkdir(parents=True)
        except OSError as error:
            raise StoreError(f"{own}: no folder can be made here: {error.strerror}", "name another folder") from error
        means = _Means(bench, clock or SystemClock(), entropy or SystemEntropy(), simulated)
        return cls(means, own, facts, LineFile.create(own / JOURNAL))

    def started(self, test: str) -> None:
        """A test is going to run: so a run that breaks off can say in which one."""
        self._keep(Started(test))

    def measurement(self, one: Measurement) -> None:
        """Keep a measurement."""
        self._keep(one)

    def capture(self, one: Capture) -> None:
        """Keep a capture, as a Parquet file."""
        self._captures += 1
        file, data = capture_name(self._captures, one.name), encode_capture(one)
        write_atomic(self.folder / file, data, durable=True)
        self._keep(Captured(file, sha256(data), one.test, one.name))

    def outcome(self, case: Case) -> None:
        """A test is done."""
        self._keep(case)

    def close(self, how: Ended, safe_state: SafeState, *, detail: str = "", safe_detail: str = "") -> Kept:
        """End the run: write every file, the manifest last, and log it.

        Where it cannot be logged, as somebody else holds the operator's log, `Kept.problem` says why, and
        `recover_broken_runs` will do it. Raises StoreError when the disk refuses.
        """
        means = self._means
        self._keep(RunEnd(how, safe_state, means.clock.now_ns(), detail, safe_detail, log_sizes(means.bench)))
        try:
            return _finish(means, self.folder, self._records)
        finally:
            self._journal.close()

    def _keep(self, record: Record) -> None:
        self._journal.append(encode_record(record))
        self._records.append(record)

    def __enter__(self) -> "EvidenceWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the run's files. A run that was not closed is found by the next start, as broken off."""
        self._journal.close()


def recover_broken_runs(
    bench: Bench,
    folder: Path,
    *,
    safe_state_of: SafeStateOf | None = None,
    clock: Clock | None = None,
    entropy: Entropy | None = None,
    simulated: bool = False,
) -> list[Kept]:
    """Finish each run of `bench` in `folder` whose process is gone: write its report, and log it.

    Call it before a run begins. safe_state_of: what is known of a broken run's safe state; without it, what the
    gateway's log tells of the watchdog.
    """
    means = _Means(bench, clock or SystemClock(), entropy or SystemEntropy(), simulated)
    logged, ready = _logged_runs(bench), _is_ready(bench)
    kept = []
    for path in sorted(folder.glob(f"*/{JOURNAL}")):
        if (path.parent / MANIFEST).is_file() and (path.parent.name in logged or not ready):
            continue
        resumed = LineFile.resume(path)
        if resumed is None:
            continue  # it goes on
        journal, lines = resumed
        try:
            records = _records(path, lines)
            if records and isinstance(records[0], RunFacts) and records[0].bench == bench.name:
                kept.append(_recover(means, path.parent, journal, records, safe_state_of))
        finally:
            journal.close()
    return kept


def _records(path: Path, lines: Sequence[bytes]) -> list[Record]:
    try:
        return [decode_record(line) for line in lines]
    except InvalidData as error:
        raise StoreError(f"{path}: {error}", "move this run's folder away: its journal was changed") from error


def _recover(
    means: _Means, folder: Path, journal: LineFile, records: list[Record], safe_state_of: SafeStateOf | None
) -> Kept:
    facts = records[0]
    if isinstance(facts, RunFacts) and not isinstance(records[-1], RunEnd):
        look = safe_state_of or partial(seen_of_safe_state, means.bench)
        safe_state, said = look(facts)
        times = [one.time_ns for one in records if isinstance(one, Measurement)]
        end = RunEnd(
            Ended.BROKEN_OFF,
            safe_state,
            max([facts.begun_ns, *times]),
            last_known(records),
            said,
            log_sizes(means.bench),
        )
        journal.append(encode_record(end))
        records = [*records, end]
    return _finish(means, folder, records)


def _finish(means: _Means, folder: Path, records: Sequence[Record]) -> Kept:
    """Make the files of a whole journal and log them."""
    facts = records[0]
    if not isinstance(facts, RunFacts):
        raise InvalidData("a run begins with its facts")
    try:
        pairs = recorded_pairs(data := (folder / MANIFEST).read_bytes(), decode_manifest(data))
    except FileNotFoundError:
        pairs = _write(means.bench, folder, facts, records)
    try:
        return Kept(folder, _log(means, facts.run, pairs))
    except TestbedError as error:
        return Kept(folder, None, f"{error.problem}; {error.mend}" if error.mend else error.problem)


def _write(bench: Bench, folder: Path, facts: RunFacts, records: Sequence[Record]) -> Pairs:
    def capture_in(one: Captured) -> Capture | None:
        with suppress(OSError, InvalidData):
            data = (folder / one.file).read_bytes()
            return decode_capture(data) if sha256(data) == one.sha256 else None
        return None

    texts = texts_of(report_of(records, capture_in))
    for name, data in bytes_of(texts).items():
        write_atomic(folder / name, data, durable=True)
    texts[JOURNAL] = journal_lines(records)
    pairs = pairs_of(_files(folder), abouts(texts))
    manifest = Manifest(facts.run, facts.bench, bench.origin(bench.operator.name), pairs)
    data = encode_manifest(manifest)
    write_atomic(folder / MANIFEST, data, durable=True)
    return recorded_pairs(data, manifest)


def _files(folder: Path) -> Mapping[str, bytes]:
    """Every file but the manifest, by its name seen from the folder; what a killed writer left aside is removed."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        if path.name.startswith(".") and path.suffix == ".tmp":
            path.unlink()
        elif path.is_file():
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    found.pop(MANIFEST, None)
    return found


def _log(means: _Means, run: str, pairs: Pairs) -> int:
    """Log the manifest, once; the record's index."""
    bench = means.bench
    if not Paths(bench.data).log(bench.operator.name).is_file():
        raise UsageError(
            f"{bench.data}: this bench was not made ready, so nothing was logged", "run `testbed init` once"
        )
    if not means.simulated:
        check_real(bench)
    with operator_log(bench, means.clock, means.entropy, simulated=means.simulated) as log:
        index, before = _logged_runs(bench).get(run, (0, None))
        if before is None:
            return log.append([(run, TestManifest(pairs))]).first_index
    if before != TestManifest(pairs):
        mend = "leave the record as it is: `testbed verify` says what differs from it"
        raise StoreError(f"record {index} of the operator's log holds another run of the name {run}", mend)
    return index


def _is_ready(bench: Bench) -> bool:
    return Paths(bench.data).log(bench.operator.name).is_file()


def _logged_runs(bench: Bench) -> dict[str, tuple[int, Body]]:
    """Runs that the operator's log holds, with the index and the body of each one's first record."""
    runs: dict[str, tuple[int, Body]] = {}
    with suppress(StoreError, InvalidData), LogStore.read(Paths(bench.data).log(bench.operator.name)) as store:
        for row in store.rows():
            entry = decode_entry(row.entry)
            if entry.kind is Kind.TEST and row.body is not None:
                runs.setdefault(entry.source, (row.index, decode_body(entry.kind, row.body)))
    return runs
