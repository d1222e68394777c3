"""Telegraf's configuration, TOML: its inputs modbus, opcua and s7comm. One of them becomes the PLC of a bench."""

from collections.abc import Callable, Mapping

from testbed.core.errors import UsageError
from testbed.outward.draft import Draft, NotTaken, Remark
from testbed.outward.telegraf_modbus import modbus_draft
from testbed.outward.telegraf_opcua import opcua_draft
from testbed.outward.telegraf_s7 import s7_draft
from testbed.outward.telegraf_table import Lines, Table

_INPUTS: Mapping[str, Callable[[Table, int], Draft]] = {
    "modbus": modbus_draft,
    "opcua": opcua_draft,
    "s7comm": s7_draft,
}
_INTERVAL_MS = 10_000


def from_telegraf(data: Mapping[str, object], text: str, label: str, lines: Lines, *, which: int = 1) -> Draft:
    """The draft of one input. data, text: the file, parsed and as it stands; label: its name; which: counted from 1
    in the order of the file.

    Raises UsageError where there is no such input, or nothing of it could be taken over.
    """
    top = Table(data, (), lines, text)
    try:
        inputs = top.inner("inputs")
        found = [(kind, table) for kind in _INPUTS for table in inputs.tables(kind)]
    except NotTaken as error:
        raise UsageError(f"{label}: {error}", error.mend) from error
    found.sort(key=lambda one: one[1].line)
    if not 1 <= which <= len(found):
        there = f"there are {len(found)}" if found else "there is none"
        raise UsageError(f"{label}: no input {which}: {there} of {', '.join(_INPUTS)}", "name another one with --which")
    kind, table = found[which - 1]
    try:
        every = table.duration_ms("interval", top.inner("agent").duration_ms("interval", _INTERVAL_MS))
        draft = _INPUTS[kind](table, every)
    except NotTaken as error:
        raise UsageError(f"{label}:{table.line}: inputs.{kind}: {error}", error.mend) from error
    if not draft.tags:
        reasons = "".join(f"\n  line {remark.line}: {remark.what}" for remark in draft.left[:10])
        raise UsageError(
            f"{label}:{table.line}: inputs.{kind}: no tag could be taken over{reasons}", "give it fields with names"
        )
    others = tuple(
        Remark(one.line, f"inputs.{name}: a bench has one PLC", f"import it as well, with --which {at}")
        for at, (name, one) in enumerate(found, start=1)
        if at != which
    )
    left = sorted((*draft.left, *others), key=lambda remark: remark.line)
    return Draft(draft.connect, draft.tags, tuple(left), draft.assumed)
