"""The trust file, table by table: names, types, units, defaults and limits of its keys. Array names are singular."""

from typing import Annotated, Literal

from pydantic import Field

from testbed.rig.bench_errors import Section, Several
from testbed.rig.bench_file import Slug
from testbed.rig.trusted_witness import TrustedWitness

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
