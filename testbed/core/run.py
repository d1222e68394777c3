"""A run of tests on one bench: what was known when it began, what came of each test, and how it ended.

Times are UTC nanoseconds since 1970-01-01.
"""

from dataclasses import dataclass
from enum import Enum

from testbed.core.bodies import Beacon
from testbed.core.identity import Identity
from testbed.core.measurement import Capture, Measurement


class CaseOutcome(Enum):
    """What came of one test. An ERROR says nothing of the plant: the test itself could not be carried out."""

    PASS = "PASS"  # noqa: S105  # no password
    FAIL = "FAIL"
    ERROR = "ERROR"
    TIMEOUT = "TIMEOUT"
    SKIP = "SKIP"


class SafeState(Enum):
    """Whether the machine was left in its safe state."""

    REACHED = "reached"  # and read back
    FAILED = "failed"  # it was asked for, and the machine shows another
    NONE = "none"  # the bench has none, or nothing was written in this run
    UNKNOWN = "unknown"  # nobody could look any more


class Ended(Enum):
    """How a run ended."""

    FINISHED = "finished"  # every test that was asked for was run or skipped
    INTERRUPTED = "interrupted"  # by a person or a signal, and the run could still say so
    STOPPED = "stopped"  # by an interlock, an E-stop or a lost lease
    BROKEN_OFF = "broken off"  # the process was killed: found by a later start


@dataclass(frozen=True, slots=True)
class LogSize:
    """How many records a log of the bench had."""

    origin: str
    size: int


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is known when a run begins.

    run: its name, unique on the bench, and the source of its record in the operator's log; transport: how the PLC is
    reached, as [test] by in the bench file; device: as it says itself; commit: of the test tree, with "+changed" where
    files differ from it, "" where it is under no version control; software: ours, with version; seed: of the plant's
    noise and of generated tests, None where chance has no part; logs: the bench's, as large as they were; block: the
    newest that the bench knew of, so the run came after it.
    """

    run: str
    bench: str
    transport: str
    device: Identity
    commit: str
    software: str
    seed: int | None
    begun_ns: int
    logs: tuple[LogSize, ...] = ()
    block: Beacon | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One test that was done with. test: its node identifier in pytest; detail: why, in words, "" for a PASS."""

    test: str
    outcome: CaseOutcome
    duration_s: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended, and in which state it left the machine. detail, safe_detail: why, in words, or ""."""

    how: Ended
    safe_state: SafeState
    ended_ns: int
    detail: str = ""
    safe_detail: str = ""
    logs: tuple[LogSize, ...] = ()


@dataclass(frozen=True, slots=True)
class CaptureFile:
    """A capture and the file that it was kept in; `capture` is None where that file cannot be read any more."""

    file: str
    test: str
    name: str
    capture: Capture | None


@dataclass(frozen=True, slots=True)
class RunReport:
    """A whole run. last: the last thing that is known of a run that was broken off, in words, else ""."""

    facts: RunFacts
    cases: tuple[Case, ...]
    measurements: tuple[Measurement, ...]
    captures: tuple[CaptureFile, ...]
    end: RunEnd
    last: str = ""

    def count(self, outcome: CaseOutcome) -> int:
        """How many tests came out so."""
        return sum(case.outcome is outcome for case in self.cases)

    def of(self, test: str) -> tuple[Measurement, ...]:
        """The measurements of one test, in order."""
        return tuple(one for one in self.measurements if one.test == test)
