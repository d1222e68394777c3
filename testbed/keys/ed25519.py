"""Ed25519 keys with a name (RFC 8032; C2SP signed-note, "Ed25519 signatures")."""

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature as _CryptographyInvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from testbed.core.errors import InvalidData
from testbed.keys.encoding import check_name
from testbed.keys.vkey import ED25519, Vkey, parse_vkey

SEED_SIZE = 32
PUBLIC_SIZE = 32
SIGNATURE_SIZE = 64


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
        return self._vkey().key_id

    def at(self, size: int) -> "VerifierKey":  # noqa: ARG002 - a protocol's signature
        """This key, at whatever size: that of a log whose key never changed (keys/log_keys.py)."""
        return self

    @property
    def device_id(self) -> bytes:
        """As `key_id`, 8 bytes: by which a device names itself in what it signs."""
        return self._vkey().digest[:8]

    def verify(self, message: bytes, signature: bytes) -> bool:
        """True where `signature`, 64 bytes, is this key's over `message`."""
        return verify_ed25519(self.public, message, signature)

    def encode(self) -> str:
        """As text: name+hex8(key id)+base64(type || public key)."""
        return self._vkey().encode()

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """The key of such a text; raises InvalidData unless `encode` gives back this very text."""
        key = parse_vkey(text)
        if key.type != ED25519:
            raise InvalidData("verifier key: not of type Ed25519 (01)")
        return cls(key.name, key.public)

    def _vkey(self) -> Vkey:
        return Vkey(self.name, ED25519, self.public)


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


def verify_ed25519(public: bytes, message: bytes, signature: bytes) -> bool:
    """True where `signature`, 64 bytes, is over `message` by the key `public`, 32 bytes (RFC 8032, section 5.1.7)."""
    if len(signature) != SIGNATURE_SIZE:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (_CryptographyInvalidSignature, ValueError):
        return False
    return True
