"""Entries: what a log's tree is built over. An entry commits to a body and shows nothing of it."""

from dataclasses import dataclass
from enum import IntEnum


class Kind(IntEnum):
    """What a record is about; the numbers stand on disk."""

    GENESIS = 0
    STATE = 1
    HEARTBEAT = 2
    TWIN = 3
    ADVISORY = 4
    COMMAND = 5
    EVENT = 6
    BEACON = 7
    RECEIPT = 8
    TOMBSTONE = 9
    TEST = 10
    PEER = 11


@dataclass(frozen=True, slots=True)
class Entry:
    """One leaf of a log.

    source: the device, twin or person that it speaks of; seq: counts per source from 0 without gaps;
    commitment: SHA-256(salt || body), 32 bytes.
    """

    kind: Kind
    source: str
    seq: int
    commitment: bytes


@dataclass(frozen=True, slots=True)
class Row:
    """A stored record: the entry's bytes (the leaf), the 16-byte salt, and the body's bytes.

    Once the body is erased, it is None and the salt is empty.
    """

    index: int
    entry: bytes
    salt: bytes
    body: bytes | None
