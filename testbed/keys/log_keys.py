"""The keys of one log over its life: which one may sign a checkpoint of which size.

A log begins under one key. A change of keys stands in the log itself, signed by the old key, the new one and the
bench's root key, which is kept offline: up to the size that ends with that record the old key signs, beyond it only the
new one. So at no size two keys are valid.

The change is a signed note (C2SP signed-note) over four lines: `attestbed.key-change/v1`, the old verifier key, the new
one, and the index of the first record that only the new key may sign for, decimal. Its three signatures are those of
the old key, the new key and the root key, in this order, and no others.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from testbed.core.errors import InvalidData, InvalidSignature
from testbed.keys.ed25519 import SigningKey, VerifierKey
from testbed.keys.encoding import check_text
from testbed.keys.note import SignatureLine, sign_note, split_note

ROOT = "root"
"""Last part of the name of a bench's root key: "<bench>/root"."""

_HEADER = "attestbed.key-change/v1"
# No leading zeros, and no more digits than 2**63 has.
_DECIMAL = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_INDEX_END = 2**63


class CheckpointKeys(Protocol):
    """Whoever may sign checkpoints of the log `name`: one key, or one after another."""

    @property
    def name(self) -> str: ...

    def at(self, size: int) -> VerifierKey:
        """The key that signs a checkpoint of that size. Raises InvalidSignature where none may."""
        ...


@dataclass(frozen=True, slots=True)
class KeyChange:
    """old, new: keys of one log; first: index of the first record that only the new one may sign for.

    Raises InvalidData for keys of different names, for one key twice, and for an index that none can be.
    """

    old: VerifierKey
    new: VerifierKey
    first: int

    def __post_init__(self) -> None:
        if self.old.name != self.new.name or self.old.public == self.new.public:
            raise InvalidData("key change: not two keys of one log")
        if not 0 < self.first < _INDEX_END:
            raise InvalidData(f"key change: {self.first} is no index behind a record")

    @property
    def origin(self) -> str:
        return self.new.name


@dataclass(frozen=True, slots=True)
class Revoked:
    """What `key` signed beyond `size` records does not count."""

    key: VerifierKey
    size: int


@dataclass(frozen=True, slots=True)
class LogKeys:
    """begun: the key that a log began with; changes: in order, each from the key before it; revoked: of any of them.

    Raises InvalidData where a change does not follow from the one before it.
    """

    begun: VerifierKey
    changes: tuple[KeyChange, ...] = ()
    revoked: tuple[Revoked, ...] = ()

    def __post_init__(self) -> None:
        key, first = self.begun, 0
        for change in self.changes:
            if change.old != key or change.first <= first:
                raise InvalidData(f"the change of keys at {change.first} does not follow from those before it")
            key, first = change.new, change.first

    @property
    def name(self) -> str:
        return self.begun.name

    @property
    def newest(self) -> VerifierKey:
        return self.changes[-1].new if self.changes else self.begun

    @property
    def unrevoked(self) -> "LogKeys":
        """The same keys, as if none were revoked: who signed, whether it counts or not."""
        return LogKeys(self.begun, self.changes)

    def owner(self, size: int) -> VerifierKey:
        """The key whose turn it is at that size, revoked or not."""
        return next((change.new for change in reversed(self.changes) if change.first < size), self.begun)

    def at(self, size: int) -> VerifierKey:
        """The key that signs a checkpoint of that size. Raises InvalidSignature where it is revoked."""
        key = self.owner(size)
        limit = self.revoked_beyond(key)
        if limit is not None and size > limit:
            raise InvalidSignature(f"the key of {self.name} is revoked: what it signed beyond size {limit} is void")
        return key

    def revoked_beyond(self, key: VerifierKey) -> int | None:
        """The size beyond which nothing counts that `key` signed, None where it is not revoked."""
        return min((one.size for one in self.revoked if one.key == key), default=None)

    def followed_by(self, statements: Sequence[KeyChange]) -> "LogKeys":
        """With those of the statements that follow, one from another, from what is known so far."""
        keys = self
        while True:
            known = keys.changes[-1].first if keys.changes else 0
            due = [one for one in statements if one.old == keys.newest and one.first > known]
            if not due:
                return keys
            keys = LogKeys(keys.begun, (*keys.changes, due[0]), keys.revoked)


def key_change_text(change: KeyChange) -> str:
    """The text that the three keys sign, four lines."""
    return f"{_HEADER}\n{change.old.encode()}\n{change.new.encode()}\n{change.first}\n"


def parse_key_change(text: str) -> KeyChange:
    """The change that such a text is about. Raises InvalidData unless `key_change_text` gives back this very text."""
    lines = check_text(text)[:-1].split("\n")
    if len(lines) != 4 or lines[0] != _HEADER or not _DECIMAL.fullmatch(lines[3]):
        raise InvalidData("key change: not its four lines")
    return KeyChange(VerifierKey.parse(lines[1]), VerifierKey.parse(lines[2]), int(lines[3]))


def request_key_change(old: SigningKey, new: SigningKey, first: int) -> bytes:
    """The note under the two keys of the log, which the root key is still to sign."""
    return sign_note(key_change_text(KeyChange(old.verifier(), new.verifier(), first)), old, new)


def open_request(request: bytes) -> KeyChange:
    """The change that a request asks for. Raises InvalidSignature unless the log's two keys, and no others, signed."""
    text, signatures = split_note(request)
    change = parse_key_change(text)
    _check(text, signatures, (change.old, change.new))
    return change


def endorse(request: bytes, root: SigningKey) -> bytes:
    """The whole note: a request with the root key's signature behind it. Raises as `open_request` does."""
    change = open_request(request)
    return request + sign_note(key_change_text(change), root).rpartition(b"\n\n")[2]


def open_key_change(note: bytes, root: VerifierKey | None) -> KeyChange:
    """The change of a whole note. root: None for who does not know that key, and takes the third signature unread.

    Raises InvalidSignature unless the three signatures are there, in their order, and verify; InvalidData where it is
    no such note.
    """
    text, signatures = split_note(note)
    change = parse_key_change(text)
    if root is None:
        _check(text, signatures[:2], (change.old, change.new))
        if len(signatures) != 3:
            raise InvalidSignature("key change: the root key has not signed it")
    else:
        _check(text, signatures, (change.old, change.new, root))
    return change


def _check(text: str, signatures: Sequence[SignatureLine], keys: Sequence[VerifierKey]) -> None:
    if [one.identity for one in signatures] != [(key.name, key.key_id) for key in keys]:
        asked = "old, new and root key" if len(keys) == 3 else "old and new key"
        raise InvalidSignature(f"key change: not signed by {asked}, in this order")
    for key, one in zip(keys, signatures, strict=True):
        if not key.verify(text.encode(), one.signature):
            raise InvalidSignature(f"key change: a signature by {key.name!r} does not verify")
