"""Bodies: what a record says, one dataclass per kind. Their bytes are made in `record`, and only there.

Times are UTC nanoseconds since 1970-01-01. Hashes are SHA-256, 32 bytes, unless said otherwise.
"""

from dataclasses import dataclass

from testbed.core.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class Genesis:
    """First record of every log. `schema` is the hash of its tag list, 32 zero bytes for a log without tags.

    predecessor: the log that this one goes on for, how long it was when it was trusted last, and its root there.
    """

    log: str
    schema: bytes
    software: str
    simulated: bool
    predecessor: Checkpoint | None = None


@dataclass(frozen=True, slots=True)
class State:
    """One scan of a PLC, as it was read.

    boot: restart counter of the PLC; scan: its scan counter, None where it has none;
    values: raw bytes by tag in the order of the schema, None where nothing was read;
    statuses: OPC UA StatusCode by tag (OPC 10000-4, section 7.39), 0 is Good;
    frame, signature: the device's own signed frame, None where the device does not sign.
    """

    boot: int
    scan: int | None
    device_time_ns: int | None
    receive_time_ns: int
    values: tuple[bytes | None, ...]
    statuses: tuple[int, ...]
    frame: bytes | None = None
    signature: bytes | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Says that the log's writer lives while its source is silent. `counters` are (name, count) pairs."""

    receive_time_ns: int
    wrong: str
    counters: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class LeafRef:
    """One entry of a log, named so that it cannot be exchanged: origin, index and RFC 9162 leaf hash."""

    origin: str
    index: int
    leaf_hash: bytes


@dataclass(frozen=True, slots=True)
class TwinRecord:
    """One step of the twin: every input that it consumed, the model that it ran, and what came out.

    model: hash of the model's source; parameters: hash of its parameters; state, outputs: IEEE 754 doubles.
    """

    inputs: tuple[LeafRef, ...]
    model: bytes
    parameters: bytes
    state: tuple[float, ...]
    outputs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Advisory:
    """As TwinRecord, for what cannot be run again to the byte. Outside the replay proof."""

    inputs: tuple[LeafRef, ...]
    model: bytes
    parameters: bytes
    state: tuple[float, ...]
    outputs: tuple[float, ...]


INTENDED = ""
CONFIRMED = "confirmed"
REFUSED = "refused"
UNCONFIRMED = "unconfirmed"


@dataclass(frozen=True, slots=True)
class Command:
    """A command to the plant. `twin_record` is the index it was advised at, None for a person's own.

    what: as `record.commands` writes it; outcome: INTENDED in the record that stands before the command is sent. A
    second record repeats it and begins its outcome with CONFIRMED (read back as written), REFUSED (the PLC said no) or
    UNCONFIRMED (nobody knows), and then says more.
    """

    who: str
    what: str
    twin_record: int | None
    approval: str
    outcome: str


CONFIGURATION = "configuration"
PARAMETERS = "parameters"
APPROVED = "models approved"
STARTED = "started"
TILES_REBUILT = "tiles rebuilt"
SOURCE_LOST = "source lost"
SOURCE_BACK = "source back"
CLOCK_STEPPED = "clock stepped"
IDENTITY = "identity"
WATCHDOG_ARMED = "watchdog armed"
WATCHDOG_DISARMED = "watchdog disarmed"
WATCHDOG_TRIPPED = "watchdog tripped"
WATCHDOG_RESET = "watchdog reset"
KEY_CHANGED = "key changed"
SUCCEEDS = "succeeds"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the bench. name: one of those below; detail: bytes as the name has them.

    configuration: the encoded tag list, in an operator's log the bench file; parameters: those of the twin's model,
    encoded; models approved: model hash and parameters hash, 64 bytes each; started: the log goes on after its writer
    was away; tiles rebuilt: the paths of tiles that disagreed with the records, a line each; source lost, source back:
    why the PLC did not answer, in words, and that it does again; clock stepped: by how many ns, a signed decimal;
    identity: what the device says of itself, as `record.identity` encodes it;
    succeeds: a note of `keys.succession`, by the operator of the logs before;
    key changed: a note of `keys.log_keys`: this is the last record that the old key signs for;
    watchdog armed: its limit, ms, decimal; watchdog disarmed: nothing; watchdog tripped, watchdog reset: boot and scan
    of the state that shows it, in words.
    """

    time_ns: int
    name: str
    detail: bytes


@dataclass(frozen=True, slots=True)
class Beacon:
    """The newest block that the writer knew: what stands after it was logged after that block."""

    chain_id: int
    number: int
    block_hash: bytes


@dataclass(frozen=True, slots=True)
class AnchorReceipt:
    """Proof that a checkpoint was accepted by the contract: header (RLP), slot proof, receipt proof."""

    origin: str
    checkpoint: bytes
    header: bytes
    slot_proof: bytes
    receipt_proof: bytes


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A body that the operator had erased under a policy; its entry stays in the log."""

    origin: str
    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class TestManifest:
    """Files of a test run as (name, SHA-256) pairs."""

    __test__ = False  # not a pytest class

    files: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Peer:
    """Checkpoint of another log (a signed note, verbatim), as the writer of this log verified it."""

    origin: str
    checkpoint: bytes


Body = (
    Genesis
    | State
    | Heartbeat
    | TwinRecord
    | Advisory
    | Command
    | Event
    | Beacon
    | AnchorReceipt
    | Tombstone
    | TestManifest
    | Peer
)
