"""What no single key of a bench file can get wrong alone: names, addresses, ports and references between tables."""

import re
from collections.abc import Iterable, Iterator, Sequence

from testbed.rig.bench_errors import Problem, unknown
from testbed.rig.bench_file import BenchFile, Plc, Reader, serves
from testbed.rig.connect_checks import check_connect
from testbed.rig.known import model_parameters, plant_fault, plant_parameters
from testbed.rig.safety_checks import check_safety
from testbed.rig.tag_checks import check_tags
from testbed.rig.toml_file import Loc

RESERVED = ("anchor", "chain", "plc", "receipts", "supervisor")
"""Folders that every bench has: no reader, operator, twin or witness may be named so."""

_URL = re.compile(r"https?://[^\s/]\S*")


def check_bench(bench: BenchFile, shift: int) -> Iterator[Problem]:
    """All faults between the tables of a bench whose keys are each in order; `shift` is the whole port shift."""
    yield from _one_each(bench)
    yield from _names(bench)
    for position, plc in enumerate(bench.plc):
        yield from check_tags(("plc", position), plc)
        yield from check_connect(("plc", position), plc)
    yield from _references(bench)
    yield from _parameters(bench)
    yield from _chain(bench)
    yield from _further_chains(bench)
    yield from _sources(bench)
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
    logs += [(("witness", i, "name"), witness.name) for i, witness in enumerate(bench.witness)]
    for loc, name in places + logs:
        if name in taken:
            yield Problem(loc, f'"{name}" is already the name of a {taken[name]}', "give each its own name")
        taken.setdefault(name, str(loc[0]))
    for loc, name in logs:
        if name in RESERVED:
            mend = f"take another name than {', '.join(RESERVED)}"
            yield Problem(loc, f'"{name}" is the name of a folder that every bench has', mend)


def _references(bench: BenchFile) -> Iterator[Problem]:
    plcs, readers = [plc.name for plc in bench.plc], [reader.name for reader in bench.reader]
    for position, reader in enumerate(bench.reader):
        if plcs and reader.plc not in plcs:
            yield Problem(("reader", position, "plc"), f'there is no plc "{reader.plc}"', unknown(reader.plc, plcs))
        for plc in (plc for plc in bench.plc if plc.name == reader.plc):
            yield from _reached(("reader", position), reader, plc)
    if readers and bench.twin.follows not in readers:
        what = f'there is no reader "{bench.twin.follows}"'
        yield Problem(("twin", "follows"), what, unknown(bench.twin.follows, readers))


def _reached(here: Loc, reader: Reader, plc: Plc) -> Iterator[Problem]:
    """Whether the PLC serves by the reader's protocol."""
    loc = (*here, "protocol")
    if reader.protocol == "device":
        if plc.kind == "emulated":
            yield Problem(loc, f"{plc.name} is emulated, there is no device", 'take "modbus" or "opcua"')
        for key in ("host", "port"):
            if getattr(reader, key) is not None:
                yield Problem((*here, key), "[plc.connect] says where the device is", f"leave {key} out")
    elif not serves(plc):
        mend = 'take "device", or write bridge = true under [[plc]]'
        yield Problem(loc, f"{plc.name} is a physical PLC, which the bench does not show on servers of its own", mend)
    elif reader.protocol == "opcua" and not plc.opcua.enabled:
        mend = "write enabled = true under [plc.opcua], or leave this reader out"
        yield Problem(loc, f"{plc.name} does not serve OPC UA", mend)


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
    for key in ("url", "contract", "max_fee_gwei") if chain.kind == "anvil" else ():
        if key in given:
            what, mend = 'kind = "anvil" starts a node of its own', f'leave {key} out, or write kind = "url"'
            yield Problem(("chain", key), what, mend)
    if chain.kind == "url":
        if not _URL.fullmatch(chain.url):
            what = f'"{chain.url}" is no address of a node' if "url" in given else "is missing"
            yield Problem(("chain", "url"), what, 'write url = "http://..." or "https://..."')
        if "chain_id" not in given:
            yield Problem(("chain", "chain_id"), "is missing", "add chain_id = the id that this node must have")
        for key in ("host", "port"):
            if key in given:
                yield Problem(("chain", key), 'kind = "url" has no use for it', f"leave {key} out; the url has both")


def _further_chains(bench: BenchFile) -> Iterator[Problem]:
    names: set[str] = set()
    for position, further in enumerate(bench.further_chain):
        if further.name in names:
            loc: Loc = ("further_chain", position, "name")
            yield Problem(loc, f'"{further.name}" is there twice', "give each further chain its own name")
        names.add(further.name)


def _sources(bench: BenchFile) -> Iterator[Problem]:
    for position, witness in enumerate(bench.witness):
        if "://" in witness.source and not _URL.fullmatch(witness.source):
            what = f'"{witness.source}" is no address of a log server'
            mend = 'write "http://host:port", a folder, or leave source out for the logs of this bench'
            yield Problem(("witness", position, "source"), what, mend)


def _ports(bench: BenchFile, shift: int) -> Iterator[Problem]:
    taken: dict[int, str] = {}
    places: list[tuple[Loc, int, str]] = []
    for position, plc in enumerate(plc for plc in bench.plc[:1] if serves(plc)):
        places.append((("plc", position, "modbus", "port"), plc.modbus.port, "plc.modbus.port"))
        if plc.opcua.enabled:
            places.append((("plc", position, "opcua", "port"), plc.opcua.port, "plc.opcua.port"))
        if plc.tls.enabled:
            places.append((("plc", position, "tls", "port"), plc.tls.port, "plc.tls.port"))
    if bench.chain.kind == "anvil":
        places.append((("chain", "port"), bench.chain.port, "chain.port"))
    if bench.pages.enabled:
        places.append((("pages", "port"), bench.pages.port, "pages.port"))
    if bench.serve.enabled:
        places.append((("serve", "port"), bench.serve.port, "serve.port"))
    for position, witness in enumerate(bench.witness):
        places.append((("witness", position, "port"), witness.port, f"the port of witness {witness.name}"))
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
