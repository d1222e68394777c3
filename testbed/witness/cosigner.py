"""Cosigns checkpoints that only grow (C2SP tlog-witness): looked at, written down and signed under one lock.

One size of one log never gets two roots: what is cosigned is on disk before anybody sees it, and everything that is
asked later is held against it.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from testbed.core.checkpoint import Checkpoint
from testbed.core.clock import Clock
from testbed.core.errors import InvalidData, InvalidProof, InvalidSignature, StoreError
from testbed.core.failpoints import AFTER, BEFORE, reached
from testbed.keys.checkpoint import parse_checkpoint
from testbed.keys.cosignature import Cosigned, WitnessKey, cosign, open_cosigned
from testbed.keys.ed25519 import SigningKey, VerifierKey
from testbed.keys.log_keys import LogKeys, open_key_change
from testbed.keys.note import SignatureLine, split_note
from testbed.merkle.proofs import verify_consistency
from testbed.merkle.tree import EMPTY_ROOT
from testbed.witness.memory import Memory, Refused
from testbed.witness.request import SIZE_TYPE, AddCheckpoint, Answer, parse_request


@dataclass(frozen=True, slots=True)
class Newest:
    """What was cosigned last of a log. note: with the log's signature and the witness' own."""

    checkpoint: Checkpoint
    time: int
    note: bytes


class Cosigner:
    """The witness of some logs. logs: the keys that may sign for each origin; memories: its files, by origin.

    root: the key that signs changes of the logs' keys, None where they never change. Raises StoreError where a file is
    not what this witness left. May be called from any thread.
    """

    def __init__(
        self,
        key: SigningKey,
        logs: Mapping[str, LogKeys],
        memories: Mapping[str, Memory],
        clock: Clock,
        root: VerifierKey | None = None,
    ) -> None:
        self.key = WitnessKey.of(key)
        self._signing = key
        self._root = root
        self._logs = {origin: _grown(keys, memories[origin].key_changes(), root) for origin, keys in logs.items()}
        self._memories = memories
        self._clock = clock
        self._lock = threading.Lock()
        self._newest = {origin: self._load(origin) for origin in logs}

    def keys(self, origin: str) -> LogKeys:
        """The keys of a log, as far as they are known."""
        return self._logs[origin]

    def learn(self, origin: str, changes: Iterable[bytes]) -> bool:
        """Take in notes by which a log's keys changed; those that go on from what is known are kept: whether any."""
        with self._lock:
            before = self._logs[origin]
            count = len(self._memories[origin].key_changes())
            for note in changes:
                grown = _grown(self._logs[origin], [note], self._root)
                if grown != self._logs[origin]:
                    self._memories[origin].save(f"keys/{count}", note)
                    self._logs[origin], count = grown, count + 1
            return self._logs[origin] != before

    def newest(self, origin: str) -> Newest | None:
        """What was cosigned last of a log; it is on disk."""
        return self._newest[origin]

    def open(self, origin: str, note: bytes) -> Cosigned:
        """A checkpoint of one of the logs, signed by it. Raises InvalidData, InvalidSignature."""
        return open_cosigned(note, [self._logs[origin]], (), origin)

    def add_checkpoint(self, body: bytes) -> Answer:
        """Answer a request. Raises StoreError, with nothing cosigned, where it cannot be written down."""
        try:
            request = parse_request(body)
            origin = parse_checkpoint(split_note(request.note)[0]).origin
        except InvalidData as error:
            return Answer.refusal(400, str(error))
        if origin not in self._logs:
            return Answer.refusal(404, f"no such log is witnessed here: {origin[:200]}")
        try:
            checkpoint = self.open(origin, request.note).checkpoint
        except InvalidSignature as error:
            return Answer.refusal(403, str(error))
        if request.old > checkpoint.size:
            return Answer.refusal(400, f"the old size {request.old} is above {checkpoint.size}")
        with self._lock:
            newest = self._newest[origin]
            held = Checkpoint(origin, 0, EMPTY_ROOT) if newest is None else newest.checkpoint
            if request.old != held.size:
                return Answer(409, f"{held.size}\n".encode(), SIZE_TYPE)
            try:
                _check_growth(held, checkpoint, request)
            except InvalidProof as error:
                if newest is not None:
                    self._memories[origin].refuse(Refused(self._own_lines(origin, request.note), newest.note))
                return Answer.refusal(422, str(error))
            return Answer(200, self._cosign(origin, request.note, checkpoint).encode().encode())

    def cosign_grown(self, origin: str, note: bytes, roots: Mapping[int, bytes]) -> bool:
        """Cosign a checkpoint whose tree the witness has rebuilt itself, and say whether it did.

        roots: of that tree at its size, and at the size that was cosigned before. What was cosigned meanwhile, through
        add-checkpoint, is asked for again with the next checkpoint.
        """
        checkpoint = self.open(origin, note).checkpoint
        with self._lock:
            newest = self._newest[origin]
            held = Checkpoint(origin, 0, EMPTY_ROOT) if newest is None else newest.checkpoint
            known = {0: EMPTY_ROOT, **roots}
            grown = held.size <= checkpoint.size and known.get(held.size) == held.root
            if not grown or known.get(checkpoint.size) != checkpoint.root:
                return False
            self._cosign(origin, note, checkpoint)
            return True

    def refuse(self, origin: str, note: bytes, path: Sequence[bytes], ours: bytes) -> None:
        """Keep a checkpoint that the log signed and that does not go with `ours`."""
        with self._lock:
            kept = Refused(self._own_lines(origin, note), ours, tuple(path))
            self._memories[origin].refuse(kept)

    def _cosign(self, origin: str, note: bytes, checkpoint: Checkpoint) -> SignatureLine:
        """Sign and write down, under the lock."""
        newest = self._newest[origin]
        # A clock that was set back must not say that a longer log was there before a shorter one.
        time = max(self._clock.now_ns() // 10**9, 1 if newest is None else newest.time)
        text, _ = split_note(note)
        line = cosign(text, self._signing, time)
        kept = self._own_lines(origin, note) + line.encode().encode()
        reached("cosign", BEFORE, checkpoint.size)
        try:
            self._memories[origin].save("checkpoint", kept)
        except StoreError:
            # It may stand on disk all the same, so that is what counts from now on.
            self._newest[origin] = self._load(origin)
            raise
        reached("cosign", AFTER, checkpoint.size)
        self._newest[origin] = Newest(checkpoint, time, kept)
        return line

    def _own_lines(self, origin: str, note: bytes) -> bytes:
        """A note with the signatures by the log's own keys alone."""
        text, lines = split_note(note)
        key = self._logs[origin].at(parse_checkpoint(text).size)
        own = (line.encode() for line in dict.fromkeys(lines) if line.identity == (key.name, key.key_id))
        return f"{text}\n{''.join(own)}".encode()

    def _load(self, origin: str) -> Newest | None:
        memory = self._memories[origin]
        note = memory.read("checkpoint")
        if note is None:
            return None
        try:
            found = open_cosigned(note, [self._logs[origin]], [self.key], origin)
        except InvalidData as error:
            raise self._changed(memory, str(error)) from error
        if not found.cosignatures:
            raise self._changed(memory, f"it bears no cosignature by {self.key.name}")
        return Newest(found.checkpoint, found.cosignatures[0].time, note)

    @staticmethod
    def _changed(memory: Memory, what: str) -> StoreError:
        return StoreError(
            f"{memory.folder / 'checkpoint'}: not what this witness left: {what}",
            "restore the folder from a backup that is no older than its last cosignature; without one, make a new key:"
            " a witness that has forgotten what it cosigned must not go on under its name",
        )


def _grown(keys: LogKeys, changes: Iterable[bytes], root: VerifierKey | None) -> LogKeys:
    """The keys with those changes that the root key has signed and that follow from them."""
    if root is None:
        return keys
    valid = []
    for note in changes:
        with suppress(InvalidData):
            valid.append(open_key_change(note, root))
    return keys.followed_by(valid)


def _check_growth(held: Checkpoint, new: Checkpoint, request: AddCheckpoint) -> None:
    """Raises InvalidProof unless the request shows that the log only grew."""
    if new.size == 0 and new.root != EMPTY_ROOT:
        raise InvalidProof("an empty log has one root only")
    verify_consistency(held.size, held.root, new.size, new.root, request.path)
