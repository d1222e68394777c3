"""The evidence of a run: a folder of files and a record in the operator's log, where --evidence-dir says so."""

import re
from pathlib import Path
from typing import Protocol

import pytest

from testbed.core.errors import TestbedError
from testbed.core.measurement import Capture, Measurement
from testbed.core.run import Case, Ended, SafeState
from testbed.pytest_plugin.settings import IN_PROCESS, Settings
from testbed.pytest_plugin.station import Station
from testbed.pytest_plugin.turn import Turn
from testbed.rig.bench import Bench
from testbed.rig.evidence import EvidenceWriter, recover_broken_runs
from testbed.rig.run_facts import facts_of


class Keeping(Protocol):
    """Keeps what a run says. folder: where files go, None where nothing is kept."""

    @property
    def folder(self) -> Path | None: ...
    def started(self, test: str) -> None: ...
    def measurement(self, one: Measurement) -> None: ...
    def capture(self, one: Capture) -> None: ...
    def outcome(self, case: Case) -> None: ...
    def unsafe(self, why: str) -> None: ...
    def close(self, exit_status: int, must_end: str) -> str: ...


class _Nothing:
    """Keeps nothing on disk."""

    folder = None

    def started(self, test: str) -> None: ...
    def measurement(self, one: Measurement) -> None: ...
    def capture(self, one: Capture) -> None: ...
    def outcome(self, case: Case) -> None: ...
    def unsafe(self, why: str) -> None: ...
    def close(self, exit_status: int, must_end: str) -> str:  # noqa: ARG002  # there is nothing to close
        return ""


NO_EVIDENCE: Keeping = _Nothing()


class _Kept:
    """Hands everything to the writer."""

    def __init__(self, writer: EvidenceWriter) -> None:
        self._writer = writer
        self._unsafe = ""
        self.folder: Path | None = writer.folder
        self.started, self.outcome = writer.started, writer.outcome
        self.measurement, self.capture = writer.measurement, writer.capture

    def unsafe(self, why: str) -> None:
        self._unsafe = self._unsafe or why

    def close(self, exit_status: int, must_end: str) -> str:
        how = Ended.STOPPED if must_end else Ended.FINISHED
        if not must_end and exit_status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            how = Ended.INTERRUPTED
        safe = SafeState.FAILED if self._unsafe else SafeState.REACHED
        try:
            kept = self._writer.close(how, safe, detail=must_end, safe_detail=self._unsafe)
        except TestbedError as error:
            return f"the evidence was not written: {error}"
        where = f"evidence in {kept.folder}"
        return f"{where}: {kept.problem}" if kept.problem else where


def finish_broken_runs(bench: Bench, settings: Settings) -> str:
    """Finish runs that were broken off before; what a person must know, or "".

    Before this run opens the bench: it holds the operator's log from then on, and they could not be logged.
    """
    if settings.evidence_dir is None:
        return ""
    kept = recover_broken_runs(bench, settings.evidence_dir, simulated=settings.by == IN_PROCESS)
    return "\n".join(f"evidence of a broken run in {one.folder}: {one.problem or 'written now'}" for one in kept)


def begin_evidence(station: Station, config: pytest.Config) -> Keeping:
    """The evidence of a run that begins now."""
    folder, bench = station.settings.evidence_dir, station.bench
    if folder is None:
        return NO_EVIDENCE
    simulated = station.in_process
    seed = station.settings.seed if station.owned is not None else None
    facts = facts_of(bench, station.settings.by, station.identity, seed=seed, tests=config.rootpath)
    return _Kept(EvidenceWriter.open(bench, folder, facts, simulated=simulated))


class Evidence:
    """The fixture `evidence`. folder: of the run, None where none is kept."""

    def __init__(self, turn: Turn, folder: Path | None) -> None:
        self._turn = turn
        self.folder = folder

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """What this test measured so far."""
        return tuple(self._turn.measurements)

    @property
    def captures(self) -> tuple[Capture, ...]:
        """What it captured."""
        return tuple(self._turn.captures)

    def attach(self, name: str, content: str | bytes) -> Path | None:
        """Put a file beside the report of this run; its place, None where no evidence is kept."""
        if self.folder is None:
            return None
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{self._turn.test}-{name}")[-150:]
        path = self.folder / plain.lstrip("-.")
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path
