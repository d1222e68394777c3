"""What an auditor trusts, as values. It comes from the auditor's own file, never from the evidence."""

from dataclasses import dataclass
from enum import Enum

from testbed.keys.ed25519 import VerifierKey


class LogRole(Enum):
    """What a log's records are."""

    GATEWAY = "gateway"
    TWIN = "twin"


@dataclass(frozen=True, slots=True)
class TrustedLog:
    """One log: its origin, whose key signs it, the hash of its tag list, and the origin that a twin follows."""

    origin: str
    role: LogRole
    key: VerifierKey
    schema: bytes
    follows: str | None = None


@dataclass(frozen=True, slots=True)
class TrustedChain:
    """The chain and the contract: hashes are 32 bytes, addresses checksummed text."""

    chain_id: int
    genesis: bytes
    contract: str
    code_hash: bytes
    submitter: str
    confirmations: int = 1


@dataclass(frozen=True, slots=True)
class TrustedModel:
    """A model that the auditor approves: hash of its source and hash of its parameters."""

    name: str
    hash: bytes
    parameters: bytes


@dataclass(frozen=True, slots=True)
class Trust:
    """Everything that a verdict rests on.

    heartbeat_ns: the longest silence of a gateway's log, ns; twin_lag: source records that a twin may be behind.
    """

    bench: str
    simulated: bool
    logs: tuple[TrustedLog, ...]
    chain: TrustedChain
    models: tuple[TrustedModel, ...]
    heartbeat_ns: int
    twin_lag: int
