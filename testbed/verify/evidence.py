"""What was found on a bench: nothing in here is trusted. Large logs are not held, but read where they are asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from testbed.chain.proofs import Header
from testbed.chain.steps import Head, Step
from testbed.core.entry import Row
from testbed.merkle.packed import Packed


@dataclass(frozen=True, slots=True)
class MirrorEvidence:
    """What one witness keeps of one log.

    witness: its name in the trust file, or the place where it was read; notes: signed checkpoints, the newest that it
    cosigned and what it refused; leaves: its copy of the leaf hashes; problem: why it could not be read.
    """

    witness: str
    notes: tuple[bytes, ...] = ()
    leaves: Packed = field(default_factory=lambda: Packed(b""), repr=False)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class LogEvidence:
    """One log as it stands on disk.

    rows: in the order of their index, all at hand or `StoredRows`, which are read where they are asked for;
    checkpoints: (size, signed note) of each commit; published: the `checkpoint` file; tiles: bytes by path relative to
    the log's folder, for the published size, at hand or read likewise; problem: why it could not be read;
    key_changes: the notes by which its keys changed, as they are published; mirrors: what witnesses keep of it.
    """

    origin: str
    rows: Sequence[Row] = ()
    checkpoints: tuple[tuple[int, bytes], ...] = ()
    published: bytes | None = None
    tiles: Mapping[str, bytes] | None = None
    problem: str = ""
    key_changes: tuple[bytes, ...] = ()
    mirrors: tuple[MirrorEvidence, ...] = ()


@dataclass(frozen=True, slots=True)
class ChainEvidence:
    """What a node answered, all under one newest block.

    height, head: number and hash of that block; blocks: headers by height; slots: values by origin; hashes: 32 bytes;
    proofs: of a network of others, the proof of each slot under that block, empty where the node gave none.
    """

    version: str
    chain_id: int
    genesis: bytes
    height: int
    head: bytes
    code_hash: bytes
    blocks: dict[int, Header]
    slots: dict[str, bytes]
    proofs: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that a check reads. A part that could not be had says why in its place.

    settled: whether the journal did not grow while the logs were read, so that it holds whatever they may know of it;
    further: of each further chain by its name, journal and chain, without logs; reading_ns: how long it took to read
    the logs, one after another, ns.
    """

    # Not in the repr: asyncio.run makes one of what it returns, and these may be hundreds of megabytes.
    logs: dict[str, LogEvidence] = field(repr=False)
    journal_head: Head | None
    journal: tuple[Step, ...] = field(repr=False)
    journal_problem: str
    chain: ChainEvidence | None
    chain_problem: str
    settled: bool = True
    further: "dict[str, Evidence]" = field(default_factory=dict, repr=False)
    reading_ns: int = 0
