"""What no single key of a trust file can get wrong alone: names, keys, and references between tables."""

from collections.abc import Collection, Iterator

from testbed.core.errors import InvalidData
from testbed.keys.ed25519 import VerifierKey
from testbed.keys.log_keys import ROOT
from testbed.rig.bench_errors import Problem, unknown
from testbed.rig.toml_file import Loc
from testbed.rig.trust_file import Trust, TrustedLog
from testbed.rig.trusted_witness import check_witnesses


def check_trust(trust: Trust) -> Iterator[Problem]:
    """All faults between the tables of a trust file whose keys are each in order."""
    if not trust.log:
        yield Problem(("log",), "is empty", "trust at least one [[log]]")
    sources = [log.origin for log in trust.log if log.role == "gateway"]
    origins: set[str] = set()
    keys: dict[bytes, str] = {}
    for position, log in enumerate(trust.log):
        here: Loc = ("log", position)
        if log.origin in origins:
            yield Problem((*here, "origin"), f'"{log.origin}" is there twice', "keep one [[log]] for each origin")
        origins.add(log.origin)
        yield from _key(here, log, keys)
        yield from _follows(here, log, sources)
        yield from _reads(here, log)
    yield from _root_and_revoked(trust, origins)
    yield from _predecessors(trust, origins)
    chains: set[str] = set()
    for position, further in enumerate(trust.further_chain):
        if further.name in chains:
            loc: Loc = ("further_chain", position, "name")
            yield Problem(loc, f'"{further.name}" is there twice', "keep one [[further_chain]] for each chain")
        chains.add(further.name)
    for position, one in enumerate(trust.submitter):
        submitter: Loc = ("submitter", position)
        if origins and one.origin not in origins:
            yield Problem(
                (*submitter, "origin"), f'there is no log "{one.origin}"', unknown(one.origin, sorted(origins))
            )
        if one.chain and one.chain not in chains:
            yield Problem((*submitter, "chain"), f'there is no chain "{one.chain}"', unknown(one.chain, sorted(chains)))
    for role in ("operator", "receipts"):
        positions = [position for position, log in enumerate(trust.log) if log.role == role]
        if len(positions) > 1:
            what = f'there are {len(positions)} logs with role = "{role}"'
            yield Problem(("log", positions[1], "role"), what, "keep the one of this bench")
    yield from _devices(trust, keys)
    for position, name in enumerate(trust.commands.momentary):
        if name not in trust.commands.tags:
            mend = "add it to tags as well: what only a command may change"
            yield Problem(("commands", "momentary", position), f'"{name}" is not among the tags', mend)
    yield from check_witnesses(trust.witness, keys)
    models: set[str] = set()
    for position, model in enumerate(trust.model):
        if model.hash + model.parameters in models:
            what = "this model stands here already, with the same parameters"
            yield Problem(("model", position), what, "keep one of the two")
        models.add(model.hash + model.parameters)


def _key(here: Loc, log: TrustedLog, keys: dict[bytes, str]) -> Iterator[Problem]:
    yield from _verifier((*here, "key"), log.key, log.origin, "log", keys)


def _devices(trust: Trust, keys: dict[bytes, str]) -> Iterator[Problem]:
    seen: set[str] = set()
    read = sorted({log.reads for log in trust.log if log.reads})
    for position, device in enumerate(trust.device):
        here: Loc = ("device", position)
        if device.plc in seen:
            yield Problem((*here, "plc"), f'"{device.plc}" is there twice', "keep one [[device]] for each PLC")
        seen.add(device.plc)
        if read and device.plc not in read:
            yield Problem((*here, "plc"), f'no log reads a PLC "{device.plc}"', unknown(device.plc, read))
        yield from _verifier((*here, "key"), device.key, f"{trust.bench.name}/{device.plc}", "device", keys)


def _verifier(loc: Loc, text: str, name: str, of: str, keys: dict[bytes, str]) -> Iterator[Problem]:
    """A key in its text form, which must be named so. keys: names by public key, so far."""
    try:
        key = VerifierKey.parse(text)
    except InvalidData as error:
        yield Problem(loc, f"is no verifier key: {error}", "copy the whole key, name+hash+base64, from its owner")
        return
    if key.name != name:
        yield Problem(loc, f'is the key of "{key.name}", not of "{name}"', f"copy the key of this very {of}")
    elif keys.get(key.public, name) != name:
        what = f"is the key of {keys[key.public]} as well: one could sign for the other"
        yield Problem(loc, what, f"give each {of} a key of its own")
    keys.setdefault(key.public, name)


def _root_and_revoked(trust: Trust, origins: Collection[str]) -> Iterator[Problem]:
    if trust.root is not None:
        yield from _named_key(("root", "key"), trust.root.key, f"/{ROOT}")
    for position, one in enumerate(trust.revoked):
        here: Loc = ("revoked", position)
        if one.origin not in origins:
            mend = unknown(one.origin, sorted(origins))
            yield Problem((*here, "origin"), f'there is no [[log]] "{one.origin}"', mend)
        else:
            yield from _named_key((*here, "key"), one.key, one.origin)


def _predecessors(trust: Trust, origins: Collection[str]) -> Iterator[Problem]:
    successors: set[str] = set()
    for position, one in enumerate(trust.predecessor):
        here: Loc = ("predecessor", position)
        if one.successor not in origins:
            mend = unknown(one.successor, sorted(origins))
            yield Problem((*here, "successor"), f'there is no [[log]] "{one.successor}"', mend)
        elif one.successor in successors:
            yield Problem((*here, "successor"), f'"{one.successor}" goes on for another one already', "keep one")
        successors.add(one.successor)
        if one.operator:
            yield from _named_key((*here, "operator"), one.operator, "")


def _named_key(loc: Loc, text: str, ending: str) -> Iterator[Problem]:
    """A key whose name ends so."""
    try:
        key = VerifierKey.parse(text)
    except InvalidData as error:
        yield Problem(loc, f"is no verifier key: {error}", "copy the whole key, name+hash+base64, from its owner")
        return
    if not key.name.endswith(ending):
        yield Problem(loc, f'is the key of "{key.name}", not of "{ending}"', f"copy the key that is named {ending}")


def _follows(here: Loc, log: TrustedLog, sources: list[str]) -> Iterator[Problem]:
    loc = (*here, "follows")
    if log.role != "twin" and log.follows:
        yield Problem(loc, "only a twin follows a log", 'leave follows out, or write role = "twin"')
    if log.role == "twin" and not log.follows:
        yield Problem(loc, "is missing", "add follows = the origin of the gateway's log")
    elif log.role == "twin" and log.follows not in sources:
        yield Problem(loc, f'there is no gateway "{log.follows}"', unknown(log.follows, sources))


def _reads(here: Loc, log: TrustedLog) -> Iterator[Problem]:
    loc = (*here, "reads")
    if log.role in ("gateway", "reader") and not log.reads:
        yield Problem(loc, "is missing", "add reads = the name of the PLC")
    elif log.role not in ("gateway", "reader") and log.reads:
        yield Problem(loc, f"a log of role {log.role} reads no PLC", "leave reads out")
