"""What `testbed up` shows while a bench runs: a table on a terminal, else lines, or JSON for machines."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from testbed.cli.near import near
from testbed.rig.bench import Bench
from testbed.rig.default import LABEL
from testbed.rig.locks import role_names
from testbed.rig.progress import Progress, progress_of
from testbed.rig.status import read_status
from testbed.rig.supervision import Supervised, Supervises, restarts_of, supervision_facts, supervision_line

_LINE_S = 5.0
_JSON_S = 1.0
_SHOWN_ELSEWHERE = ("pid", "state", "problem", "block", "anchored")
"""First words of facts that have a column of their own, or stand under the table."""
_STYLES = {"running": "green", "waiting": "yellow", "down": "bold red"}

Say = Callable[[str], None]
Watch = Callable[[Supervises], None]
Display = AbstractContextManager[tuple[Say, Watch]]
"""What takes a line for a person, and what shows how far the bench is. The end of the context is its last word."""


def display(bench: Bench, *, json_lines: bool) -> Display:
    """How this output is served best."""
    if json_lines:
        return _as_json(bench)
    return _as_table(bench) if sys.stdout.isatty() else _as_lines(bench)


@contextmanager
def _as_table(bench: Bench) -> Iterator[tuple[Say, Watch]]:
    console = Console()
    begun = time.monotonic()
    supervisor: Supervises | None = None

    def say(line: str) -> None:
        # A message may hold brackets, such as [chain] of a bench file: they are no markup.
        console.print(near(line), markup=False, highlight=False, soft_wrap=True)

    # The table goes when the bench ends: it would only say that nothing runs.
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def watch(watched: Supervises) -> None:
            nonlocal supervisor
            supervisor = watched
            table = _table(bench, progress_of(bench), time.monotonic() - begun, watched)
            live.update(table, refresh=True)

        yield say, watch
    _say_goodbye(bench, say, supervisor)


@contextmanager
def _as_lines(bench: Bench) -> Iterator[tuple[Say, Watch]]:
    begun = time.monotonic()
    next_line, first = begun + _LINE_S, False
    supervisor: Supervises | None = None

    def say(line: str) -> None:
        print(f"{time.monotonic() - begun:7.1f} s  {near(line)}", flush=True)

    def watch(watched: Supervises) -> None:
        nonlocal next_line, first, supervisor
        supervisor = watched
        now = time.monotonic()
        if not first and progress_of(bench).states:
            say("first state logged")
            first = True
        if now >= next_line:
            # What could not be shown in time, as while a machine slept, is left out.
            next_line = max(next_line + _LINE_S, now)
            say(progress_of(bench).line() + missed_line(bench) + supervision_line(watched.supervised()))

    say(f"bench {bench.name}: starting {', '.join(role_names(bench))}")
    yield say, watch
    _say_goodbye(bench, say, supervisor)


@contextmanager
def _as_json(bench: Bench) -> Iterator[tuple[Say, Watch]]:
    begun = time.monotonic()
    next_line = begun
    supervisor: Supervises | None = None

    def say(**facts: object) -> None:
        print(json.dumps({"seconds": round(time.monotonic() - begun, 3), **facts}), flush=True)

    def facts(watched: Supervises) -> dict[str, object]:
        return {**progress_of(bench).facts(), "missed": missed_scans(bench), **supervision_facts(watched.supervised())}

    def watch(watched: Supervises) -> None:
        nonlocal next_line, supervisor
        supervisor = watched
        now = time.monotonic()
        if now >= next_line:
            next_line = max(next_line + _JSON_S, now)
            say(**facts(watched))

    yield (lambda line: say(event=line)), watch
    if supervisor is not None:
        say(**facts(supervisor))


def missed_scans(bench: Bench) -> dict[str, int]:
    """Scans that a running reader of the bench saw to be missing, by reader."""
    said = {role: read_status(bench, role).get("missed") for role in role_names(bench)}
    return {role: missed for role, missed in said.items() if isinstance(missed, int)}


def missed_line(bench: Bench) -> str:
    """For a person, to be put behind another line; "" where nothing was missed."""
    missed = [f"{role} {count}" for role, count in missed_scans(bench).items() if count]
    return f"   missed scans: {', '.join(missed)}" if missed else ""


def _table(bench: Bench, progress: Progress, seconds: float, supervisor: Supervises) -> Table:
    table = Table(title=f"bench {bench.name}   {seconds:.0f} s   Ctrl-C stops it", title_justify="left", expand=False)
    roles = supervisor.supervised()
    columns = ["role", "state", "pid", *(["restarts"] if restarts_of(roles) else []), "what it did"]
    for column in columns:
        table.add_column(column)
    for name in role_names(bench):
        state, said, pid = _row(read_status(bench, name), roles.get(name, Supervised()))
        restarts = [str(roles[name].restarts or "")] if restarts_of(roles) else []
        table.add_row(name, Text(state, _STYLES.get(state, "dim")), pid, *restarts, Text(said))
    table.caption = progress.line() + missed_line(bench) + supervision_line(roles)
    table.caption_justify = "left"
    return table


def _row(status: dict[str, int | str], role: Supervised) -> tuple[str, str, str]:
    """State, what it did or why it does nothing, and process id."""
    if role.down:
        return "down", role.words, str(status.get("pid", ""))
    if not status:
        return "starting", f"ended: {role.words}" if role.words else "", ""
    told = {key: value for key, value in status.items() if key.split()[0] not in _SHOWN_ELSEWHERE and value != ""}
    facts = ", ".join(f"{key} {value}" for key, value in told.items())
    return str(status.get("state", "starting")), str(status.get("problem") or facts), str(status.get("pid", ""))


def _say_goodbye(bench: Bench, say: Say, supervisor: Supervises | None) -> None:
    roles = supervisor.supervised() if supervisor is not None else {}
    say(progress_of(bench).line() + supervision_line(roles))
    # These two are found without being named.
    named = "" if bench.file in (LABEL, "bench.toml") else f" --bench {bench.file}"
    say(f"stopped; everything is in {bench.data}; check it with `testbed verify{named}`")
