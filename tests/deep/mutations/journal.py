"""Lines of the journal, by somebody who can write its file. What the journal's own rules refuse cannot be checked."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from testbed.chain.reading import read_journal
from testbed.core.errors import InvalidData
from testbed.core.finding import Layer, Verdict, What
from tests.deep.mutations.cell import BYTES, Cell, Draft, Plan, flipped
from tests.deep.mutations.expected import Expected, Sought, found, neutral
from tests.deep.mutations.facts import Facts
from tests.deep.mutations.ground import ORIGINS, RECEIPTS

_BEHIND = ("timestamp", "transaction")
"""Fields of an intent that only its block contradicts, in the line behind it."""
_PROOFS = ("gas_used", "slot_proof", "receipt")
"""Fields of a block that its header's proofs contradict."""
_CLAIMS = ("old_size", "old_root", "old_time", "size", "root", "origin")
"""What an anchor is said to be; the transaction says what it is."""


def put(draft: Draft, data: bytes | None) -> None:
    """The journal as a file of these bytes is read; None: there is no file."""
    draft.journal_file = () if data is None else (data,)
    with tempfile.TemporaryDirectory(prefix="mutations-") as name:
        path = Path(name) / "journal.jsonl"
        if data is None:
            draft.journal_problem = f"{path}: there is no journal, so nothing was anchored"
            return
        path.write_bytes(data)
        try:
            contents = read_journal(path)
        except InvalidData as error:
            draft.journal_problem = str(error)
        else:
            draft.journal, draft.journal_head = contents.steps, contents.head


def refused(number: int) -> Expected:
    """A journal that breaks its own rules: nothing of it counts, and that is no falsification by itself."""
    said = f"journal.jsonl, line {number}: "
    return found(Sought(What.UNANCHORED, Layer.ANCHOR, "journal", said=said), verdict=Verdict.INCONCLUSIVE)


def substituted(step: int, height: int) -> Expected:
    return found(Sought(What.SUBSTITUTED, Layer.ANCHOR, f"step {step} of the journal, block {height}"))


def cut_to(facts: Facts, count: int, torn: bool = False) -> Expected:
    """A journal of which so many lines are left. The receipts prove what it lacks, and what the contract holds now."""
    lines = facts.journal
    if count == 0:
        return refused(1)
    left = facts.ground.evidence.journal[: (count - 1) // 2]
    anchored = sum(step.intent.anchored is not None for step in left)
    logged = facts[RECEIPTS].size - 1
    if anchored < logged:
        index = anchored + 1
        where = f"record {index} of {RECEIPTS}"
        return found(Sought(What.ROLLED_BACK, Layer.ANCHOR, where, RECEIPTS, index))
    if count == len(lines) and not torn:
        raise AssertionError("nothing was cut off")
    return neutral("a step that is sent and not noted yet: the anchor closes it when it starts again")


# Operations.


def _place(facts: Facts, rng: Random, first: int = 1) -> int:
    """A line, the head and the last ones more often. Numbers from 0."""
    count = len(facts.journal)
    return rng.choice([first, first + 1, count - 1, count - 2, *(rng.randrange(first, count) for _ in range(6))])


def _plan(said: str, lines: list[bytes], expected: Expected) -> Plan:
    return Plan(said, lambda draft: put(draft, b"".join(lines)), expected)


def _flip(facts: Facts, rng: Random) -> Plan:
    """A bit anywhere in a line, but in its line feed: without that two lines are one."""
    lines = list(facts.journal)
    at = _place(facts, rng, 0)
    while (line := flipped(rng, lines[at][:-1])).count(b"\n"):
        pass
    before, lines[at] = lines[at], line + b"\n"
    return _plan(f"a bit in line {at + 1}", lines, _of_line(facts, at, before, lines[at]))


def _of_line(facts: Facts, at: int, before: bytes, after: bytes) -> Expected:
    """What follows from another line, by what it says then."""
    try:
        old, new = json.loads(before), json.loads(after)
    except ValueError:
        return refused(at + 1)
    canonical = isinstance(new, dict) and _dump(new) == after
    if not canonical or set(new) != set(old) or not _same_form(old, new):
        return refused(at + 1)
    (name,) = (name for name in old if old[name] != new[name])
    if name == "anchored":
        if set(old[name]) != set(new[name]) or not _same_form(old[name], new[name]):
            return refused(at + 1)
        (name,) = (one for one in old[name] if old["anchored"][one] != new["anchored"][one])
    return of_field(facts, at, name, old, new)


def _same_form(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether each value is still one of its kind: hex digits of as many bytes, a number, a text."""
    for name, value in old.items():
        other = new[name]
        if type(other) is not type(value):
            return False
        if isinstance(value, str) and name not in ("contract", "submitter", "node_version", "type", "origin"):
            digits = set("0123456789abcdef")
            fixed = name not in ("note", "transaction", "header", "slot_proof", "receipt")
            if set(other) - digits or len(other) % 2 or (fixed and len(other) != len(value)):
                return False
    return True


def of_field(facts: Facts, at: int, name: str, old: dict[str, Any], new: dict[str, Any]) -> Expected:
    """What follows from another value of one field of line `at`."""
    if at == 0:
        return _of_head(name, old, new)
    step = facts.ground.evidence.journal[(at - 1) // 2]
    number, height, anchored = step.intent.number, step.intent.height, step.intent.anchored
    if name in _PROOFS or name in _CLAIMS:
        return substituted(number, height)
    if name == "note" and anchored is not None:
        where = f"checkpoint of {anchored.origin}, size {anchored.size}, anchored in block {height}"
        return found(Sought(What.SUBSTITUTED, Layer.ANCHOR, where, anchored.origin))
    if old["type"] == "intent":
        if name == "height":
            return refused(at + 1 if number and new[name] < height else at + 2)
        if name == "parent_hash":
            return refused(at + 1 if number else at + 2)
        if name in _BEHIND:
            return refused(at + 2)
    return refused(at + 1)


def _of_head(name: str, old: dict[str, Any], new: dict[str, Any]) -> Expected:
    if name == "type":
        return refused(1)
    if name in ("arguments", "node_version"):
        return neutral("how the node was started is a note for whoever starts it again: blocks speak for themselves")
    if str(old[name]).lower() == str(new[name]).lower():
        return neutral("capital letters of an address are a checksum, and say nothing else (EIP-55)")
    return found(Sought(What.SUBSTITUTED, Layer.ANCHOR, "head of the journal"))


def _change(facts: Facts, rng: Random) -> Plan:
    """Another value in one field, the line in its canonical form."""
    lines = list(facts.journal)
    at = _place(facts, rng, 0)
    old = json.loads(lines[at])
    new = json.loads(lines[at])
    place = new
    name = rng.choice([one for one in new if one != "type" and new[one] is not None])
    if name == "anchored":
        place = new[name]
        name = rng.choice(list(place))
    place[name] = _another(rng, name, place[name])
    lines[at] = _dump(new)
    return _plan(f"another {name} in line {at + 1}", lines, of_field(facts, at, name, old, new))


def _another(rng: Random, name: str, value: object) -> object:
    if isinstance(value, int):
        return value + rng.choice((1, 2, 1000))
    if isinstance(value, list):
        return value[:-1]
    text = str(value)
    if name == "origin":
        return rng.choice([one for one in ORIGINS if one != text] + ["water-cell/other"])
    if name == "node_version":
        return text + "0"
    at = rng.randrange(2, len(text))
    return text[:at] + rng.choice([digit for digit in "0123456789" if digit != text[at]]) + text[at + 1 :]


def _delete(facts: Facts, rng: Random) -> Plan:
    lines = list(facts.journal)
    at = _place(facts, rng, 0)
    del lines[at]
    if at == len(lines):
        return _plan(f"line {at + 1} deleted", lines, cut_to(facts, at))
    return _plan(f"line {at + 1} deleted", lines, refused(at + 1))


def _delete_step(facts: Facts, rng: Random) -> Plan:
    lines = list(facts.journal)
    at = 1 + 2 * rng.randrange((len(lines) - 1) // 2 - 1)
    del lines[at : at + 2]
    return _plan(f"lines {at + 1} and {at + 2}, a step, deleted", lines, refused(at + 1))


def _insert(facts: Facts, rng: Random) -> Plan:
    lines = list(facts.journal)
    at = _place(facts, rng, 0)
    lines.insert(at, rng.choice((b"\n", b"{}\n", b'{"type":"note"}\n', rng.randbytes(30).hex().encode() + b"\n")))
    return _plan(f"a line before line {at + 1}", lines, refused(at + 1))


def _duplicate(facts: Facts, rng: Random) -> Plan:
    lines = list(facts.journal)
    at = _place(facts, rng, 0)
    lines.insert(at + 1, lines[at])
    return _plan(f"line {at + 1} there twice", lines, refused(at + 2))


def _swap(facts: Facts, rng: Random) -> Plan:
    lines = list(facts.journal)
    at = _place(facts, rng, 0)
    at = min(at, len(lines) - 2)
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    return _plan(f"lines {at + 1} and {at + 2} exchanged", lines, refused(at + 1))


def _swap_steps(facts: Facts, rng: Random) -> Plan:
    lines = list(facts.journal)
    one, other = sorted(rng.sample(range(1, len(lines), 2), 2))
    first, second = lines[one : one + 2], lines[other : other + 2]
    lines[one : one + 2], lines[other : other + 2] = second, first
    return _plan(f"the steps of lines {one + 1} and {other + 1} exchanged", lines, refused(one + 1))


def _truncate(facts: Facts, rng: Random) -> Plan:
    lines = list(facts.journal)
    count = rng.choice((0, 1, len(lines) - 1, len(lines) - 2, rng.randrange(len(lines)), rng.randrange(len(lines))))
    return _plan(f"cut to {count} lines", lines[:count], cut_to(facts, count))


def _tear(facts: Facts, rng: Random) -> Plan:
    lines = list(facts.journal)
    at = _place(facts, rng, 0)
    lines = [*lines[:at], lines[at][: rng.randrange(1, len(lines[at]))]]
    return _plan(f"torn within line {at + 1}", lines, cut_to(facts, at, torn=True))


def _genuine(facts: Facts, rng: Random) -> Plan:
    lines = list(facts.journal)
    at = _place(facts, rng)
    other = rng.choice([one for one in range(1, len(lines)) if one != at])
    lines[at] = lines[other]
    return _plan(f"line {other + 1} in the place of line {at + 1}", lines, refused(at + 1))


def _foreign(facts: Facts, rng: Random) -> Plan:
    """The note of an anchor of another log in the place of an anchor's own: true words of somebody else."""
    lines = list(facts.journal)
    steps = facts.ground.evidence.journal
    at = rng.choice([place for place, step in enumerate(steps) if step.intent.anchored is not None])
    anchored = steps[at].intent.anchored
    if anchored is None:
        raise AssertionError("it was chosen among the anchors")
    others = [facts[one] for one in ORIGINS if one != anchored.origin]
    note = rng.choice(list(rng.choice(others).notes.values()))
    new = json.loads(lines[1 + 2 * at])
    old = json.loads(lines[1 + 2 * at])
    new["anchored"]["note"] = note.hex()
    lines[1 + 2 * at] = _dump(new)
    said = f"line {2 + 2 * at} shows a checkpoint of another log"
    return _plan(said, lines, of_field(facts, 1 + 2 * at, "note", old, new))


def _gone(_: Facts, rng: Random) -> Plan:
    expected = found(Sought(What.UNANCHORED, Layer.ANCHOR, "journal"), verdict=Verdict.INCONCLUSIVE)
    data = rng.choice((None, b"", b"\n", rng.randbytes(200)))
    return Plan("the journal gone, or something else in its place", lambda draft: put(draft, data), expected)


def _dump(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"


_OPERATIONS: dict[str, Callable[[Facts, Random], Plan]] = {
    "flip a bit": _flip,
    "change a value": _change,
    "delete": _delete,
    "delete a step": _delete_step,
    "insert": _insert,
    "duplicate": _duplicate,
    "swap": _swap,
    "swap steps": _swap_steps,
    "truncate the tail": _truncate,
    "tear a line": _tear,
    "replace by a genuine one": _genuine,
    "move across logs": _foreign,
    "take away": _gone,
}

CELLS = [Cell("journal lines", name, BYTES, operation) for name, operation in _OPERATIONS.items()]
