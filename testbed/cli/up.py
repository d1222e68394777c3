"""`testbed up`: the whole bench, until Ctrl-C."""

import argparse
import asyncio
import math
import signal

from testbed.cli.live import display
from testbed.cli.options import bench_file, bench_of, port_shift
from testbed.core.errors import TestbedError, UsageError
from testbed.rig.bench import Bench
from testbed.rig.metrics import serve_metrics
from testbed.rig.operating import record_configuration
from testbed.rig.readiness import check_ready
from testbed.rig.serving import serve_logs
from testbed.rig.supervision import down_of
from testbed.rig.supervisor import Supervisor, role_command


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    bench = bench_of(options)
    if options.duration is not None and not 0 < options.duration < math.inf:
        raise UsageError(f"--duration {options.duration:g}", "give a number of seconds above 0")
    file = bench_file(options)
    command = role_command(str(file.resolve()) if file else None, port_shift(options))
    return asyncio.run(_up(bench, command, options.duration, json_lines=options.json))


async def _up(bench: Bench, command: list[str], duration: float | None, *, json_lines: bool) -> int:
    """Run it until it is told to stop; exit code 0, or 3 where a role was down then."""
    await check_ready(bench)
    record_configuration(bench)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _signals():
        loop.add_signal_handler(number, stopping.set)
    if duration is not None:
        loop.call_later(duration, stopping.set)
    with display(bench, json_lines=json_lines) as (say, watch):
        supervisor = Supervisor(bench, command, say)
        with serve_metrics(bench, supervisor), serve_logs(bench):
            await supervisor.run(stopping, lambda: watch(supervisor))
    return TestbedError.exit_code if down_of(supervisor.supervised()) else 0


def _signals() -> list[signal.Signals]:
    """What stops a bench in order: Ctrl-C, a service manager, and a terminal that is closed, unless under `nohup`."""
    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hangs_up else [])]
