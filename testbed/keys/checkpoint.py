"""Checkpoints as signed notes (C2SP tlog-checkpoint): origin, size and root of a log, one line each."""

import re

from testbed.core.checkpoint import Checkpoint
from testbed.core.errors import InvalidData
from testbed.keys.ed25519 import SigningKey, VerifierKey
from testbed.keys.encoding import check_text, from_base64, to_base64
from testbed.keys.log_keys import CheckpointKeys
from testbed.keys.note import open_note, sign_note, split_note

_SIZE_END = 2**63
_ROOT_SIZE = 32
# No leading zeros, and no more digits than 2**63 has.
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


def checkpoint_text(checkpoint: Checkpoint) -> str:
    """The note text of a checkpoint, three lines; raises InvalidData for what such a text cannot say."""
    text = f"{checkpoint.origin}\n{checkpoint.size}\n{to_base64(checkpoint.root)}\n"
    if parse_checkpoint(text) != checkpoint:
        raise InvalidData("checkpoint: the origin holds a newline")
    return text


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint of a note text. Extension lines may follow and are not kept; they must not be empty.

    Raises InvalidData for an empty line, a size with leading zeros or not below 2**63, a root that is not the
    canonical base64 of 32 bytes. Says nothing about who signed.
    """
    lines = check_text(text)[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise InvalidData("checkpoint: not three or more lines, none of them empty")
    origin, size, root = lines[:3]
    if not _DECIMAL.fullmatch(size) or int(size) >= _SIZE_END:
        raise InvalidData(f"checkpoint: not a size: {size[:40]!r}")
    decoded = from_base64(root)
    if len(decoded) != _ROOT_SIZE:
        raise InvalidData(f"checkpoint: root of {len(decoded)} bytes, not {_ROOT_SIZE}")
    return Checkpoint(origin, int(size), decoded)


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey) -> bytes:
    """The signed note of a checkpoint. The key's name should be the origin; a witness' key may have another."""
    return sign_note(checkpoint_text(checkpoint), key)


def open_checkpoint(note: bytes, keys: CheckpointKeys, origin: str) -> Checkpoint:
    """The checkpoint of `origin` in a note that the key signed which is valid at its size.

    Further signatures are ignored. Raises InvalidSignature where the signature is missing or fails, InvalidData where
    the note is no checkpoint, or one of another log.
    """
    # Which key is asked for follows from a size that nobody has verified yet; a false one asks for a false key.
    verifier = keys if isinstance(keys, VerifierKey) else keys.at(parse_checkpoint(split_note(note)[0]).size)
    checkpoint = parse_checkpoint(open_note(note, [verifier]).text)
    if checkpoint.origin != origin:
        raise InvalidData(f"checkpoint: of {checkpoint.origin!r}, not of {origin!r}")
    return checkpoint
