"""`testbed up` without its table and metrics, and with short pauses: what dies is started again at once.

Run as a program: `python quick_up.py BENCH_FILE`, until SIGINT or SIGTERM.
"""

import asyncio
import signal
import sys
from pathlib import Path

from testbed.rig.bench import load_bench
from testbed.rig.operating import record_configuration
from testbed.rig.readiness import check_ready
from testbed.rig.serving import serve_logs
from testbed.rig.supervisor import Patience, Supervisor, role_command

AT_ONCE = Patience(early=0.0, steady=0.0, first_pause=0.02, longest_pause=0.02)
"""However short a life was, it counts as a long one."""
PERIOD_S = 0.05


async def run(file: Path) -> None:
    """The bench, until it is told to stop."""
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    bench = load_bench(file)
    await check_ready(bench)
    record_configuration(bench)
    supervisor = Supervisor(bench, role_command(str(file), 0), lambda line: print(line, flush=True), AT_ONCE)
    with serve_logs(bench):
        await supervisor.run(stopping, lambda: None, PERIOD_S)


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))
