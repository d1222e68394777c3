"""Records of an evidence file, opened: whose log, at which place, what it says. Each proves itself, or is refused."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from testbed.core.bodies import Body
from testbed.core.checkpoint import Checkpoint
from testbed.core.entry import Entry
from testbed.core.errors import InvalidData, InvalidProof, InvalidSignature
from testbed.core.finding import Finding, Layer, What
from testbed.keys.cosignature import Cosignature, Cosigned, open_cosigned
from testbed.keys.ed25519 import VerifierKey
from testbed.keys.evidence_file import ProvedRecord
from testbed.keys.log_keys import LogKeys
from testbed.keys.tlog_proof import TlogProof, claimed_checkpoint
from testbed.merkle.proofs import verify_inclusion
from testbed.merkle.tree import leaf_hash
from testbed.record.bodies import decode_body
from testbed.record.entry import commitment, decode_entry
from testbed.verify.key_changes import valid_changes
from testbed.verify.trust import Trust, TrustedLog


@dataclass(frozen=True, slots=True)
class OpenedRecord:
    """A record that is in a log, by a trusted key's word. body, data, salt: None once the body is erased.

    checkpoint: the one that it was proved under; cosignatures: by trusted witnesses; signer: the log's key.
    """

    origin: str
    index: int
    entry: Entry
    entry_data: bytes
    leaf: bytes
    body: Body | None
    data: bytes | None
    salt: bytes | None
    checkpoint: Checkpoint
    signer: VerifierKey
    cosignatures: tuple[Cosignature, ...]


@dataclass(slots=True)
class Opener:
    """Opens checkpoints and records with the keys that an auditor trusts; no checkpoint is verified twice.

    key_changes: notes, each of which counts where the old, the new and the trusted root key have signed it.
    """

    trust: Trust
    key_changes: Sequence[bytes] = ()
    _notes: dict[bytes, Cosigned] = field(default_factory=dict)
    _keys: dict[str, LogKeys] = field(default_factory=dict)

    def log(self, origin: str) -> TrustedLog:
        """What is trusted of that log; raises InvalidSignature where nothing is."""
        found = next((log for log in self.trust.logs if log.origin == origin), None)
        if found is None:
            raise InvalidSignature(f"the trust file names no log {origin!r}")
        return found

    def keys(self, origin: str) -> LogKeys:
        """The keys of that log over its life; raises InvalidSignature where nothing is trusted of it."""
        if origin not in self._keys:
            root = self.trust.root
            begun = LogKeys(self.log(origin).key, revoked=self.trust.revoked)
            changes = [] if root is None else valid_changes(self.key_changes, root)
            self._keys[origin] = begun.followed_by(changes)
        return self._keys[origin]

    def checkpoint(self, note: bytes, origin: str) -> Cosigned:
        """A checkpoint of `origin`; raises InvalidSignature unless the key of that log signed it that counts there."""
        if note not in self._notes:
            key = self.keys(origin).at(claimed_checkpoint(note).size)
            self._notes[note] = open_cosigned(note, [key], [one.key for one in self.trust.witnesses], origin)
        found = self._notes[note]
        if found.checkpoint.origin != origin:
            raise InvalidData(f"checkpoint: of {found.checkpoint.origin!r}, not of {origin!r}")
        return found

    def record(self, record: ProvedRecord) -> OpenedRecord:
        """A record at the place that its proof names; raises InvalidData, InvalidProof or InvalidSignature."""
        found = self._proved(record.entry, record.proof)
        entry = decode_entry(record.entry)
        body: Body | None = None
        if record.body is not None and record.salt is not None:
            if commitment(record.salt, record.body) != entry.commitment:
                raise InvalidProof("its body does not open its commitment")
            body = decode_body(entry.kind, record.body)
        return OpenedRecord(
            found.checkpoint.origin,
            record.proof.index,
            entry,
            record.entry,
            leaf_hash(record.entry),
            body,
            record.body,
            record.salt,
            found.checkpoint,
            found.signer,
            found.cosignatures,
        )

    def _proved(self, entry: bytes, proof: TlogProof) -> Cosigned:
        """The checkpoint under which an entry stands at the index of its proof."""
        found = self.checkpoint(proof.checkpoint, claimed_checkpoint(proof.checkpoint).origin)
        verify_inclusion(leaf_hash(entry), proof.index, found.checkpoint.size, proof.path, found.checkpoint.root)
        return found


def refusal(where: str, origin: str, index: int | None, error: InvalidData) -> Finding:
    """The finding of a part that was refused: no trusted signature, or something else that does not hold."""
    if isinstance(error, InvalidSignature):
        return Finding(What.WRONG_KEY, Layer.IDENTITY, where, str(error), origin=origin, index=index)
    return Finding(What.ALTERED, Layer.EVIDENCE, where, str(error), origin=origin, index=index)
