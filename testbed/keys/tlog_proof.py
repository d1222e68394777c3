"""Proofs that a record stands in a log, as text (C2SP tlog-proof): index, inclusion path and checkpoint.

    c2sp.org/tlog-proof@v1
    extra <base64>           may be missing; nobody has signed it
    index <number>
    <base64 of a hash>       for each of the path, from the leaf's sibling up to the root's child

    <checkpoint>             a signed note, verbatim, with cosignatures

Who reads one has verified nothing yet: `merkle.proofs` checks the path, `keys.cosignature` the signatures.
"""

import re
from dataclasses import dataclass

from testbed.core.checkpoint import Checkpoint
from testbed.core.errors import InvalidData
from testbed.keys.checkpoint import parse_checkpoint
from testbed.keys.encoding import from_base64, to_base64
from testbed.keys.note import MAX_NOTE, split_note

MAX_PATH = 64
"""Hashes; no tree that a uint64 can count has a longer path."""
MAX_PROOF = 2 * MAX_NOTE
"""Bytes of a whole proof."""

_HEADER = "c2sp.org/tlog-proof@v1"
_HASH_SIZE = 32
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_INDEX_END = 2**63


@dataclass(frozen=True, slots=True)
class TlogProof:
    """One proof. index: of the leaf, from 0; path: hashes of 32 bytes; checkpoint: signed note; extra: not signed."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    @property
    def claimed(self) -> Checkpoint:
        """The checkpoint as it stands in the proof, whoever signed it; raises InvalidData where it is none."""
        return claimed_checkpoint(self.checkpoint)


def encode_tlog_proof(proof: TlogProof) -> bytes:
    """The text of a proof; raises InvalidData for what no proof can say."""
    if not 0 <= proof.index < _INDEX_END:
        raise InvalidData(f"tlog-proof: index {proof.index} is not 0..2**63 - 1")
    if len(proof.path) > MAX_PATH or any(len(node) != _HASH_SIZE for node in proof.path):
        raise InvalidData(f"tlog-proof: the path is not up to {MAX_PATH} hashes of {_HASH_SIZE} bytes")
    if proof.extra == b"":
        raise InvalidData("tlog-proof: extra data of no bytes")
    claimed_checkpoint(proof.checkpoint)
    extra = [] if proof.extra is None else [f"extra {to_base64(proof.extra)}"]
    lines = [_HEADER, *extra, f"index {proof.index}", *map(to_base64, proof.path), ""]
    data = "".join(f"{line}\n" for line in lines).encode() + proof.checkpoint
    if len(data) > MAX_PROOF:
        raise InvalidData(f"tlog-proof: {len(data)} bytes, more than {MAX_PROOF}")
    return data


def parse_tlog_proof(data: bytes) -> TlogProof:
    """The proof of such a text; raises InvalidData unless `encode_tlog_proof` gives back these very bytes."""
    if len(data) > MAX_PROOF:
        raise InvalidData(f"tlog-proof: {len(data)} bytes, more than {MAX_PROOF}")
    head, parted, checkpoint = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise InvalidData("tlog-proof: not ASCII above its checkpoint") from error
    if lines[0] != _HEADER:
        raise InvalidData(f"tlog-proof: the first line is not {_HEADER}")
    if not parted:
        raise InvalidData("tlog-proof: no empty line before a checkpoint")
    rest = lines[1:]
    extra = None
    if rest and rest[0].startswith("extra "):
        extra = from_base64(rest.pop(0).removeprefix("extra "))
    number = rest.pop(0).removeprefix("index ") if rest and rest[0].startswith("index ") else ""
    if not _DECIMAL.fullmatch(number):
        raise InvalidData("tlog-proof: no line with an index")
    proof = TlogProof(int(number), tuple(map(from_base64, rest)), checkpoint, extra)
    if encode_tlog_proof(proof) != data:
        raise InvalidData("tlog-proof: not the one way to write what it says")
    return proof


def claimed_checkpoint(note: bytes) -> Checkpoint:
    """The checkpoint of a note, whoever signed it; raises InvalidData where the bytes are no checkpoint."""
    return parse_checkpoint(split_note(note)[0])
