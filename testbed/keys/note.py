"""Signed notes (C2SP signed-note): a text, an empty line, and a line for each signature.

A signature line is U+2014, a space, the key's name, a space, base64(key id || signature). The text and the lines are
parted at the last empty line, so a text may hold empty lines of its own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

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


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """What a signature line holds. key_id: 4 bytes; signature: as its type has it, not empty."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def identity(self) -> tuple[str, bytes]:
        """Name and key id, which say together whose signature of which type it is."""
        return self.name, self.key_id

    def encode(self) -> str:
        """The line with its newline."""
        return f"{_DASH}{self.name} {to_base64(self.key_id + self.signature)}\n"


class Named(Protocol):
    """What all verifier keys have."""

    @property
    def name(self) -> str: ...
    @property
    def key_id(self) -> bytes: ...


Key = TypeVar("Key", bound=Named)


def sign_note(text: str, *keys: SigningKey) -> bytes:
    """`text` signed by each of `keys`, in their order; raises InvalidData for a text that no note can hold."""
    if not 0 < len(keys) <= MAX_SIGNATURES:
        raise InvalidData(f"note: {len(keys)} signatures are not 1..{MAX_SIGNATURES}")
    message = check_text(text).encode()
    lines = [SignatureLine(key.name, key.verifier().key_id, key.sign(message)).encode() for key in keys]
    data = message + b"\n" + "".join(lines).encode()
    if len(data) > MAX_NOTE:
        raise InvalidData(f"note: {len(data)} bytes, more than {MAX_NOTE}")
    return data


def open_note(data: bytes, verifiers: Sequence[VerifierKey]) -> Note:
    """The note, once a trusted key is known to have signed it. Signatures by keys not in `verifiers` are ignored.

    Raises InvalidData where the bytes are not a note; InvalidSignature where a signature by a trusted key does not
    verify, or no trusted key has signed.
    """
    known = by_identity(verifiers)
    text, lines = split_note(data)
    message = text.encode()
    signers: dict[str, None] = {}
    for line in lines:
        key = known.get(line.identity)
        if key is None:
            continue
        if not key.verify(message, line.signature):
            raise InvalidSignature(f"note: the signature by {key.name!r} does not verify")
        signers[key.name] = None
    if not signers:
        raise InvalidSignature("note: no signature by a trusted key")
    return Note(text, tuple(signers))


def by_identity(keys: Iterable[Key]) -> dict[tuple[str, bytes], Key]:
    """Trusted keys by what a signature line shows of them; raises InvalidData where two show the same."""
    known: dict[tuple[str, bytes], Key] = {}
    for key in keys:
        if known.setdefault((key.name, key.key_id), key) != key:
            raise InvalidData(f"two trusted keys share the name {key.name!r} and a key id")
    return known


def split_note(data: bytes) -> tuple[str, list[SignatureLine]]:
    """Text and signature lines of a note, of which nothing is verified; raises InvalidData for what is no note."""
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
    return whole[: end + 1], [parse_line(line) for line in lines]


def parse_line(line: str) -> SignatureLine:
    """A signature line without its newline; raises InvalidData unless `encode` gives back this very line."""
    if not line.startswith(_DASH):
        raise InvalidData("note: a signature line does not begin with U+2014 and a space")
    name, _, encoded = line[len(_DASH) :].partition(" ")
    blob = from_base64(encoded)
    if len(blob) <= _KEY_ID_SIZE:
        raise InvalidData("note: a signature line without a signature")
    return SignatureLine(check_name(name), blob[:_KEY_ID_SIZE], blob[_KEY_ID_SIZE:])


def add_lines(data: bytes, lines: Iterable[SignatureLine]) -> bytes:
    """A note with further signature lines at its end; those that it has already are not added again.

    Raises InvalidData for what is no note, or would be none with so many lines. Verifies nothing.
    """
    _, found = split_note(data)
    added = [line for line in dict.fromkeys(lines) if line not in found]
    longer = data + "".join(line.encode() for line in added).encode()
    split_note(longer)
    return longer
