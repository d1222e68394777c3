"""Signed notes (C2SP signed-note): a text, an empty line, and a line for each signature.

A signature line is U+2014, a space, the key's name, a space, base64(key id || signature). The text and the lines are
parted at the last empty line, so a text may hold empty lines of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from testbed.core.errors import InvalidData, InvalidSignature
from testbed.keys.ed25519 import SigningKey, VerifierKey
from testbed.keys.encoding import check_name, check_text, from_base64, to_base64

MAX_SIGNATURES = 100
MAX_NOTE = 1 << 20
"""Bytes of a whole note."""

_DASH = "\u2014 "
_KEY_ID_SIZE = 4


@dataclass(frozen=True, slots=True)
class Note:
    """A verified note. text: with its last newline; signers: names of the trusted keys that signed, each once."""

    text: str
    signers: tuple[str, ...]


def sign_note(text: str, *keys: SigningKey) -> bytes:
    """`text` signed by each of `keys`, in their order; raises InvalidData for a text that no note can hold."""
    if not 0 < len(keys) <= MAX_SIGNATURES:
        raise InvalidData(f"note: {len(keys)} signatures are not 1..{MAX_SIGNATURES}")
    message = check_text(text).encode()
    lines = [f"{_DASH}{key.name} {to_base64(key.verifier().key_id + key.sign(message))}\n" for key in keys]
    data = message + b"\n" + "".join(lines).encode()
    if len(data) > MAX_NOTE:
        raise InvalidData(f"note: {len(data)} bytes, more than {MAX_NOTE}")
    return data


def open_note(data: bytes, verifiers: Sequence[VerifierKey]) -> Note:
    """The note, once a trusted key is known to have signed it. Signatures by keys not in `verifiers` are ignored.

    Raises InvalidData where the bytes are not a note; InvalidSignature where a signature by a trusted key does not
    verify, or no trusted key has signed.
    """
    known: dict[tuple[str, bytes], VerifierKey] = {}
    for verifier in verifiers:
        if known.setdefault((verifier.name, verifier.key_id), verifier) != verifier:
            raise InvalidData(f"two trusted keys share the name {verifier.name!r} and a key id")
    text, lines = _split(data)
    message = text.encode()
    signers: dict[str, None] = {}
    for name, key_id, signature in map(_parse_line, lines):
        key = known.get((name, key_id))
        if key is None:
            continue
        if not key.verify(message, signature):
            raise InvalidSignature(f"note: the signature by {name!r} does not verify")
        signers[name] = None
    if not signers:
        raise InvalidSignature("note: no signature by a trusted key")
    return Note(text, tuple(signers))


def read_note(data: bytes) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """Text and signatures, each as (name, key id, signature), of a note that nobody has verified.

    Raises InvalidData where the bytes are not a note.
    """
    text, lines = _split(data)
    return text, [_parse_line(line) for line in lines]


def _split(data: bytes) -> tuple[str, list[str]]:
    """Text and signature lines, without their newlines."""
    if len(data) > MAX_NOTE:
        raise InvalidData(f"note: {len(data)} bytes, more than {MAX_NOTE}")
    try:
        whole = data.decode()
    except UnicodeDecodeError as error:
        raise InvalidData(f"note: not UTF-8: {error}") from error
    check_text(whole)
    end = whole.rfind("\n\n")
    if end < 0:
        raise InvalidData("note: no empty line before the signatures")
    # check_text has seen the last newline, so the last part of the split is empty.
    lines = whole[end + 2 :].split("\n")[:-1]
    if not 0 < len(lines) <= MAX_SIGNATURES:
        raise InvalidData(f"note: {len(lines)} signatures are not 1..{MAX_SIGNATURES}")
    return whole[: end + 1], lines


def _parse_line(line: str) -> tuple[str, bytes, bytes]:
    """Name, key id and signature of a signature line."""
    if not line.startswith(_DASH):
        raise InvalidData("note: a signature line does not begin with U+2014 and a space")
    name, _, encoded = line[len(_DASH) :].partition(" ")
    blob = from_base64(encoded)
    if len(blob) <= _KEY_ID_SIZE:
        raise InvalidData("note: a signature line without a signature")
    return check_name(name), blob[:_KEY_ID_SIZE], blob[_KEY_ID_SIZE:]
