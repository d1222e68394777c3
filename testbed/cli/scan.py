"""`testbed scan`: from a box on a wire to a profile in which only names are left to be given."""

import argparse
import asyncio
import json
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from rich.progress import Progress

from testbed.core.errors import UsageError
from testbed.fieldbus.modbus_ranges import Found
from testbed.fieldbus.modbus_survey import Question, Survey, Unit
from testbed.rig.draft import identity_words, ranges_words
from testbed.rig.scanning import Manner, Scanned, keep, plan_of, scan_modbus, way_of

_TABLES = {"holding_register": "holding registers", "input_register": "input registers", "coil": "coils"}


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    if options.out is not None and options.out.exists():
        raise UsageError(f"{options.out}: there is such a file already", "name a new one with --out")
    scanned = _modbus(options)
    if options.out is not None:
        keep(scanned.text, options.out)
    if options.json:
        print(json.dumps(_facts(scanned.survey, options.out)))
    else:
        _tell(scanned.survey, options.out)
    return 0


def _modbus(options: argparse.Namespace) -> Scanned:
    serial = (options.baud, options.parity, options.stop_bits)
    way, keys = way_of(options.protocol, options.where, serial)
    plan = plan_of(options.protocol, options.units, options.addresses, options.requests)
    manner = Manner(options.timeout_ms, options.pause_ms)
    with _bar(plan.requests, shown=sys.stdout.isatty() and not options.json) as told:
        return asyncio.run(scan_modbus(way, keys, plan, manner, command_of(options), told))


def command_of(options: argparse.Namespace) -> str:
    """What was typed, as far as it says where the device is."""
    protocol = "" if options.protocol == "modbus-tcp" else f" --protocol {options.protocol}"
    return f"testbed scan {shlex.quote(options.where)}{protocol}"


@contextmanager
def _bar(requests: int, *, shown: bool) -> Iterator[Callable[[Question, int], None]]:
    if not shown:
        yield lambda _question, _asked: None
        return
    with Progress(transient=True) as bar:
        task = bar.add_task("connecting", total=requests)

        def told(question: Question, asked: int) -> None:
            what = "identity" if question.ask is None else _table(question.ask.table.value)
            bar.update(task, completed=asked, description=f"unit {question.unit}, {what}")

        yield told


def _table(name: str) -> str:
    return _TABLES.get(name, "discrete inputs")


def _tell(survey: Survey, out: Path | None) -> None:
    for unit in survey.units:
        print(f"unit {unit.number:<6} {identity_words(unit.identity) or 'says nothing of itself (function 43/14)'}")
        if unit.same_as is not None:
            print(f"            the device that answers as unit {unit.same_as}; left out of the profile")
            continue
        for found in unit.tables:
            for line in _lines(found):
                print(f"            {line}")
    if survey.any_unit:
        print("            it answers to every unit identifier")
    if survey.silent and not survey.any_unit:
        print(f"no answer   units {', '.join(str(unit) for unit in survey.silent)}")
    print(f"asked       {survey.asked} requests; nothing was written")
    if out is None:
        print("next        --out FILE drafts a profile")
    else:
        print(f"profile     {out}")
        print(f"next        name its tags, then `testbed doctor {out}`")


def _lines(found: Found) -> Iterator[str]:
    name = _table(found.table.value)
    if found.values:
        limit = f"; at most {found.most} at once" if found.most is not None else ""
        pairs = "; only two at once" if found.pairs else ""
        yield f"{name} {ranges_words(found)}{limit}{pairs}"
    for note in found.notes:
        yield f"{name}: {note}"


def _facts(survey: Survey, out: Path | None) -> dict[str, object]:
    return {
        "units": [_unit(unit) for unit in survey.units],
        "silent": list(survey.silent),
        "any_unit": survey.any_unit,
        "requests": survey.asked,
        "profile": None if out is None else str(out),
    }


def _unit(unit: Unit) -> dict[str, object]:
    return {
        "unit": unit.number,
        "identity": asdict(unit.identity),
        "same_as": unit.same_as,
        "tables": [
            {
                "table": found.table.value,
                "ranges": [list(span) for span in found.ranges],
                "most": found.most,
                "pairs": found.pairs,
                "notes": list(found.notes),
            }
            for found in unit.tables
        ],
    }
