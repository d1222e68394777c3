"""Trust policies (C2SP tlog-policy): which logs, which witnesses, and how many of them make a quorum.

A policy is a file of octets. Names and URLs are opaque: octets that are no UTF-8 are kept as lone surrogates, so each
name comes back as it was.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from testbed.core.errors import InvalidData, InvalidSignature
from testbed.keys.cosignature import Cosigned, WitnessKey, open_cosigned
from testbed.keys.ed25519 import VerifierKey
from testbed.keys.note import split_note
from testbed.keys.vkey import ML_DSA_44, Vkey, parse_vkey

MOST = 1 << 20
"""Bytes of a policy."""
MAX_LINES = 1000

NONE = "none"
"""The quorum that needs no cosignature."""

_ALLOWED = re.compile(rb"[\t\n\x20-\x7e\x80-\xff]*")
_BLANKS = re.compile(r"[ \t]+")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_ML_DSA_44_SIZE = 1312


@dataclass(frozen=True, slots=True)
class PolicyLog:
    """key: named as the log's origin; a Vkey of type 06 is one whose signatures are not checked here; url: or ""."""

    key: VerifierKey | Vkey
    url: str = ""


@dataclass(frozen=True, slots=True)
class PolicyWitness:
    """name: within the policy only; key: a Vkey of type 06 is one whose cosignatures never count here; url: or ""."""

    name: str
    key: WitnessKey | Vkey
    url: str = ""


@dataclass(frozen=True, slots=True)
class PolicyGroup:
    """At least `needed` of `members`, names of witnesses and groups, have cosigned."""

    name: str
    needed: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy; groups stand behind what they name. quorum: a witness, a group, or NONE."""

    logs: tuple[PolicyLog, ...]
    witnesses: tuple[PolicyWitness, ...]
    groups: tuple[PolicyGroup, ...]
    quorum: str

    @classmethod
    def majority(cls, logs: Sequence[VerifierKey], witnesses: Sequence[WitnessKey]) -> "Policy":
        """More than half of `witnesses`; without witnesses none. Raises InvalidData for a key that stands twice."""
        members = tuple(PolicyWitness(f"w{number}", key) for number, key in enumerate(witnesses, 1))
        groups: tuple[PolicyGroup, ...] = ()
        if members:
            groups = (PolicyGroup("majority", len(members) // 2 + 1, tuple(member.name for member in members)),)
        policy = cls(tuple(map(PolicyLog, logs)), members, groups, "majority" if members else NONE)
        parse_policy(policy.render())
        return policy

    def satisfied(self, cosigners: Collection[WitnessKey]) -> bool:
        """Whether cosignatures by these witnesses are a quorum."""
        known = {NONE: True}
        for witness in self.witnesses:
            known[witness.name] = witness.key in cosigners
        for group in self.groups:
            known[group.name] = sum(known[member] for member in group.members) >= group.needed
        return known[self.quorum]

    def open(self, note: bytes) -> Cosigned:
        """A checkpoint that one of the logs signed and a quorum of the witnesses cosigned.

        Raises InvalidSignature where either is missing, or a known key's signature fails; InvalidData for no note.
        """
        origin = split_note(note)[0].partition("\n")[0]
        keys = [log.key for log in self.logs if isinstance(log.key, VerifierKey) and log.key.name == origin]
        witnesses = [witness.key for witness in self.witnesses if isinstance(witness.key, WitnessKey)]
        cosigned = open_cosigned(note, keys, witnesses, origin)
        if not self.satisfied(cosigned.witnesses):
            raise InvalidSignature(f"checkpoint of {origin!r}: its cosignatures are no quorum")
        return cosigned

    def render(self) -> bytes:
        """The policy as a file; `parse_policy` of it gives this policy. Raises InvalidData for what no file can say."""
        lines = [_line("log", log.key.encode(), log.url) for log in self.logs]
        lines += [_line("witness", one.name, one.key.encode(), one.url) for one in self.witnesses]
        lines += [_line("group", group.name, str(group.needed), *group.members) for group in self.groups]
        lines.append(_line("quorum", self.quorum))
        try:
            data = "".join(lines).encode(errors="surrogateescape")
        except UnicodeEncodeError as error:
            raise InvalidData("policy: a name or URL is not Unicode") from error
        if parse_policy(data) != self:
            raise InvalidData("policy: a name or URL holds a blank")
        return data


def parse_policy(data: bytes) -> Policy:
    """The policy of a file. Raises InvalidData, which names the line, for what C2SP tlog-policy does not allow."""
    if len(data) > MOST:
        raise InvalidData(f"policy: {len(data)} bytes, more than {MOST}")
    if data and not data.endswith(b"\n"):
        raise InvalidData("policy: does not end in a newline")
    if not _ALLOWED.fullmatch(data):
        raise InvalidData("policy: holds a control character")
    lines = data.decode(errors="surrogateescape").split("\n")[:-1]
    if len(lines) > MAX_LINES:
        raise InvalidData(f"policy: {len(lines)} lines, more than {MAX_LINES}")
    reader = _Reader()
    for number, line in enumerate(lines, 1):
        words = [word for word in _BLANKS.split(line) if word]
        if not words or words[0].startswith("#"):
            continue
        try:
            reader.take(words)
        except InvalidData as error:
            raise InvalidData(f"policy: line {number}: {error}") from error
    if reader.quorum is None:
        raise InvalidData("policy: no quorum line")
    return Policy(tuple(reader.logs), tuple(reader.witnesses), tuple(reader.groups), reader.quorum)


class _Reader:
    """What was read so far."""

    def __init__(self) -> None:
        self.logs: list[PolicyLog] = []
        self.witnesses: list[PolicyWitness] = []
        self.groups: list[PolicyGroup] = []
        self.quorum: str | None = None
        self._names: set[str] = set()
        self._members: set[str] = set()
        self._keys: set[tuple[str, bytes]] = set()

    def take(self, words: Sequence[str]) -> None:
        match words:
            case ["log", key] | ["log", key, _]:
                self.logs.append(PolicyLog(self._log_key(key), "".join(words[2:])))
            case ["witness", name, key] | ["witness", name, key, _]:
                self.witnesses.append(PolicyWitness(self._new(name), self._witness_key(key), "".join(words[3:])))
            case ["group", name, needed, *members] if members:
                group = PolicyGroup(name, _needed(needed, len(members)), tuple(map(self._member, members)))
                self._new(name)
                self.groups.append(group)
            case ["quorum", name]:
                self._quorum(name)
            case _:
                raise InvalidData(f"not a line of a policy: {' '.join(words)[:60]!r}")

    def _new(self, name: str) -> str:
        if name == NONE or name in self._names:
            raise InvalidData(f"{name!r} is defined already")
        self._names.add(name)
        return name

    def _member(self, name: str) -> str:
        if name not in self._names:
            raise InvalidData(f"no line before defines {name!r}")
        if name in self._members:
            raise InvalidData(f"{name!r} is a member already")
        self._members.add(name)
        return name

    def _quorum(self, name: str) -> None:
        if self.quorum is not None:
            raise InvalidData("a second quorum")
        if name != NONE and name not in self._names:
            raise InvalidData(f"no line before defines {name!r}")
        self.quorum = name

    def _log_key(self, text: str) -> VerifierKey | Vkey:
        return _foreign(self._once("log", text)) or VerifierKey.parse(text)

    def _witness_key(self, text: str) -> WitnessKey | Vkey:
        return _foreign(self._once("witness", text)) or WitnessKey.parse(text)

    def _once(self, what: str, text: str) -> str:
        """Two keys are the same where the public key is, whatever their names."""
        key = (what, parse_vkey(text).public)
        if key in self._keys:
            raise InvalidData(f"this {what}'s key stands on a line before")
        self._keys.add(key)
        return text


def _foreign(text: str) -> Vkey | None:
    """A key of the type that the specification prefers and that is not checked here, None for others."""
    key = parse_vkey(text)
    if key.type != ML_DSA_44:
        return None
    if len(key.public) != _ML_DSA_44_SIZE:
        raise InvalidData(f"an ML-DSA-44 key of {len(key.public)} bytes, not {_ML_DSA_44_SIZE}")
    return key


def _needed(text: str, members: int) -> int:
    if text in ("any", "all"):
        return 1 if text == "any" else members
    if not _NUMBER.fullmatch(text) or int(text) > members:
        raise InvalidData(f"{text[:20]!r} is not any, all, or a number from 1 to {members}")
    return int(text)


def _line(*words: str) -> str:
    return " ".join(word for word in words if word) + "\n"
