"""The trust file: what an auditor takes for granted. Public keys and hashes only; it never comes from the evidence.

load_trust(path)            read and check one
render_trust(trust)         its text, with comments; loads back to an equal value
write_trust(path, trust)    write one where none stands
"""

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from testbed.core.errors import InvalidData, UsageError
from testbed.keys.ed25519 import VerifierKey
from testbed.keys.log_keys import ROOT
from testbed.rig import trust_comments as comments
from testbed.rig.bench_errors import Problem, Section, Several, check_file, unknown
from testbed.rig.bench_file import Slug
from testbed.rig.toml_file import Loc, TomlFile, parse_toml, read_toml
from testbed.rig.trusted_witness import TrustedWitness, check_witnesses
from testbed.store.files import write_new

Origin = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9._~/-]{1,200}$", description='the name of a log in quotes, such as "water-cell/gateway"'
    ),
]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="a SHA-256: 64 lower-case hexadecimal digits")]
ChainHash = Annotated[
    str, Field(pattern=r"^0x[0-9a-f]{64}$", description="a Keccak-256: 0x and 64 lower-case hexadecimal digits")
]
Address = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$", description="an address: 0x and 40 hexadecimal digits")]


class TrustedBench(Section):
    """[bench]: simulated = true lets logs through that say of themselves that they ran on a virtual clock."""

    name: Slug
    simulated: bool = False


class TrustedLog(Section):
    """[[log]]: key is a C2SP verifier key, name+hash+base64; the key is named like the log.

    schema_hash ("schema" in the file): SHA-256 of the tag list, "" for a log without tags; follows: origin of the log
    that a twin mirrors; reads: the PLC that a gateway or another reader reads; "" for all others.
    """

    origin: Origin
    role: Literal["gateway", "reader", "operator", "receipts", "twin"]
    key: str = Field(description="a verifier key in quotes, name+hash+base64")
    schema_hash: str = Field(
        default="", alias="schema", pattern=r"^([0-9a-f]{64})?$", description='64 lower-case hexadecimal digits, or ""'
    )
    follows: str = Field(default="", description="the origin of the log that this one mirrors, in quotes")
    reads: str = Field(default="", pattern=r"^[^\x00-\x1f\x7f]*$", description="the name of a PLC in quotes")


class TrustedRoot(Section):
    """[root]: the key that is kept offline and signs changes of keys; it is named "<bench>/root"."""

    key: str = Field(description="a verifier key in quotes, name+hash+base64")


class RevokedKey(Section):
    """[[revoked]]: what this key of the log `origin` signed beyond `size` records does not count."""

    origin: Origin
    key: str = Field(description="a verifier key in quotes, name+hash+base64")
    size: int = Field(ge=0, lt=2**63, description="a number of records, 0 or more")


class TrustedDevice(Section):
    """[[device]]: a PLC that signs its own scans; key is a C2SP verifier key that is named "<bench>/<plc>"."""

    plc: str = Field(pattern=r"^[^\x00-\x1f\x7f]+$", description="the name of a PLC in quotes")
    key: str = Field(description="a verifier key in quotes, name+hash+base64")


class Predecessor(Section):
    """[[predecessor]]: the log `origin`, trusted up to `size` and `root`, for which the log `successor` goes on.

    operator: the key of the operator's log before, who must have said so; "" where that key was lost.
    """

    origin: Origin
    size: int = Field(ge=1, lt=2**63, description="a number of records, 1 or more")
    root: Hash
    successor: Origin
    operator: str = Field(default="", description="a verifier key in quotes, name+hash+base64")


class TrustedChain(Section):
    """[chain]: id; hash of block 0; address of the contract, Keccak-256 of its runtime code; who may submit.

    Case does not count in addresses. confirmations: blocks, the anchor's own included.
    """

    id: int = Field(ge=1, lt=2**63, description="a chain id, 1 or more")
    genesis: ChainHash
    contract: Address
    code: ChainHash
    submitter: Address
    confirmations: int = Field(default=1, ge=1, le=10_000, description="a number of blocks, 1..10000")


class TrustedFurtherChain(TrustedChain):
    """[[further_chain]]: another chain that all logs are anchored on, by its name in the bench file."""

    name: Slug


class Submitter(Section):
    """[[submitter]]: from `size` on another account anchors this log; what the one before it anchored beyond that
    counts no longer. chain: name of a further chain, "" for the first one.
    """

    origin: Origin
    size: int = Field(ge=0, lt=2**63, description="a number of records, 0 or more")
    address: Address
    chain: str = Field(default="", pattern=r"^[a-z0-9-]{0,40}$", description="the name of a further chain in quotes")


class TrustedModel(Section):
    """[[model]]: hash: SHA-256 of the model's source; parameters: SHA-256 of its encoded parameters."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,100}$", description="the name of a model in quotes")
    hash: Hash
    parameters: Hash


class Commands(Section):
    """[commands]: tags that only a logged command may change; momentary: those that the PLC takes back by itself."""

    tags: Several[str] = ()
    momentary: Several[str] = ()


class Limits(Section):
    """[limits]: heartbeat_s: longest silence of a log, s; twin_lag: how many records a twin may be behind.

    missed: share of the scans that a reader may have missed by its own word. Where no scan counter says which states of
    two readers belong together, skew_s: how far apart in time, s; deadband: how far apart in value, share of the range.
    """

    heartbeat_s: float = Field(gt=0, le=86_400, description="a time, more than 0 and up to 86400 s")
    twin_lag: int = Field(ge=0, lt=2**63, description="a number of records, 0 or more")
    missed: float = Field(default=0.2, ge=0, le=1, description="a share, 0..1")
    skew_s: float = Field(default=0.5, ge=0, le=86_400, description="a time, 0..86400 s")
    deadband: float = Field(default=0.02, ge=0, le=1, description="a share, 0..1")


class Trust(Section):
    """The whole file."""

    bench: TrustedBench
    log: Several[TrustedLog]
    root: TrustedRoot | None = None
    revoked: Several[RevokedKey] = ()
    device: Several[TrustedDevice] = ()
    predecessor: Several[Predecessor] = ()
    chain: TrustedChain
    further_chain: Several[TrustedFurtherChain] = ()
    submitter: Several[Submitter] = ()
    model: Several[TrustedModel] = ()
    witness: Several[TrustedWitness] = ()
    commands: Commands = Commands()
    limits: Limits


def load_trust(path: Path) -> Trust:
    """Read and check a trust file. Raises UsageError that names file, line, key and mend for every problem."""
    mend = "name the auditor's trust file, or let `testbed init` write one beside the bench file"
    return _check(read_toml(path, "trust file", mend))


def parse_trust(text: str, label: str = "trust.toml") -> Trust:
    """As load_trust, for the text of a file that messages call `label`."""
    return _check(parse_toml(text, label))


def write_trust(path: Path, trust: Trust) -> None:
    """Write a new trust file, on disk when this returns.

    Raises UsageError where one stands: trust is not replaced behind an auditor's back.
    """
    try:
        write_new(path, render_trust(trust).encode())
    except FileExistsError:
        mend = "keep it, or move it away yourself if it is to be trusted no longer"
        raise UsageError(f"{path}: a trust file stands here already; nothing was written", mend) from None
    except OSError as error:
        mend = "name a place that you may write to"
        raise UsageError(f"{path}: cannot be written: {error.strerror}", mend) from None


def render_trust(trust: Trust) -> str:
    """The text of a trust file, with comments; parse_trust gives back an equal value."""
    blocks = [comments.HEAD, _block("[bench]", comments.BENCH, trust.bench)]
    blocks += _blocks("[[log]]", comments.LOG, trust.log)
    blocks += [] if trust.root is None else [_block("[root]", comments.ROOT, trust.root)]
    blocks += _blocks("[[revoked]]", comments.REVOKED, trust.revoked)
    blocks += _blocks("[[device]]", comments.DEVICE, trust.device)
    blocks += _blocks("[[predecessor]]", comments.PREDECESSOR, trust.predecessor)
    blocks.append(_block("[chain]", comments.CHAIN, trust.chain))
    blocks += _blocks("[[further_chain]]", comments.FURTHER, trust.further_chain)
    blocks += _blocks("[[submitter]]", comments.SUBMITTER, trust.submitter)
    blocks += _blocks("[[model]]", comments.MODEL, trust.model)
    blocks += _blocks("[[witness]]", comments.WITNESS, trust.witness)
    blocks.append(_block("[commands]", comments.COMMANDS, trust.commands))
    blocks.append(_block("[limits]", comments.LIMITS, trust.limits))
    return "\n".join(blocks)


def model_table(model: TrustedModel) -> str:
    """The table that approves one model more."""
    return _block("[[model]]", "", model).rstrip("\n")


def submitter_table(submitter: Submitter) -> str:
    """The table of one account that took over."""
    return _block("[[submitter]]", "", submitter).rstrip("\n")


def witness_table(witness: TrustedWitness) -> str:
    """The table that trusts one witness more."""
    return _block("[[witness]]", "", witness).rstrip("\n")


def _blocks(header: str, comment: str, sections: Sequence[Section]) -> list[str]:
    """Tables of one kind, the first of them under the comment."""
    return [_block(header, "" if place else comment, one) for place, one in enumerate(sections)]


def _block(header: str, comment: str, section: Section) -> str:
    values = section.model_dump(by_alias=True)
    return comment + "\n".join([header, *(f"{key} = {_toml(value)}" for key, value in values.items())]) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's escapes are TOML's, but TOML wants DEL escaped as well.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return repr(value)


def _check(file: TomlFile) -> Trust:
    return check_file(file, Trust, _cross)


def _cross(trust: Trust) -> Iterator[Problem]:
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
