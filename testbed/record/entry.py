"""An entry's bytes: the leaf of a log. CBOR array [1, kind, source, seq, SHA-256(salt || body)], about 60 bytes.

| position | type | what |
|---|---|---|
| 0 | 1 | version of this layout |
| 1 | integer | kind, `core.entry.Kind` |
| 2 | text | source: the device, twin or person that the record speaks of |
| 3 | uint64 | seq: counts per source from 0 |
| 4 | 32 bytes | commitment to the body |
"""

import hashlib
import sys

from testbed.core.entry import Entry, Kind
from testbed.core.errors import InvalidData
from testbed.record import cbor

MAX_ENTRY = 65535
"""Bytes; an entry bundle has a uint16 before each entry (C2SP tlog-tiles)."""

SALT_SIZE = 16

_VERSION = 1
_KINDS = {int(kind): kind for kind in Kind}


def encode_entry(entry: Entry) -> bytes:
    """The leaf of `entry`; raises InvalidData for a field out of range or more than MAX_ENTRY bytes."""
    if not isinstance(entry.kind, Kind):
        raise InvalidData(f"entry: not a kind: {entry.kind!r}")
    _check(entry.source, entry.seq, entry.commitment)
    data = cbor.encode((_VERSION, int(entry.kind), entry.source, entry.seq, entry.commitment))
    if len(data) > MAX_ENTRY:
        raise InvalidData(f"entry: {len(data)} bytes, more than {MAX_ENTRY}")
    return data


def decode_entry(data: bytes) -> Entry:
    """The entry of a leaf; raises InvalidData unless `encode_entry` gives back these very bytes."""
    if len(data) > MAX_ENTRY:
        raise InvalidData(f"entry: {len(data)} bytes, more than {MAX_ENTRY}")
    value = cbor.decode(data)
    if not isinstance(value, list) or len(value) != 5:
        raise InvalidData("entry: not an array of 5")
    version, kind, source, seq, commitment_ = value
    if type(version) is not int or version != _VERSION:
        raise InvalidData(f"entry: version {version!r} is not known")
    if type(kind) is not int or kind not in _KINDS:
        raise InvalidData(f"entry: not a kind: {kind!r}")
    _check(source, seq, commitment_)
    # Many entries speak of few sources: who reads a whole log keeps each name once.
    return Entry(_KINDS[kind], sys.intern(source), seq, commitment_)


def commitment(salt: bytes, body: bytes) -> bytes:
    """SHA-256(salt || body), 32 bytes; `salt` is exactly 16 bytes, so that the border cannot move."""
    if len(salt) != SALT_SIZE:
        raise InvalidData(f"salt: {len(salt)} bytes, not {SALT_SIZE}")
    return hashlib.sha256(salt + body).digest()


def _check(source: object, seq: object, commitment_: object) -> None:
    if type(source) is not str:
        raise InvalidData("entry: source is not text")
    if type(seq) is not int or not 0 <= seq < 2**64:
        raise InvalidData("entry: seq is not a uint64")
    if type(commitment_) is not bytes or len(commitment_) != 32:
        raise InvalidData("entry: commitment is not 32 bytes")
