"""Helpers: results come in order, a failure is the caller's to see, and nothing is left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from testbed.core.errors import StoreError
from testbed.verify.crew import Crew, processors
from tests.verify.helpers_of_a_crew import dies_once, doubled, refused

ROOT = Path(__file__).parents[2]
SLEEPERS = """
import sys
from pathlib import Path
from testbed.verify.crew import Crew
from tests.verify.helpers_of_a_crew import sleeps
with Crew(2) as crew:
    list(crew.each(sleeps, [Path(sys.argv[1]), Path(sys.argv[2])]))
"""


def until(there: object, limit_s: float = 30) -> None:
    deadline = time.monotonic() + limit_s
    while not there():  # type: ignore[operator]  # a function
        assert time.monotonic() < deadline
        time.sleep(0.01)


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_results_come_in_order_from_other_processes() -> None:
    with Crew(2) as crew:
        for _ in range(2):
            found = list(crew.each(doubled, range(8)))
            assert [twice for twice, _ in found] == [2 * number for number in range(8)]
            assert {pid for _, pid in found} == set(crew.pids)
        pids = crew.pids
    assert len(pids) == 2
    assert not any(runs(pid) for pid in pids)


def test_without_help_this_process_does_it() -> None:
    for crew, jobs in ((Crew(1), range(3)), (Crew(0), range(3)), (Crew(2), range(1))):
        with crew:
            assert {pid for _, pid in crew.each(doubled, jobs)} == {os.getpid()}
            assert crew.pids == []
    assert processors() >= 1


def test_the_failure_of_a_job_is_raised_in_its_place_and_the_crew_goes_on() -> None:
    with Crew(2) as crew:
        results = crew.each(refused, [0, 3, 4, 5])
        assert next(results) == 0
        with pytest.raises(StoreError, match="no third one") as caught:
            next(results)
        assert caught.value.mend == "take another"
        assert list(crew.each(refused, [6, 7, 8])) == [6, 7, 8]


def test_what_nobody_waits_for_is_no_answer_to_the_next_question() -> None:
    with Crew(2) as crew:
        for number, _ in crew.each(doubled, range(10)):
            if number == 2:
                break
        assert [twice for twice, _ in crew.each(doubled, range(20, 24))] == [40, 42, 44, 46]


def test_the_job_of_a_helper_that_dies_is_done_all_the_same(tmp_path: Path) -> None:
    files = [tmp_path / name for name in "abc"]
    files[0].touch()
    with Crew(2) as crew:
        # Who is killed over "b" does not come back; whoever does it again finds its file.
        assert list(crew.each(dies_once, files[:2])) == ["a", "b"]
        assert list(crew.each(dies_once, files[:2])) == ["a", "b"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_process_that_is_ended_leaves_no_helper(tmp_path: Path, number: signal.Signals) -> None:
    files = [tmp_path / "one", tmp_path / "other"]
    command = (sys.executable, "-c", SLEEPERS, *map(str, files))
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as asking:
        try:
            until(lambda: all(file.exists() and file.read_text(encoding="ascii") for file in files))
            pids = [int(file.read_text(encoding="ascii")) for file in files]
            assert all(map(runs, pids))
        finally:
            asking.send_signal(number)
    until(lambda: not any(map(runs, pids)))
