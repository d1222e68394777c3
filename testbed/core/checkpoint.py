"""A checkpoint: how long a log was, and the root of its tree at that size (C2SP tlog-checkpoint)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """origin: the log's name; size: number of leaves; root: RFC 9162 Merkle tree hash, 32 bytes."""

    origin: str
    size: int
    root: bytes
