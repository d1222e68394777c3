"""Ed25519 keys with a name (RFC 8032; C2SP signed-note, "Ed25519 signatures")."""

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature as _CryptographyInvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from testbed.core.errors import InvalidData
from testbed.keys.encoding import check_name, from_base64, to_base64

SEED_SIZE = 32
PUBLIC_SIZE = 32
SIGNATURE_SIZE = 64

_TYPE_ED25519 = b"\x01"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """Name and 32-byte public key; raises InvalidData for a bad name or length."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        if len(self.public) != PUBLIC_SIZE:
            raise InvalidData(f"public key: {len(self.public)} bytes, not {PUBLIC_SIZE}")

    @property
    def key_id(self) -> bytes:
        """SHA-256(name || 0A || type || public key), its first 4 bytes: a hint, not a commitment."""
        return hashlib.sha256(self.name.encode() + b"\n" + _TYPE_ED25519 + self.public).digest()[:4]

    def at(self, size: int) -> "VerifierKey":  # noqa: ARG002 - a protocol's signature
        """This key, at whatever size: that of a log whose key never changed (keys/log_keys.py)."""
        return self

    def verify(self, message: bytes, signature: bytes) -> bool:
        """True where `signature`, 64 bytes, is this key's over `message`."""
        if len(signature) != SIGNATURE_SIZE:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (_CryptographyInvalidSignature, ValueError):
            return False
        return True

    def encode(self) -> str:
        """As text: name+hex8(key id)+base64(type || public key)."""
        return f"{self.name}+{self.key_id.hex()}+{to_base64(_TYPE_ED25519 + self.public)}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """The key of such a text; raises InvalidData unless `encode` gives back this very text."""
        name, _, rest = text.partition("+")
        _, _, encoded = rest.partition("+")
        key = from_base64(encoded)
        if key[:1] != _TYPE_ED25519:
            raise InvalidData("verifier key: not of type Ed25519 (01)")
        verifier = cls(name, key[1:])
        if verifier.encode() != text:
            raise InvalidData("verifier key: the key id is not that of name and key")
        return verifier


class SigningKey:
    """A private key with its name. Its text form shows the name only."""

    __slots__ = ("_private", "name", "seed")

    def __init__(self, name: str, seed: bytes) -> None:
        if len(seed) != SEED_SIZE:
            raise InvalidData(f"seed: {len(seed)} bytes, not {SEED_SIZE}")
        self.name = check_name(name)
        self.seed = seed
        self._private = Ed25519PrivateKey.from_private_bytes(seed)

    @classmethod
    def from_seed(cls, name: str, seed: bytes) -> "SigningKey":
        """The key of a 32-byte seed (RFC 8032, section 5.1.5); raises InvalidData for a bad name or length."""
        return cls(name, seed)

    def __repr__(self) -> str:
        return f"SigningKey(name={self.name!r})"

    def verifier(self) -> VerifierKey:
        """The public half."""
        return VerifierKey(self.name, self._private.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """Signature, 64 bytes; the same message gives the same signature."""
        return self._private.sign(message)
