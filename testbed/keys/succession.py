"""Which log goes on for which: said and signed by the operator of the logs before.

A signed note (C2SP signed-note): `attestbed.succession/v1`, then for each log four lines: its origin, the size up to
which it is trusted, its root there in base64, and the verifier key of the log that goes on for it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from testbed.core.checkpoint import Checkpoint
from testbed.core.errors import InvalidData
from testbed.keys.ed25519 import SigningKey, VerifierKey
from testbed.keys.encoding import check_text, from_base64, to_base64
from testbed.keys.note import open_note, sign_note

_HEADER = "attestbed.succession/v1"
# No leading zeros, and no more digits than 2**63 has.
_DECIMAL = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_EACH = 4


@dataclass(frozen=True, slots=True)
class Succession:
    """before: the log up to where it is trusted; after: the key of the log that goes on for it."""

    before: Checkpoint
    after: VerifierKey


def succession_text(successions: Sequence[Succession]) -> str:
    """The text that the operator signs; raises InvalidData for what such a text cannot say."""
    lines = [_HEADER]
    for one in successions:
        lines += [one.before.origin, str(one.before.size), to_base64(one.before.root), one.after.encode()]
    text = "".join(f"{line}\n" for line in lines)
    if parse_succession(text) != tuple(successions):
        raise InvalidData("succession: an origin holds a newline")
    return text


def parse_succession(text: str) -> tuple[Succession, ...]:
    """What such a text says. Raises InvalidData unless `succession_text` gives back this very text."""
    header, *lines = check_text(text)[:-1].split("\n")
    if header != _HEADER or not lines or len(lines) % _EACH:
        raise InvalidData("succession: not its lines")
    found = []
    for origin, size, root, key in zip(*[iter(lines)] * _EACH, strict=True):
        decoded = from_base64(root)
        if not origin or not _DECIMAL.fullmatch(size) or int(size) >= 2**63 or len(decoded) != 32:
            raise InvalidData("succession: not an origin, a size and a root")
        found.append(Succession(Checkpoint(origin, int(size), decoded), VerifierKey.parse(key)))
    return tuple(found)


def sign_succession(successions: Sequence[Succession], operator: SigningKey) -> bytes:
    """The note. operator: the key of the operator's log before, which the auditor knows."""
    return sign_note(succession_text(successions), operator)


def open_succession(note: bytes, operator: VerifierKey) -> tuple[Succession, ...]:
    """What a note says that this operator signed. Raises InvalidSignature, InvalidData."""
    return parse_succession(open_note(note, [operator]).text)
