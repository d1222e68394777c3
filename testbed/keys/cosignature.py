"""Cosignatures v1 (C2SP tlog-cosignature): a witness says which checkpoint was, at a time, the largest it had seen.

It signs "cosignature/v1", a line with the time, and the whole text of the checkpoint. A signature line carries key id,
time (uint64, big endian, seconds since 1970) and signature. The signed message does not name the witness, so a key
must not serve two of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from testbed.core.checkpoint import Checkpoint
from testbed.core.errors import InvalidData, InvalidSignature
from testbed.keys.checkpoint import parse_checkpoint
from testbed.keys.ed25519 import PUBLIC_SIZE, SigningKey, VerifierKey, verify_ed25519
from testbed.keys.encoding import check_name
from testbed.keys.log_keys import CheckpointKeys
from testbed.keys.note import SignatureLine, by_identity, parse_line, split_note
from testbed.keys.vkey import COSIGNATURE, Vkey, parse_vkey

TIME_END = 2**63
_TIME_SIZE = 8


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """Name and 32-byte public key of a witness; raises InvalidData for a bad name or length."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        if len(self.public) != PUBLIC_SIZE:
            raise InvalidData(f"public key: {len(self.public)} bytes, not {PUBLIC_SIZE}")

    @classmethod
    def of(cls, key: SigningKey) -> "WitnessKey":
        """The public half of a key that cosigns."""
        return cls(key.name, key.verifier().public)

    @property
    def key_id(self) -> bytes:
        """SHA-256(name || 0A || 04 || public key), its first 4 bytes."""
        return self._vkey().key_id

    def encode(self) -> str:
        """As text: name+hex8(key id)+base64(04 || public key)."""
        return self._vkey().encode()

    @classmethod
    def parse(cls, text: str) -> "WitnessKey":
        """The key of such a text; raises InvalidData unless `encode` gives back this very text."""
        key = parse_vkey(text)
        if key.type != COSIGNATURE:
            raise InvalidData("witness key: not of type Ed25519 cosignature (04)")
        return cls(key.name, key.public)

    def verify(self, text: str, signature: bytes) -> int:
        """Time of a cosignature over a note's text, s since 1970. Raises InvalidSignature where it does not verify."""
        time = int.from_bytes(signature[:_TIME_SIZE], "big")
        if time >= TIME_END or not verify_ed25519(self.public, _message(text, time), signature[_TIME_SIZE:]):
            raise InvalidSignature(f"note: the cosignature by {self.name!r} does not verify")
        return time

    def _vkey(self) -> Vkey:
        return Vkey(self.name, COSIGNATURE, self.public)


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A cosignature that was verified. time: s since 1970, as the witness says."""

    witness: WitnessKey
    time: int


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A checkpoint that its log signed, and the cosignatures of it by known witnesses: one each, with its newest time.

    signer: which of the log's keys.
    """

    checkpoint: Checkpoint
    signer: VerifierKey
    cosignatures: tuple[Cosignature, ...]

    @property
    def witnesses(self) -> frozenset[WitnessKey]:
        return frozenset(one.witness for one in self.cosignatures)


def cosign(text: str, key: SigningKey, time: int) -> SignatureLine:
    """The signature line of a cosignature. text: of a checkpoint; time: s since 1970, not 0.

    Raises InvalidData for what is no checkpoint, and for times that no cosignature can say.
    """
    parse_checkpoint(text)
    if not 0 < time < TIME_END:
        raise InvalidData(f"cosignature: time {time} is not 1..2**63 - 1")
    signature = time.to_bytes(_TIME_SIZE, "big") + key.sign(_message(text, time))
    return SignatureLine(key.name, WitnessKey.of(key).key_id, signature)


def open_cosigned(note: bytes, log: Sequence[CheckpointKeys], witnesses: Iterable[WitnessKey], origin: str) -> Cosigned:
    """The checkpoint of `origin` that one of `log` signed, as valid at its size, with the cosignatures by `witnesses`.

    Lines by other keys are ignored. Raises InvalidSignature where no key of the log has signed, or a line of a known
    name and key id does not verify, the log's or a witness'; InvalidData where the note is no checkpoint of `origin`.
    """
    text, lines = split_note(note)
    checkpoint = parse_checkpoint(text)
    # Which key is asked for follows from a size that nobody has verified yet; a false one asks for a false key.
    signers, cosigners = by_identity([keys.at(checkpoint.size) for keys in log]), by_identity(witnesses)
    message = text.encode()
    signer: VerifierKey | None = None
    times: dict[WitnessKey, int] = {}
    for line in lines:
        key, witness = signers.get(line.identity), cosigners.get(line.identity)
        if key is not None:
            if not key.verify(message, line.signature):
                raise InvalidSignature(f"note: the signature by {key.name!r} does not verify")
            signer = signer or key
        if witness is not None:
            times[witness] = max(witness.verify(text, line.signature), times.get(witness, 0))
    if signer is None:
        raise InvalidSignature("note: no signature by a trusted key of the log")
    if checkpoint.origin != origin:
        raise InvalidData(f"checkpoint: of {checkpoint.origin!r}, not of {origin!r}")
    return Cosigned(checkpoint, signer, tuple(Cosignature(witness, time) for witness, time in times.items()))


def parse_lines(data: bytes) -> list[SignatureLine]:
    """What a witness answers to add-checkpoint: one signature line or more. Raises InvalidData; verifies nothing."""
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError as error:
        raise InvalidData(f"cosignatures: not UTF-8: {error}") from error
    if len(lines) < 2 or lines[-1]:
        raise InvalidData("cosignatures: no lines that end in a newline")
    return [parse_line(line) for line in lines[:-1]]


def _message(text: str, time: int) -> bytes:
    """What is signed (C2SP tlog-cosignature, "Ed25519 signed message")."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()
