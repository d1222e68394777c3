"""What an auditor trusts, as values. It comes from the auditor's own file, never from the evidence."""

from dataclasses import dataclass
from enum import Enum

from testbed.chain.registry import log_id, slot_key
from testbed.core.checkpoint import Checkpoint
from testbed.keys.cosignature import WitnessKey
from testbed.keys.ed25519 import VerifierKey
from testbed.keys.log_keys import Revoked


class LogRole(Enum):
    """What a log's records are."""

    GATEWAY = "gateway"
    READER = "reader"
    OPERATOR = "operator"
    RECEIPTS = "receipts"
    TWIN = "twin"


@dataclass(frozen=True, slots=True)
class TrustedLog:
    """One log: its origin, the key that it began with, the hash of its tag list, and the origin that a twin follows.

    reads: the PLC that a gateway or reader reads, as the source of its states names it; None for any other log.
    """

    origin: str
    role: LogRole
    key: VerifierKey
    schema: bytes
    follows: str | None = None
    reads: str | None = None


@dataclass(frozen=True, slots=True)
class TrustedCommands:
    """What only a logged command may change: set-points, modes and manual outputs, by the names of their tags.

    momentary: those of them that fall back to false by themselves, as a push button does.
    """

    tags: tuple[str, ...] = ()
    momentary: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two readers of one PLC may be apart.

    skew_ns: between their receive times, where no scan counter says which states belong together, ns; deadband: then
    the difference between two values, as a share of the tag's range; missed: share of the scans that a reader may
    have missed by its own word (overload).
    """

    skew_ns: int = 500_000_000
    deadband: float = 0.02
    missed: float = 0.2


@dataclass(frozen=True, slots=True)
class TrustedSubmitter:
    """Another account that anchors a log, from `size` on; what the one before it anchored beyond that is void."""

    origin: str
    size: int
    address: str


@dataclass(frozen=True, slots=True)
class TrustedChain:
    """The chain and the contract: hashes are 32 bytes, addresses checksummed text.

    successors: of the submitter, whose key was stolen, log by log.
    """

    chain_id: int
    genesis: bytes
    contract: str
    code_hash: bytes
    submitter: str
    confirmations: int = 1
    successors: tuple[TrustedSubmitter, ...] = ()

    def accounts(self, origin: str, size: int) -> tuple[str, ...]:
        """Who may have anchored `size` records of a log: one account, or two where one took over at that very size."""
        line = self._line(origin)
        ends = [start for start, _ in line[1:]] + [1 << 64]
        return tuple(address for (start, address), end in zip(line, ends, strict=True) if start <= size <= end)

    def newest_account(self, origin: str) -> str:
        """Who may anchor more of a log."""
        return self._line(origin)[-1][1]

    @property
    def everybody(self) -> frozenset[str]:
        """Every account that may have anchored anything, in lower case."""
        return frozenset(address.lower() for address in (self.submitter, *(one.address for one in self.successors)))

    def newest_slot(self, origin: str) -> bytes:
        """The contract's storage slot of a log that is written now."""
        return slot_of(self.newest_account(origin), origin)

    def slots(self, origin: str, size: int) -> tuple[bytes, ...]:
        """The slots that may hold that size of a log."""
        return tuple(slot_of(account, origin) for account in self.accounts(origin, size))

    def _line(self, origin: str) -> list[tuple[int, str]]:
        """(size from which on, account), rising."""
        after = sorted((one.size, one.address) for one in self.successors if one.origin == origin)
        return [(0, self.submitter), *after]


def slot_of(account: str, origin: str) -> bytes:
    """Storage slot of an account's log."""
    return slot_key(log_id(account, origin))


@dataclass(frozen=True, slots=True)
class FurtherChain:
    """Another chain that all logs are anchored on, by its name in the bench file."""

    name: str
    chain: TrustedChain


@dataclass(frozen=True, slots=True)
class TrustedModel:
    """A model that the auditor approves: hash of its source and hash of its parameters."""

    name: str
    hash: bytes
    parameters: bytes


@dataclass(frozen=True, slots=True)
class TrustedWitness:
    """A witness whose cosignatures count. name: of its folder, if it stands beside the logs."""

    name: str
    key: WitnessKey


@dataclass(frozen=True, slots=True)
class TrustedDevice:
    """A PLC that signs its own scans: its name, as logs that read it name their source, and its key."""

    plc: str
    key: VerifierKey


@dataclass(frozen=True, slots=True)
class Succeeded:
    """A log up to where it is trusted, and the origin of the log that goes on for it.

    operator: whose word says so as well, None where that key was lost.
    """

    before: Checkpoint
    successor: str
    operator: VerifierKey | None


@dataclass(frozen=True, slots=True)
class Trust:
    """Everything that a verdict rests on.

    heartbeat_ns: the longest silence of a gateway's log, ns; twin_lag: source records that a twin may be behind; root:
    the key without which no log goes on under another one; revoked: keys of logs, each beyond a size; succeeded: logs
    for which these go on.
    """

    bench: str
    simulated: bool
    logs: tuple[TrustedLog, ...]
    chain: TrustedChain
    models: tuple[TrustedModel, ...]
    heartbeat_ns: int
    twin_lag: int
    commands: TrustedCommands = TrustedCommands()
    agreement: Agreement = Agreement()
    root: VerifierKey | None = None
    revoked: tuple[Revoked, ...] = ()
    further: tuple[FurtherChain, ...] = ()
    witnesses: tuple[TrustedWitness, ...] = ()
    devices: tuple[TrustedDevice, ...] = ()
    succeeded: tuple[Succeeded, ...] = ()
