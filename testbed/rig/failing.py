"""Arms failpoints in a role's process, where a test asks for it by the variable TESTBED_FAILPOINTS.

It names a file with a line for each point: role, point, before or after, count. A start of a role arms the first of
its lines that did not fire yet; one that fires is written down beside the file, in NAME.fired, and SIGKILL ends the
process.
"""

import os
import signal
from pathlib import Path

from testbed.core.errors import UsageError
from testbed.core.failpoints import arm

VARIABLE = "TESTBED_FAILPOINTS"


def arm_failpoints(role: str) -> None:
    """Arm what is next for this role. Raises UsageError for a file that does not say so."""
    named = os.environ.get(VARIABLE)
    if not named:
        return
    plan = Path(named)
    fired = plan.with_name(f"{plan.name}.fired")
    mine = [line for line in plan.read_text(encoding="utf-8").splitlines() if line.split()[:1] == [role]]
    done = fired.read_text(encoding="utf-8").splitlines() if fired.exists() else []
    left = mine[sum(line.split()[:1] == [role] for line in done) :]
    if not left:
        return

    def fire(detail: str) -> None:
        with fired.open("a", encoding="utf-8") as file:
            file.write(f"{left[0]} {detail}\n")
        os.kill(os.getpid(), signal.SIGKILL)

    try:
        _, point, when, count = left[0].split()
        arm(point, when, int(count), fire)
    except ValueError as error:
        raise UsageError(f"{plan}: {left[0]!r}: {error}", "write: role, point, before or after, count") from None
