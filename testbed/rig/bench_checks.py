"""What no single key of a bench file can get wrong alone: names, addresses, ports and references between tables."""

import re
from collections.abc import Iterable, Iterator, Sequence

from testbed.core.tags import DataType, ModbusTable
from testbed.rig.bench_errors import Problem, unknown
from testbed.rig.bench_file import BenchFile, Plc, TagTable
from testbed.rig.known import model_parameters, plant_fault, plant_parameters
from testbed.rig.safety_checks import check_heartbeat, check_safety
from testbed.rig.toml_file import Loc

RESERVED = ("anchor", "chain", "plc", "receipts", "supervisor")
"""Folders that every bench has: no reader, operator or twin may be named so."""

_URL = re.compile(r"https?://[^\s/]\S*")
_INTEGERS = {
    "int16": (-(2**15), 2**15 - 1),
    "uint16": (0, 2**16 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
}


def check_bench(bench: BenchFile, shift: int) -> Iterator[Problem]:
    """All faults between the tables of a bench whose keys are each in order; `shift` is the whole port shift."""
    yield from _one_each(bench)
    yield from _names(bench)
    for position, plc in enumerate(bench.plc):
        yield from _tags(("plc", position, "tag"), plc)
        yield from _counters(("plc", position), plc)
    yield from _references(bench)
    yield from _parameters(bench)
    yield from _chain(bench)
    yield from check_safety(bench)
    yield from _ports(bench, shift)


def _one_each(bench: BenchFile) -> Iterator[Problem]:
    for key, count in (("plc", len(bench.plc)), ("reader", len(bench.reader))):
        if count == 0:
            yield Problem((key,), "is empty", f"describe one [[{key}]]")
    if len(bench.plc) > 1:
        what = f"there are {len(bench.plc)}; a bench has exactly one plc for now"
        yield Problem(("plc", 1), what, "keep one [[plc]] and give each further one a bench file of its own")


def _names(bench: BenchFile) -> Iterator[Problem]:
    taken: dict[str, str] = {}
    places: list[tuple[Loc, str]] = [(("plc", i, "name"), plc.name) for i, plc in enumerate(bench.plc)]
    logs: list[tuple[Loc, str]] = [(("reader", i, "name"), reader.name) for i, reader in enumerate(bench.reader)]
    logs += [(("operator", "name"), bench.operator.name), (("twin", "name"), bench.twin.name)]
    for loc, name in places + logs:
        if name in taken:
            yield Problem(loc, f'"{name}" is already the name of a {taken[name]}', "give each its own name")
        taken.setdefault(name, str(loc[0]))
    for loc, name in logs:
        if name in RESERVED:
            mend = f"take another name than {', '.join(RESERVED)}"
            yield Problem(loc, f'"{name}" is the name of a folder that every bench has', mend)


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
        yield from _table(here, tag)
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
    if not least <= low < high <= most:
        mend = f"keep within {least}..{most}, or take another type"
        yield Problem(loc, f"[{low:g}, {high:g}] does not fit into {tag.type}", mend)


def _table(here: Loc, tag: TagTable) -> Iterator[Problem]:
    table = ModbusTable(tag.modbus.table)
    loc = (*here, "modbus", "table")
    if table.is_bit != (tag.type == "bool"):
        if tag.type == "bool":
            yield Problem(loc, f"a bool has no place in {table.value}", "take coil or discrete_input")
        else:
            yield Problem(loc, f"{tag.type} has no place in {table.value}", "take input_register or holding_register")
    elif tag.writable and not table.is_writable:
        mend = f"take {'coil' if table.is_bit else 'holding_register'}, or leave writable out"
        yield Problem((*here, "writable"), f"nothing can be written to {table.value}", mend)
    width = _width(tag)
    if tag.modbus.address + width > 65536:
        what = f"{tag.modbus.address} leaves no room for {tag.type}, {width} registers: a table ends at 65535"
        yield Problem((*here, "modbus", "address"), what, f"take {65536 - width} or less")


def _width(tag: TagTable) -> int:
    """Addresses that a tag takes in its table: bits, or registers of two bytes."""
    return 1 if ModbusTable(tag.modbus.table).is_bit else max(1, DataType(tag.type).size // 2)


def _overlaps(loc: Loc, tags: Sequence[TagTable]) -> Iterator[Problem]:
    for table in ModbusTable:
        here = [(position, tag) for position, tag in enumerate(tags) if tag.modbus.table == table.value]
        here.sort(key=lambda item: (item[1].modbus.address, item[0]))
        free = max((tag.modbus.address + _width(tag) for _, tag in here), default=0)
        end, owner = 0, ""
        for position, tag in here:
            start = tag.modbus.address
            if start < end:
                what = f"{start} of {table.value} already belongs to {owner}, which ends at {end - 1}"
                mend = f"take a free address, such as {free}" if free <= 65536 - _width(tag) else "take a free address"
                yield Problem((*loc, position, "modbus", "address"), what, mend)
            if start + _width(tag) > end:
                end, owner = start + _width(tag), tag.name


def _counters(loc: Loc, plc: Plc) -> Iterator[Problem]:
    types = {tag.name: tag.type for tag in reversed(plc.tag)}  # of two tags of one name, the first counts
    for key, name in (("scan_tag", plc.scan_tag), ("boot_tag", plc.boot_tag)):
        if name not in types:
            yield Problem((*loc, key), f'there is no tag "{name}"', unknown(name, list(types)))
        elif types[name] != "uint32":
            yield Problem(
                (*loc, key), f'"{name}" is {types[name]}; a counter is uint32', f'give "{name}" type = "uint32"'
            )
    if plc.scan_tag == plc.boot_tag:
        mend = "count scans and restarts in two tags"
        yield Problem((*loc, "boot_tag"), f'"{plc.boot_tag}" is the scan_tag already', mend)


def _references(bench: BenchFile) -> Iterator[Problem]:
    plcs, readers = [plc.name for plc in bench.plc], [reader.name for reader in bench.reader]
    for position, reader in enumerate(bench.reader):
        if plcs and reader.plc not in plcs:
            yield Problem(("reader", position, "plc"), f'there is no plc "{reader.plc}"', unknown(reader.plc, plcs))
        if reader.protocol == "opcua" and any(plc.name == reader.plc and not plc.opcua.enabled for plc in bench.plc):
            mend = "write enabled = true under [plc.opcua], or leave this reader out"
            yield Problem(("reader", position, "protocol"), f"{reader.plc} does not serve OPC UA", mend)
    if readers and bench.twin.follows not in readers:
        what = f'there is no reader "{bench.twin.follows}"'
        yield Problem(("twin", "follows"), what, unknown(bench.twin.follows, readers))


def _parameters(bench: BenchFile) -> Iterator[Problem]:
    strangers = list(_unknown_keys(("plant", "parameters"), bench.plant.parameters, plant_parameters()))
    yield from strangers
    if not strangers and (fault := plant_fault(bench.plant.parameters)) is not None:
        yield Problem(("plant", "parameters"), fault.problem, fault.mend)
    models = model_parameters()
    model = bench.twin.model
    if model in models:
        yield from _unknown_keys(("twin", "parameters"), bench.twin.parameters, models[model])
    else:
        yield Problem(("twin", "model"), f'there is no model "{model}"', unknown(model, list(models)))


def _unknown_keys(loc: Loc, given: Iterable[str], names: Sequence[str]) -> Iterator[Problem]:
    for name in given:
        if name not in names:
            yield Problem((*loc, name), "unknown key", unknown(name, names))


def _chain(bench: BenchFile) -> Iterator[Problem]:
    chain, given = bench.chain, bench.chain.model_fields_set
    if chain.kind == "anvil" and "url" in given:
        yield Problem(
            ("chain", "url"), 'kind = "anvil" starts a node of its own', 'leave url out, or write kind = "url"'
        )
    if chain.kind == "url":
        if not _URL.fullmatch(chain.url):
            what = f'"{chain.url}" is no address of a node' if "url" in given else "is missing"
            yield Problem(("chain", "url"), what, 'write url = "http://..." or "https://..."')
        if "chain_id" not in given:
            yield Problem(("chain", "chain_id"), "is missing", "add chain_id = the id that this node must have")
        for key in ("host", "port"):
            if key in given:
                yield Problem(("chain", key), 'kind = "url" has no use for it', f"leave {key} out; the url has both")


def _ports(bench: BenchFile, shift: int) -> Iterator[Problem]:
    taken: dict[int, str] = {}
    places: list[tuple[Loc, int, str]] = []
    for position, plc in enumerate(bench.plc[:1]):
        places.append((("plc", position, "modbus", "port"), plc.modbus.port, "plc.modbus.port"))
        if plc.opcua.enabled:
            places.append((("plc", position, "opcua", "port"), plc.opcua.port, "plc.opcua.port"))
    if bench.chain.kind == "anvil":
        places.append((("chain", "port"), bench.chain.port, "chain.port"))
    if bench.pages.enabled:
        places.append((("pages", "port"), bench.pages.port, "pages.port"))
    if not places:
        return
    lowest, highest = min(port for _, port, _ in places), max(port for _, port, _ in places)
    for loc, port, key in places:
        shifted = port + shift
        if not 1 <= shifted <= 65535:
            mend = f"shift ports by {1 - lowest}..{65535 - highest}, or take another port"
            yield Problem(loc, f"{port} shifted by {shift} is {shifted}, which is no port", mend)
        elif shifted in taken:
            yield Problem(loc, f"port {port} is {taken[shifted]} already", "give each server its own port")
        taken.setdefault(shifted, key)
