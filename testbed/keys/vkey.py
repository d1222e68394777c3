"""Verifier keys as text (C2SP signed-note, "Verifier keys"): name+hex8(key id)+base64(type || public key)."""

import hashlib
from dataclasses import dataclass
from typing import Final

from testbed.core.errors import InvalidData
from testbed.keys.encoding import check_name, from_base64, to_base64

ED25519: Final = b"\x01"
"""Type of a key that signs a note's text."""
COSIGNATURE: Final = b"\x04"
"""Type of an Ed25519 key that cosigns checkpoints with a time (C2SP tlog-cosignature)."""
ML_DSA_44: Final = b"\x06"
"""Type of an ML-DSA-44 key that cosigns. No signature of this type is checked here."""

_KEY_ID_SIZE = 4


@dataclass(frozen=True, slots=True)
class Vkey:
    """The three parts of such a text. type: one byte; public: the key's material, whose length is the type's."""

    name: str
    type: bytes
    public: bytes

    @property
    def key_id(self) -> bytes:
        """SHA-256(name || 0A || type || public key), its first 4 bytes: a hint, not a commitment."""
        return self.digest[:_KEY_ID_SIZE]

    @property
    def digest(self) -> bytes:
        """The whole of that hash, 32 bytes."""
        return hashlib.sha256(self.name.encode() + b"\n" + self.type + self.public).digest()

    def encode(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{to_base64(self.type + self.public)}"


def parse_vkey(text: str) -> Vkey:
    """The parts of a verifier key of any type; raises InvalidData unless `encode` gives back this very text."""
    name, _, rest = text.partition("+")
    _, _, encoded = rest.partition("+")
    data = from_base64(encoded)
    if len(data) < 2:
        raise InvalidData("verifier key: no type and key")
    key = Vkey(check_name(name), data[:1], data[1:])
    if key.encode() != text:
        raise InvalidData("verifier key: the key id is not that of name and key")
    return key
