"""Entries put together from parts, for those who write or check many: the bytes of `encode_entry`, without encoding.

An entry is `KIND_HEADS[kind] || source_part(source) || seq_part(seq) || commitment`.
"""

import struct

from testbed.core.entry import Kind
from testbed.core.errors import InvalidData
from testbed.record import cbor
from testbed.record.entry import MAX_ENTRY

COMMITMENT_SIZE = 32
KIND_HEADS = {kind: bytes((0x85, 0x01, kind)) for kind in Kind}
"""An array of five, the version, the kind: a byte each."""
HEAD_SIZE = 3
SEQ_END = 2**64
"""What `seq_part` has no bytes for."""

_MOST = MAX_ENTRY - HEAD_SIZE - 9 - 2 - COMMITMENT_SIZE
_UINT16, _UINT32, _UINT64 = (struct.Struct(f">B{size}2s").pack for size in "HIQ")
_BYTES_32 = b"\x58\x20"
"""A byte string of 32."""


def source_part(source: str) -> bytes:
    """The source as text; raises InvalidData where the whole would be longer than an entry may be."""
    data = cbor.encode(source)
    if len(data) > _MOST:
        raise InvalidData(f"entry: a source of {len(data)} bytes, more than {_MOST}")
    return data


def seq_part(seq: int) -> bytes:
    """0 <= seq < SEQ_END as the shortest unsigned integer (RFC 8949, section 4.2.1), and the head of the commitment."""
    if seq < 24:
        return bytes((seq,)) + _BYTES_32
    if seq < 1 << 8:
        return bytes((0x18, seq)) + _BYTES_32
    if seq < 1 << 16:
        return _UINT16(0x19, seq, _BYTES_32)
    return _UINT32(0x1A, seq, _BYTES_32) if seq < 1 << 32 else _UINT64(0x1B, seq, _BYTES_32)


def peek_kind(data: bytes) -> int:
    """The kind that stands in a leaf, unchecked; -1 where it does not begin as a leaf does."""
    return data[2] if data[:2] == KIND_HEADS[Kind.GENESIS][:2] and len(data) >= HEAD_SIZE else -1
