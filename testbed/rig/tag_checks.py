"""What no single key of a tag can get wrong alone: names, nodes, ranges, places, overlaps, and the counters."""

from collections.abc import Iterator, Sequence

from testbed.core.tags import DataType, ModbusTable
from testbed.rig.bench_errors import Problem, unknown
from testbed.rig.bench_file import Plc, TagModbus, TagTable
from testbed.rig.safety_checks import check_heartbeat
from testbed.rig.sign_checks import check_signs
from testbed.rig.toml_file import Loc

_INTEGERS = {
    "int16": (-(2**15), 2**15 - 1),
    "uint16": (0, 2**16 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
}


def check_tags(loc: Loc, plc: Plc) -> Iterator[Problem]:
    """All faults of the tags of one PLC; `loc` is its table."""
    yield from _tags((*loc, "tag"), plc)
    yield from _counters(loc, plc)
    if plc.signs:
        yield from check_signs(loc, plc)


def _tags(loc: Loc, plc: Plc) -> Iterator[Problem]:
    if not plc.tag:
        yield Problem(loc, "is empty", "describe the PLC's tags, each as [[plc.tag]]")
    names: set[str] = set()
    nodes: dict[str, str] = {}
    for position, tag in enumerate(plc.tag):
        here = (*loc, position)
        if tag.name in names:
            yield Problem((*here, "name"), f'"{tag.name}" is already the name of a tag', "give each tag its own name")
        names.add(tag.name)
        node = tag.opcua or f"{plc.name}.{tag.name}"
        if node in nodes and nodes[node] != tag.name:
            what = f'"{node}" is already the OPC UA node of {nodes[node]}'
            yield Problem((*here, "opcua"), what, "give each tag its own node, or leave opcua out")
        nodes.setdefault(node, tag.name)
        yield from _range(here, tag)
        if tag.modbus is not None:
            yield from _table(here, tag, tag.modbus)
        elif plc.kind == "emulated":
            yield Problem((*here, "modbus"), "is missing", "add modbus = { table = ..., address = ... }")
        yield from _scale(here, tag, plc)
        if tag.momentary and not (tag.writable and tag.type == "bool"):
            what = "only a writable bool is taken back by the PLC"
            yield Problem((*here, "momentary"), what, "leave momentary out")
        yield from check_heartbeat(here, tag)
    yield from _overlaps(loc, plc.tag)


def _range(here: Loc, tag: TagTable) -> Iterator[Problem]:
    loc = (*here, "range")
    if tag.range is None:
        if tag.type != "bool":
            yield Problem(loc, "is missing", f"add range = [low, high] in {tag.unit or 'the unit of the tag'}")
        return
    low, high = tag.range
    if not low < high:
        yield Problem(loc, f"low {low:g} is not below high {high:g}", "write range = [low, high]")
        return
    least, most = (0, 1) if tag.type == "bool" else _INTEGERS.get(tag.type, (low, high))
    if tag.type in _INTEGERS and tag.scale:
        # In the tag's unit; half a step to each side, since 0.1 is not quite a tenth.
        ends = [held * tag.scale + tag.offset for held in (least, most)]
        room = 0.0 if (tag.scale, tag.offset) == (1.0, 0.0) else abs(tag.scale) / 2
        least, most = min(ends) - room, max(ends) + room
    if not least <= low < high <= most:
        mend = f"keep within {least:.12g}..{most:.12g}, or take another type"
        yield Problem(loc, f"[{low:g}, {high:g}] does not fit into {tag.type}", mend)


def _scale(here: Loc, tag: TagTable, plc: Plc) -> Iterator[Problem]:
    if tag.scale == 0.0:
        yield Problem((*here, "scale"), "is 0: every value would be the same", "leave it out, or write 0.1 for tenths")
    if tag.deadband and (tag.type == "bool" or plc.kind == "emulated"):
        what = (
            "a bool has no deadband"
            if tag.type == "bool"
            else "an emulated PLC has none: its tags are served as they are"
        )
        yield Problem((*here, "deadband"), what, "leave deadband out")
    for key in ("scale", "offset"):
        if tag.type == "bool" and key in tag.model_fields_set:
            yield Problem((*here, key), "a bool has no scale", f"leave {key} out")


def _table(here: Loc, tag: TagTable, place: TagModbus) -> Iterator[Problem]:
    table = ModbusTable(place.table)
    loc = (*here, "modbus", "table")
    if table.is_bit != (tag.type == "bool"):
        if tag.type == "bool":
            yield Problem(loc, f"a bool has no place in {table.value}", "take coil or discrete_input")
        else:
            yield Problem(loc, f"{tag.type} has no place in {table.value}", "take input_register or holding_register")
    elif tag.writable and not table.is_writable:
        mend = f"take {'coil' if table.is_bit else 'holding_register'}, or leave writable out"
        yield Problem((*here, "writable"), f"nothing can be written to {table.value}", mend)
    width = places(tag, table)
    if place.address + width > 65536:
        what = f"{place.address} leaves no room for {tag.type}, {width} registers: a table ends at 65535"
        yield Problem((*here, "modbus", "address"), what, f"take {65536 - width} or less")


def places(tag: TagTable, table: ModbusTable) -> int:
    """Addresses that a tag takes in its table: bits, or registers of two bytes."""
    return 1 if table.is_bit else max(1, DataType(tag.type).size // 2)


def _overlaps(loc: Loc, tags: Sequence[TagTable]) -> Iterator[Problem]:
    stand = [(position, tag, tag.modbus) for position, tag in enumerate(tags) if tag.modbus is not None]
    for unit, name in sorted({(place.unit, place.table) for _, _, place in stand}, key=str):
        table = ModbusTable(name)
        here = [(position, tag, place) for position, tag, place in stand if (place.unit, place.table) == (unit, name)]
        here.sort(key=lambda item: (item[2].address, item[0]))
        free = max(place.address + places(tag, table) for _, tag, place in here)
        end, owner = 0, ""
        for position, tag, place in here:
            stop = place.address + places(tag, table)
            if place.address < end:
                what = f"{place.address} of {name} already belongs to {owner}, which ends at {end - 1}"
                fits = free + stop - place.address <= 65536
                mend = f"take a free address, such as {free}" if fits else "take a free address"
                yield Problem((*loc, position, "modbus", "address"), what, mend)
            if stop > end:
                end, owner = stop, tag.name


def _counters(loc: Loc, plc: Plc) -> Iterator[Problem]:
    types = {tag.name: tag.type for tag in reversed(plc.tag)}  # of two tags of one name, the first counts
    for key, name in (("scan_tag", plc.scan_tag), ("boot_tag", plc.boot_tag)):
        if plc.kind == "physical" and (not name or (name not in types and key not in plc.model_fields_set)):
            continue  # this PLC does not count
        if name not in types:
            yield Problem((*loc, key), f'there is no tag "{name}"', unknown(name, list(types)))
        elif types[name] != "uint32":
            yield Problem(
                (*loc, key), f'"{name}" is {types[name]}; a counter is uint32', f'give "{name}" type = "uint32"'
            )
    if plc.scan_tag and plc.scan_tag == plc.boot_tag:
        mend = "count scans and restarts in two tags"
        yield Problem((*loc, "boot_tag"), f'"{plc.boot_tag}" is the scan_tag already', mend)
