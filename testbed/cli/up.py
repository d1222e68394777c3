"""`testbed up`: the whole bench, until Ctrl-C."""

import argparse
import asyncio
import json
import math
import signal
import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from testbed.cli.near import near
from testbed.cli.options import bench_file, bench_of, port_shift
from testbed.core.errors import UsageError
from testbed.rig.bench import Bench
from testbed.rig.default import LABEL
from testbed.rig.locks import role_names
from testbed.rig.progress import Progress, progress_of
from testbed.rig.readiness import check_ready
from testbed.rig.status import read_status
from testbed.rig.supervisor import Supervisor, role_command

_LINE_S = 5.0


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    bench = bench_of(options)
    if options.duration is not None and not 0 < options.duration < math.inf:
        raise UsageError(f"--duration {options.duration:g}", "give a number of seconds above 0")
    file = bench_file(options)
    command = role_command(str(file.resolve()) if file else None, port_shift(options))
    return asyncio.run(_up(bench, command, options.duration, json_lines=options.json))


async def _up(bench: Bench, command: list[str], duration: float | None, *, json_lines: bool) -> int:
    await check_ready(bench)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    if duration is not None:
        loop.call_later(duration, stopping.set)
    shown = _show_as_json if json_lines else (_show_table if sys.stdout.isatty() else _show_lines)
    await shown(bench, command, stopping)
    return 0


async def _show_table(bench: Bench, command: list[str], stopping: asyncio.Event) -> None:
    console = Console()
    begun = time.monotonic()

    def say(line: str) -> None:
        # A message may hold brackets, such as [chain] of a bench file: they are no markup.
        console.print(near(line), markup=False, highlight=False, soft_wrap=True)

    # The table goes when the bench ends: it would only say that nothing runs.
    with Live(console=console, refresh_per_second=5, transient=True) as live:
        supervisor = Supervisor(bench, command, say)

        def watch() -> None:
            live.update(_table(bench, progress_of(bench), time.monotonic() - begun, supervisor.restarts))

        await supervisor.run(stopping, watch)
    say(progress_of(bench).line())
    _say_goodbye(bench, say)


async def _show_lines(bench: Bench, command: list[str], stopping: asyncio.Event) -> None:
    begun = time.monotonic()
    next_line, first = begun + _LINE_S, False

    def say(line: str) -> None:
        print(f"{time.monotonic() - begun:7.1f} s  {near(line)}", flush=True)

    def watch() -> None:
        nonlocal next_line, first
        now = time.monotonic()
        if not first and progress_of(bench).states:
            say("first state logged")
            first = True
        if now >= next_line:
            say(progress_of(bench).line())
            next_line += _LINE_S

    say(f"bench {bench.name}: starting {', '.join(role_names(bench))}")
    await Supervisor(bench, command, say).run(stopping, watch)
    say(progress_of(bench).line())
    _say_goodbye(bench, say)


async def _show_as_json(bench: Bench, command: list[str], stopping: asyncio.Event) -> None:
    begun = time.monotonic()
    next_line = begun

    def say(**facts: object) -> None:
        print(json.dumps({"seconds": round(time.monotonic() - begun, 3), **facts}), flush=True)

    def watch() -> None:
        nonlocal next_line
        if time.monotonic() >= next_line:
            say(**progress_of(bench).facts())
            next_line += 1.0

    await Supervisor(bench, command, lambda line: say(event=line)).run(stopping, watch)
    say(**progress_of(bench).facts())


def _table(bench: Bench, progress: Progress, seconds: float, restarts: int) -> Table:
    table = Table(title=f"bench {bench.name}   {seconds:.0f} s   Ctrl-C stops it", title_justify="left", expand=False)
    for column in ("role", "state", "pid", "what it did"):
        table.add_column(column)
    for role in role_names(bench):
        status = read_status(bench, role)
        facts = ", ".join(
            f"{name} {value}"
            for name, value in status.items()
            if name not in ("pid", "state", "problem") and value != ""
        )
        state = str(status.get("state", "starting"))
        style = {"running": "green", "waiting": "yellow"}.get(state, "dim")
        said = Text(str(status.get("problem") or facts))
        table.add_row(role, Text(state, style), str(status.get("pid", "")), said)
    table.caption = progress.line() + (f"   restarts {restarts}" if restarts else "")
    table.caption_justify = "left"
    return table


def _say_goodbye(bench: Bench, say: Callable[[str], None]) -> None:
    # These two are found without being named.
    named = "" if bench.file in (LABEL, "bench.toml") else f" --bench {bench.file}"
    say(f"stopped; everything is in {bench.data}; check it with `testbed verify{named}`")
