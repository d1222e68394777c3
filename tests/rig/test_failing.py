"""A plan of failpoints: each start of a role arms its next line; what fires is written down and ends the process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.rig.failing import VARIABLE

# A role: says what it comes to, and comes to `sequence` five times.
ROLE = """
import sys
from testbed.core.failpoints import AFTER, BEFORE, reached
from testbed.rig.failing import arm_failpoints

arm_failpoints(sys.argv[1])
for size in range(5):
    reached("sequence", BEFORE, size)
    print(size, flush=True)
    reached("sequence", AFTER, size + 1)
"""


def run(plan: Path | None, role: str) -> subprocess.CompletedProcess[str]:
    """A start of that role."""
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    return subprocess.run(
        [sys.executable, "-c", ROLE, role],
        capture_output=True,
        text=True,
        env=environment if plan is None else {**environment, VARIABLE: str(plan)},
        check=False,
    )


def start(plan: Path | None, role: str) -> tuple[int, int]:
    """Exit code of a start, and how many commits it did."""
    done = run(plan, role)
    assert done.stderr == ""
    return done.returncode, len(done.stdout.splitlines())


def test_each_start_arms_the_next_line_of_its_role(tmp_path: Path) -> None:
    plan = tmp_path / "plan"
    plan.write_text("twin sequence before 2\ngateway sequence after 1\ntwin sequence after 3\n", encoding="utf-8")
    assert start(plan, "twin") == (-signal.SIGKILL, 1)
    assert start(plan, "gateway") == (-signal.SIGKILL, 1)
    assert start(plan, "twin") == (-signal.SIGKILL, 3)
    assert start(plan, "twin") == (0, 5)
    assert start(plan, "gateway") == (0, 5)
    assert start(plan, "reader") == (0, 5)
    fired = (tmp_path / "plan.fired").read_text(encoding="utf-8")
    assert fired == "twin sequence before 2 1\ngateway sequence after 1 1\ntwin sequence after 3 3\n"


def test_a_point_that_is_not_come_to_stays_armed(tmp_path: Path) -> None:
    plan = tmp_path / "plan"
    plan.write_text("twin sequence before 6\ntwin sequence before 1\n", encoding="utf-8")
    assert [start(plan, "twin") for _ in range(2)] == [(0, 5), (0, 5)]
    assert not (tmp_path / "plan.fired").exists()


def test_without_a_plan_nothing_is_armed() -> None:
    assert start(None, "twin") == (0, 5)


@pytest.mark.parametrize("line", ["twin sequence before", "twin sequence before x", "twin sequense before 1"])
def test_a_line_that_is_no_point_is_refused(tmp_path: Path, line: str) -> None:
    plan = tmp_path / "plan"
    plan.write_text(f"{line}\n", encoding="utf-8")
    done = run(plan, "twin")
    assert (done.returncode, done.stdout) == (1, "")
    assert "UsageError" in done.stderr
    assert "mend: write: role, point, before or after, count" in done.stderr
    assert run(plan, "gateway").returncode == 0
