"""Where values stand in OPC UA messages that are neither signed nor encrypted (OPC 10000-6, sections 5.2 and 6.7).

Written from the specification alone: a man in the middle has no use for a library that would rather be a client.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

HEAD = 8
"""Message type, chunk type and length (section 7.1.2.2)."""
MOST = 2**20
"""Bytes of a chunk; servers and clients agree on far fewer."""
BODY = 24
"""Where the body of a chunk begins when nothing is signed: head, channel, token, sequence number, request."""

_INT32 = struct.Struct("<i")
_READ_REQUEST = (0, 631)
_READ_RESPONSE = (0, 634)
_NODE_SIZES = {0: 1, 1: 3, 2: 6, 4: 18}
"""Bytes of a NodeId after its first one, for the encodings of a fixed size (section 5.2.2.9)."""
_SCALARS = {0: 0, 1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 4, 8: 8, 9: 8, 10: 4, 11: 8, 13: 8}
"""Bytes of a scalar Variant by its encoding byte, for those of a fixed size; 0 is null (section 5.2.2.16)."""

_BYTE_STRING = 15
"""Its length stands before it."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk of a MSG: which request it belongs to, whether it is the last one of its message, and its body."""

    request: int
    final: bool
    body: bytes


def chunk_length(head: bytes) -> int | None:
    """Length of the chunk that begins so, None where none does."""
    length = int.from_bytes(head[4:HEAD], "little")
    return length if head[:3].isalpha() and head[3:4] in b"FCA" and length <= MOST else None


def chunk_of(data: bytes) -> Chunk | None:
    """A whole chunk of a message; None for handshakes and channels."""
    if data[:3] != b"MSG" or len(data) < BODY:
        return None
    return Chunk(int.from_bytes(data[20:24], "little"), data[3:4] != b"C", data[BODY:])


def places_of(body: bytes, identifier: str) -> list[int]:
    """Which of the nodes that a Read request asks for have that string identifier; none in any other message."""
    wanted = identifier.encode()
    try:
        return [place for place, node in enumerate(_nodes(_Walk(body))) if node == wanted]
    except (struct.error, IndexError, KeyError):
        return []


def values_in(body: bytes) -> list[slice | None]:
    """Where the value of each result of a Read response stands, None for one without; empty for any other message.

    Only scalars of a fixed size and ByteStrings are known: a response that holds anything else is taken for another
    message. A ByteString stands without its length.
    """
    try:
        return list(_values(_Walk(body)))
    except (struct.error, IndexError, KeyError):
        return []


class _Walk:
    """A position in bytes that moves as parts are read.

    Raises IndexError or struct.error behind their end, KeyError for a NodeId of no known encoding.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def skip(self, count: int) -> None:
        if count < 0 or self.at + count > len(self._data):
            raise IndexError(count)
        self.at += count

    def byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def count(self) -> int:
        """An Int32, as it stands before arrays and strings."""
        (found,) = _INT32.unpack_from(self._data, self.at)
        self.at += _INT32.size
        return int(found)

    def string(self) -> bytes:
        size = max(0, self.count())  # -1 is the null string
        self.skip(size)
        return self._data[self.at - size : self.at]

    def node(self) -> tuple[int, int] | bytes:
        """(namespace, number), or the identifier of a node that has a string or other bytes."""
        encoding = self.byte() & 0x3F
        if encoding in (3, 5):
            self.skip(2)
            return self.string()
        start = self.at
        self.skip(_NODE_SIZES[encoding])
        raw = self._data[start : self.at]
        if encoding == 1:
            return raw[0], int.from_bytes(raw[1:], "little")
        return (0, raw[0]) if encoding == 0 else raw

    def extension(self) -> None:
        """Pass over an ExtensionObject."""
        self.node()
        if self.byte():
            self.string()


def _nodes(walk: _Walk) -> Iterator[tuple[int, int] | bytes]:
    if walk.node() != _READ_REQUEST:
        return
    walk.node()  # the session's token
    walk.skip(16)
    walk.string()
    walk.skip(4)
    walk.extension()
    walk.skip(12)  # oldest value, timestamps
    for _ in range(walk.count()):
        yield walk.node()
        walk.skip(4)
        walk.string()
        walk.skip(2)
        walk.string()


def _values(walk: _Walk) -> Iterator[slice | None]:
    if walk.node() != _READ_RESPONSE:
        return
    walk.skip(16)
    if walk.byte():
        raise KeyError("diagnostics")
    for _ in range(walk.count()):
        walk.string()
    walk.extension()
    for _ in range(walk.count()):
        mask, value = walk.byte(), None
        if mask & 0x01:
            kind = walk.byte()
            size = max(0, walk.count()) if kind == _BYTE_STRING else _SCALARS[kind]
            value = slice(walk.at, walk.at + size) if size else None
            walk.skip(size)
        walk.skip(sum(size for bit, size in ((2, 4), (4, 8), (8, 8), (16, 2), (32, 2)) if mask & bit))
        yield value
