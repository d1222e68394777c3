"""What add-checkpoint is asked and answers (C2SP tlog-witness)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from testbed.core.errors import InvalidData
from testbed.keys.encoding import from_base64, to_base64

MOST_BYTES = 1 << 18
"""Of a request: 63 hashes and a checkpoint with dozens of the longest signatures that there are."""
MOST_HASHES = 63
SIZE_TYPE = "text/x.tlog.size"

_SIZE_END = 2**63
_HASH_SIZE = 32
_OLD = re.compile(rb"old (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request. old: the size that the witness cosigned last; path: hashes from there on; note: the checkpoint."""

    old: int
    path: tuple[bytes, ...]
    note: bytes

    def encode(self) -> bytes:
        lines = [f"old {self.old}\n", *(f"{to_base64(digest)}\n" for digest in self.path)]
        return "".join(lines).encode() + b"\n" + self.note


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: an HTTP status and a body."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"

    @classmethod
    def refusal(cls, status: int, why: str) -> "Answer":
        """A status with a line for people."""
        return cls(status, f"{why}\n".encode())


def parse_request(body: bytes) -> AddCheckpoint:
    """The request in a body; raises InvalidData unless `encode` gives back this very body."""
    if len(body) > MOST_BYTES:
        raise InvalidData(f"request of {len(body)} bytes, more than {MOST_BYTES}")
    head, empty, note = body.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    found = _OLD.fullmatch(first)
    if not empty or found is None or int(found[1]) >= _SIZE_END:
        raise InvalidData("request: no line of the old size, proof, empty line and checkpoint")
    if len(lines) > MOST_HASHES:
        raise InvalidData(f"request: {len(lines)} hashes, more than {MOST_HASHES}")
    return AddCheckpoint(int(found[1]), tuple(_hashes(lines)), note)


def _hashes(lines: Sequence[bytes]) -> list[bytes]:
    hashes = [from_base64(line.decode("latin-1")) for line in lines]
    if any(len(digest) != _HASH_SIZE for digest in hashes):
        raise InvalidData(f"request: a hash is not {_HASH_SIZE} bytes")
    return hashes
