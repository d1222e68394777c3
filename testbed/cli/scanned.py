"""What `testbed scan` saw, for a person and for a machine."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from testbed.core.tags import ModbusTable
from testbed.fieldbus.modbus_ranges import Found
from testbed.fieldbus.modbus_survey import Question, Survey, Unit
from testbed.rig.draft import identity_words, plain, ranges_words

if TYPE_CHECKING:
    from testbed.fieldbus.opcua_scan import Browsed

_TABLES = {
    ModbusTable.HOLDING_REGISTER: "holding registers",
    ModbusTable.INPUT_REGISTER: "input registers",
    ModbusTable.COIL: "coils",
    ModbusTable.DISCRETE_INPUT: "discrete inputs",
}
_SILENT = "says nothing of itself"
_MOST_SHOWN = 20


def asking(question: Question) -> str:
    """What is being asked."""
    return f"unit {question.unit}, {'identity' if question.ask is None else _TABLES[question.ask.table]}"


def survey_lines(survey: Survey) -> Iterator[str]:
    """For a person."""
    for unit in survey.units:
        yield f"unit {unit.number:<6} {identity_words(unit.identity) or f'{_SILENT} (function 43/14)'}"
        if unit.same_as is not None:
            yield f"            the device that answers as unit {unit.same_as}; left out of the profile"
            continue
        for found in unit.tables:
            for line in _found_lines(found):
                yield f"            {line}"
    if survey.any_unit:
        yield "            it answers to every unit identifier"
    if survey.silent and not survey.any_unit:
        yield f"no answer   units {', '.join(str(unit) for unit in survey.silent)}"
    yield f"asked       {survey.asked} requests; nothing was written"


def survey_facts(survey: Survey) -> dict[str, object]:
    """For a machine."""
    return {
        "units": [_unit_facts(unit) for unit in survey.units],
        "silent": list(survey.silent),
        "any_unit": survey.any_unit,
        "requests": survey.asked,
    }


def browsed_lines(seen: "Browsed") -> Iterator[str]:
    """For a person."""
    yield f"server      {identity_words(seen.identity) or _SILENT}"
    yield f"offers      {', '.join(sorted({f'{one.mode} by {one.policy}' for one in seen.offered}))}"
    for one in seen.variables[:_MOST_SHOWN]:
        kind = one.type.value if one.type is not None else "no type of a tag"
        yield f"            {plain('.'.join(one.path))} = {plain(one.held) or 'no value'} ({kind})"
    if len(seen.variables) > _MOST_SHOWN:
        yield f"            and {len(seen.variables) - _MOST_SHOWN} more"
    if seen.more:
        yield "            there is more than was looked at: allow more with --requests"
    yield f"asked       {seen.requests} requests; nothing was written"


def browsed_facts(seen: "Browsed") -> dict[str, object]:
    """For a machine."""
    return {
        "identity": asdict(seen.identity),
        "offers": sorted({f"{one.mode} by {one.policy}" for one in seen.offered}),
        "variables": [
            {
                "path": list(one.path),
                "node": one.node,
                "namespace": one.uri,
                "type": one.type.value if one.type is not None else None,
                "held": one.held,
            }
            for one in seen.variables
        ],
        "more": seen.more,
        "requests": seen.requests,
    }


def _found_lines(found: Found) -> Iterator[str]:
    name = _TABLES[found.table]
    if found.values:
        limit = f"; at most {found.most} at once" if found.most is not None else ""
        pairs = "; only two at once" if found.pairs else ""
        yield f"{name} {ranges_words(found)}{limit}{pairs}"
    for note in found.notes:
        yield f"{name}: {note}"


def _unit_facts(unit: Unit) -> dict[str, object]:
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
