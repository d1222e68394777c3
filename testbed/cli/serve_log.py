"""`testbed serve-log`: the logs of a bench as static files over HTTP, until Ctrl-C."""

import argparse
import asyncio
import json
import signal

from testbed.cli.options import bench_of
from testbed.rig.serving import logs_of, serve_logs


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    bench = bench_of(options)
    with serve_logs(bench, always=True) as url:
        addresses = [f"{url}/{origin}/checkpoint" for origin in logs_of(bench)]
        if options.json:
            print(json.dumps({"url": url, "checkpoints": addresses}), flush=True)
        else:
            print("\n".join(addresses), flush=True)
        asyncio.run(_until_stopped())
    return 0


async def _until_stopped() -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await stopping.wait()
