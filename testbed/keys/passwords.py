"""Passwords as they are kept: hashed by scrypt (RFC 7914), slow and large on purpose, each under a salt of its own.

A line reads `scrypt:14:8:5:<salt>:<hash>`: log2 of N, r, p, and both in base64. 16 MiB and a fifth of a second each.
"""

import base64
import binascii
import unicodedata

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from testbed.core.entropy import Entropy, SystemEntropy
from testbed.core.errors import InvalidData, UsageError

LEAST = 10
"""Characters of a new password."""
MOST = 128
"""Bytes of a password, UTF-8: what fits into one encrypted block of OPC UA."""

_LOG_N, _R, _P = 14, 8, 5
_SALT_SIZE, _HASH_SIZE = 16, 32
_COMMON = frozenset({"password", "passwort", "administrator", "attestbed", "qwertyuiop"})


def hash_password(password: str, entropy: Entropy | None = None) -> str:
    """The line to keep of a new password. Raises UsageError for one that is short, long, or that everybody tries."""
    plain = _bytes(password)
    if len(password) < LEAST or len(plain) > MOST:
        raise UsageError(f"a password of {len(password)} characters", f"take {LEAST} to {MOST}")
    if password.isdigit() or password.lower().rstrip("0123456789!") in _COMMON or len(set(password)) < 4:
        raise UsageError("a password that everybody tries", "take four random words, or let a password manager make it")
    salt = (entropy or SystemEntropy()).take(_SALT_SIZE)
    return ":".join(("scrypt", f"{_LOG_N}:{_R}:{_P}", _text(salt), _text(_scrypt(salt).derive(plain))))


def check_password(kept: str, password: str) -> bool:
    """Whether `password` is the one that `kept` was made of; takes as long for a wrong one.

    Raises InvalidData where `kept` is no line of `hash_password`.
    """
    try:
        kind, *numbers, salt, digest = kept.split(":")
        if kind != "scrypt" or numbers != [str(_LOG_N), str(_R), str(_P)]:
            raise InvalidData("a password hash of another kind")
        raw, expected = (base64.b64decode(part, validate=True) for part in (salt, digest))
    except (ValueError, binascii.Error) as error:
        raise InvalidData("no password hash") from error
    if (len(raw), len(expected)) != (_SALT_SIZE, _HASH_SIZE):
        raise InvalidData("no password hash")
    plain = _bytes(password)
    try:
        _scrypt(raw).verify(plain[:MOST], expected)
    except InvalidKey:
        return False
    return len(plain) <= MOST


def _scrypt(salt: bytes) -> Scrypt:
    return Scrypt(salt=salt, length=_HASH_SIZE, n=2**_LOG_N, r=_R, p=_P)


def _bytes(password: str) -> bytes:
    """One keyboard writes an umlaut as one character, another as two."""
    return unicodedata.normalize("NFC", password).encode()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
