"""A profile drafted from what a scan saw: the text of a bench file in which only names are left to be given."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from testbed.core.identity import Identity
from testbed.core.tags import ByteOrder, ModbusTable
from testbed.fieldbus.modbus_guess import float_pairs
from testbed.fieldbus.modbus_ranges import Found, runs
from testbed.fieldbus.modbus_survey import Survey, Unit

MOST_TAGS = 100
"""Tags of one table that are drafted: more than that nobody renames."""
_GAP = 16
"""What [plc.connect] reads along unless told otherwise."""
_SHORT = {
    ModbusTable.HOLDING_REGISTER: "hr",
    ModbusTable.INPUT_REGISTER: "ir",
    ModbusTable.COIL: "coil",
    ModbusTable.DISCRETE_INPUT: "di",
}
_WORDS = {
    ModbusTable.HOLDING_REGISTER: "Holding registers",
    ModbusTable.INPUT_REGISTER: "Input registers",
    ModbusTable.COIL: "Coils",
    ModbusTable.DISCRETE_INPUT: "Discrete inputs",
}
_LARGEST_FLOAT = "3.4e38"
_MOST_TEXT = 60


@dataclass(frozen=True, slots=True)
class DraftTag:
    """One [[plc.tag]]. place: the rest of its keys, as TOML; held: what it held, for a comment."""

    name: str
    type: str
    place: str
    held: str
    guessed: bool = False


def draft(survey: Survey, connect: Mapping[str, object], command: str) -> str:
    """The text of the bench file.

    connect: what [plc.connect] is to say of the way to the device, without its unit; command: what was typed.
    """
    units = [unit for unit in survey.units if unit.same_as is None]
    keys = dict(connect)
    if units:
        keys["unit"] = units[0].number
    limits = {False: "most_registers", True: "most_bits"}
    for is_bit, key in limits.items():
        most = [f.most for unit in units for f in unit.tables if f.most is not None and f.table.is_bit is is_bit]
        if most:
            keys[key] = min(most)
    if any(_holed(found) for unit in units for found in unit.tables):
        keys["gap"] = 0
    sections: list[str] = []
    for unit in units:
        for found in unit.tables:
            several = len(units) > 1
            sections += _section(unit, found, several=several, first=unit is units[0])
    notes = [_who(unit) for unit in survey.units]
    notes.append("Types are guesses: numbers of 16 bits, and floats where the bits look like one.")
    if survey.any_unit:
        notes.append("It answers to every unit identifier.")
    return profile(command, notes, keys, sections)


def profile(command: str, notes: Sequence[str], connect: Mapping[str, object], sections: Sequence[str]) -> str:
    """A bench file around the tables of tags."""
    lines = [
        f"# Drafted by `{plain(command)}`.",
        *(f"# {plain(note, 200)}" for note in notes),
        "#",
        "# Each tag is named after where it stands: give it a name that says what it is, and a unit and range once you",
        "# know them. Nothing was written, so nothing is known of what can be: a tag that may be commanded wants",
        "# `writable = true`.",
        "",
        "[bench]",
        'name = "scanned"',
        "",
        "[[plc]]",
        'name = "device"',
        'kind = "physical"',
        'scan_tag = ""  # nothing is known of a counter of scans',
        'boot_tag = ""',
        "",
        "[plc.connect]",
        *(f"{key} = {toml(value)}" for key, value in connect.items()),
        "",
        *sections,
        "[[reader]]",
        'name = "gateway"',
        'plc = "device"',
        'protocol = "device"',
        "period_ms = 1000",
        "",
        "[twin]",
        'model = "mirror_v1"',
        'follows = "gateway"',
        "",
    ]
    return "\n".join(lines)


def tag_lines(tag: DraftTag) -> str:
    """One [[plc.tag]] as TOML, with an empty line behind it."""
    ranges = {
        "bool": "",
        "int16": "[-32768, 32767]",
        "uint16": "[0, 65535]",
        "int32": "[-2147483648, 2147483647]",
        "uint32": "[0, 4294967295]",
        "float32": f"[-{_LARGEST_FLOAT}, {_LARGEST_FLOAT}]",
        "float64": "[-1.7e308, 1.7e308]",
    }
    reach = f"range = {ranges[tag.type]}\n" if ranges[tag.type] else ""
    guess = "  # a guess, by its bits" if tag.guessed else ""
    held = f"  # held {plain(tag.held)}" if tag.held else ""
    return f'[[plc.tag]]\nname = "{tag.name}"\ntype = "{tag.type}"{guess}\n{reach}{tag.place}{held}\n'


def plain(text: str, most: int = _MOST_TEXT * 2) -> str:
    """Text of a stranger for a comment: on one line, and not too long."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    return shown if len(shown) <= most else f"{shown[:most]}..."


def identity_words(identity: Identity) -> str:
    """What a device says of itself, on one line; "" where it says nothing."""
    serial = f"serial {identity.serial}" if identity.serial else ""
    parts = (identity.vendor, identity.product, identity.firmware, serial)
    return ", ".join(plain(part, _MOST_TEXT) for part in parts if part)


def ranges_words(found: Found) -> str:
    """The readable addresses, such as "0..39, 100"."""
    return ", ".join(f"{first}..{last}" if first != last else f"{first}" for first, last in found.ranges)


def _who(unit: Unit) -> str:
    said = identity_words(unit.identity) or "says nothing of itself (function 43/14)"
    same = "" if unit.same_as is None else f"; it is the device that answers as unit {unit.same_as}, and left out here"
    return f"Unit {unit.number}: {said}{same}"


def _section(unit: Unit, found: Found, *, several: bool, first: bool) -> Iterator[str]:
    if not found.values:
        return
    tags = list(_tags(unit, found, several=several, first=first))
    kept = _kept(tags)
    yield f"# {_WORDS[found.table]} {ranges_words(found)} of unit {unit.number} can be read."
    for note in found.notes:
        yield f"# {note}"
    if len(kept) < len(tags):
        yield f"# The first {MOST_TAGS} that hold something are below, {len(tags) - len(kept)} are left out."
    yield ""
    for tag in kept:
        yield tag_lines(tag)


def _kept(tags: Sequence[DraftTag]) -> list[DraftTag]:
    """At most MOST_TAGS, in their order: those that hold something first, then those at the lowest addresses."""
    if len(tags) <= MOST_TAGS:
        return list(tags)
    by_worth = sorted(tags, key=lambda tag: tag.held in ("0", "false"))  # each kind stays in the order of addresses
    kept = {tag.name for tag in by_worth[:MOST_TAGS]}
    return [tag for tag in tags if tag.name in kept]


def _tags(unit: Unit, found: Found, *, several: bool, first: bool) -> Iterator[DraftTag]:
    order, floats = (ByteOrder.ABCD, {}) if found.table.is_bit else float_pairs(found.values)
    prefix = f"unit{unit.number}." if several else ""
    # Where single registers are refused, each value takes two, from an even address on.
    doubles = [at for at in found.values if at % 2 == 0 and at + 1 in found.values] if found.pairs else floats
    wide = set(doubles)
    taken = {address + 1 for address in wide}
    for address in sorted(found.values):
        if address in taken:
            continue
        pair = floats.get(address) if address in wide else None
        keys = [f'table = "{found.table.value}"', f"address = {address}"]
        if pair is not None and order is not ByteOrder.ABCD:
            keys.append(f'byte_order = "{order.value}"')
        if not first:
            keys.append(f"unit = {unit.number}")
        if found.table.is_bit:
            kind, held = "bool", "true" if found.values[address] else "false"
        elif pair is not None:
            kind, held = "float32", f"{pair:g}"
        elif address in wide:
            kind, held = "uint32", str(found.values[address] << 16 | found.values[address + 1])
        else:
            kind, held = "uint16", str(found.values[address])
        name = f"{prefix}{_SHORT[found.table]}_{address}"
        yield DraftTag(name, kind, f"modbus = {{ {', '.join(keys)} }}", held, pair is not None)


def _holed(found: Found) -> bool:
    """Whether reading addresses along that have no tag could meet one that is refused."""
    spans = runs(sorted(found.values))
    return any(after - last <= _GAP + 1 for (_, last), (after, _) in pairwise(spans))


def toml(value: object) -> str:
    """A string or number as TOML has it."""
    return json.dumps(value) if isinstance(value, str) else str(value)
