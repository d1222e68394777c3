"""What a run of tests leaves behind: a folder of files, and a record in the operator's log that commits to each.

facts = facts_of(bench, transport, device, clock=clock, seed=seed, tests=tests)
with EvidenceWriter.open(bench, evidence_dir, facts) as evidence:
    evidence.started(test)
    evidence.measurement(measurement)
    evidence.capture(capture)
    evidence.outcome(Case(test, CaseOutcome.PASS, 0.25))
    kept = evidence.close(Ended.FINISHED, SafeState.REACHED)
"""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from testbed.core.clock import Clock, SystemClock
from testbed.core.entropy import Entropy, SystemEntropy
from testbed.core.identity import Identity
from testbed.core.measurement import Capture, Measurement
from testbed.core.run import Case, Ended, RunFacts, SafeState
from testbed.rig.bench import Bench


@dataclass(frozen=True, slots=True)
class Kept:
    """Where the evidence of a run is. index: of its record in the operator's log; problem: why there is none, or ""."""

    folder: Path
    index: int | None
    problem: str = ""


def facts_of(
    bench: Bench, transport: str, device: Identity, *, seed: int | None, tests: Path, clock: Clock | None = None
) -> RunFacts:
    """What is known as a run begins. tests: a folder or file of the test tree, whose commit is looked up."""
    raise NotImplementedError


class EvidenceWriter:
    """Writes the evidence of one run. Each thing is on disk when the call that says it returns.

    A process that is killed leaves what it said; `recover_broken_runs` makes a report of it later.
    """

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
        raise NotImplementedError

    @property
    def folder(self) -> Path:
        """The run's own folder. Whatever else is put there is listed in the manifest as well."""
        raise NotImplementedError

    def started(self, test: str) -> None:
        """A test is going to run: so a run that breaks off can say in which one."""
        raise NotImplementedError

    def measurement(self, one: Measurement) -> None:
        """Keep a measurement."""
        raise NotImplementedError

    def capture(self, one: Capture) -> None:
        """Keep a capture, as a Parquet file."""
        raise NotImplementedError

    def outcome(self, case: Case) -> None:
        """A test is done."""
        raise NotImplementedError

    def close(self, how: Ended, safe_state: SafeState, *, detail: str = "", safe_detail: str = "") -> Kept:
        """End the run: write every file, the manifest last, and log it.

        Where it cannot be logged, as somebody else holds the operator's log, `Kept.problem` says why, and
        `recover_broken_runs` will do it.
        """
        raise NotImplementedError

    def __enter__(self) -> "EvidenceWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the run's files. A run that was not closed is found by the next start, as broken off."""


def recover_broken_runs(
    bench: Bench,
    folder: Path,
    *,
    clock: Clock | None = None,
    entropy: Entropy | None = None,
    simulated: bool = False,
) -> list[Kept]:
    """Finish each run in `folder` whose process is gone: write its report, and log it. Call it before a run begins."""
    _ = clock or SystemClock(), entropy or SystemEntropy()
    raise NotImplementedError
