"""What signed notes are written in: canonical base64, key names, text without control bytes (C2SP signed-note)."""

import base64
import binascii
import re

from testbed.core.errors import InvalidData

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


def to_base64(data: bytes) -> str:
    """Standard base64 with padding (RFC 4648, section 4)."""
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str) -> bytes:
    """The bytes of canonical base64; raises InvalidData for other alphabets, missing padding or set padding bits."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidData(f"base64: {error}") from error
    if to_base64(data) != text:
        raise InvalidData("base64: not canonical")
    return data


def check_name(name: str) -> str:
    """A key's name: not empty, no Unicode space, no plus, no control character; raises InvalidData."""
    if not name or "+" in name or any(char.isspace() or char < " " for char in name):
        raise InvalidData(f"not a key name: {name!r}")
    to_utf8(name)
    return name


def check_text(text: str) -> str:
    """A note's text: ends in a newline and holds no other control character below U+0020; raises InvalidData."""
    if not text.endswith("\n"):
        raise InvalidData("text does not end in a newline")
    if _CONTROL.search(text):
        raise InvalidData("text holds a control character")
    to_utf8(text)
    return text


def to_utf8(text: str) -> bytes:
    """UTF-8; raises InvalidData for a lone surrogate."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidData("text is not Unicode") from error
