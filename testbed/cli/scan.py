"""`testbed scan`: from a box on a wire to a profile in which only names are left to be given."""

import argparse
import asyncio
import json
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from rich.progress import Progress

from testbed.cli.scanned import asking, browsed_facts, browsed_lines, survey_facts, survey_lines
from testbed.core.errors import UsageError
from testbed.fieldbus.modbus_survey import Question
from testbed.rig.scanning import Manner, Papers, keep, plan_of, scan_modbus, scan_opcua, server_of, way_of


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    if options.out is not None and options.out.exists():
        raise UsageError(f"{options.out}: there is such a file already", "name a new one with --out")
    manner = Manner(options.timeout_ms, options.pause_ms)
    papers = _papers(options)
    bar = _bar(options.requests, shown=sys.stdout.isatty() and not options.json)
    if options.protocol == "opcua":
        url, keys = server_of(options.where)
        with bar as shows:
            told = partial(shows, "browsing")
            asked = (manner, options.requests, command_of(options), told)
            browsed, text = asyncio.run(scan_opcua(url, keys, papers, *asked))
        facts, lines = browsed_facts(browsed), browsed_lines(browsed)
    else:
        way, keys = way_of(options.protocol, options.where, (options.baud, options.parity, options.stop_bits))
        plan = plan_of(options.protocol, options.units, options.addresses, options.requests)
        with bar as shows:

            def tell(question: Question, before: int) -> None:
                shows(asking(question), before)

            survey, text = asyncio.run(scan_modbus(way, keys, plan, manner, command_of(options), tell))
        facts, lines = survey_facts(survey), survey_lines(survey)
    if options.out is not None:
        keep(text, options.out)
    if options.json:
        print(json.dumps({**facts, "profile": None if options.out is None else str(options.out)}))
        return 0
    for line in lines:
        print(line)
    if options.out is None:
        print("next        --out FILE drafts a profile")
    else:
        print(f"profile     {options.out}")
        print(f"next        name its tags, then `testbed doctor {options.out}`")
    return 0


def _papers(options: argparse.Namespace) -> Papers | None:
    given = {name: getattr(options, name) for name in ("certificate", "key", "trust")}
    named = [f"--{name}" for name, value in given.items() if value is not None]
    if not named:
        return None
    if options.protocol != "opcua" or len(named) < len(given):
        raise UsageError(f"{' '.join(named)}", "give --certificate, --key and --trust together, with --protocol opcua")
    return Papers(**given)


def command_of(options: argparse.Namespace) -> str:
    """What was typed, as far as it says where the device is."""
    protocol = "" if options.protocol == "modbus-tcp" else f" --protocol {options.protocol}"
    return f"testbed scan {shlex.quote(options.where)}{protocol}"


@contextmanager
def _bar(requests: int, *, shown: bool) -> Iterator[Callable[[str, int], None]]:
    if not shown:
        yield lambda _what, _before: None
        return
    with Progress(transient=True) as bar:
        task = bar.add_task("connecting", total=requests)

        def told(what: str, before: int) -> None:
            bar.update(task, completed=before, description=what)

        yield told
