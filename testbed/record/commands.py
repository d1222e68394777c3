"""The one form in which a command stands in the operator's log: "write TAG = VALUE".

VALUE is true or false, a decimal integer, or the shortest decimal that gives back the very float (Python's repr).
"""

import math

from testbed.core.errors import InvalidData
from testbed.core.tags import Value

_VERB = "write "
_IS = " = "


def command_text(tag: str, value: Value) -> str:
    """The text of a write to `tag`. Raises InvalidData for a name that is no tag's, or a value that is no number."""
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidData(f"command: {value!r} is no number")
    text = f"{_VERB}{tag}{_IS}{_shown(value)}"
    if parse_command(text) != (tag, value):
        raise InvalidData(f"command: {tag!r} is no name of a tag")
    return text


def parse_command(text: str) -> tuple[str, Value]:
    """Tag and value; raises InvalidData unless `command_text` gives back this very text."""
    tag, separator, shown = text.removeprefix(_VERB).partition(_IS)
    if not text.startswith(_VERB) or not separator or not tag or any(char.isspace() for char in tag):
        raise InvalidData(f"command: not a write: {text[:80]!r}")
    value = _value(shown)
    if _shown(value) != shown:
        raise InvalidData(f"command: {shown[:40]!r} is no value in its one form")
    return tag, value


def _shown(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _value(text: str) -> Value:
    if text in ("true", "false"):
        return text == "true"
    for read in (int, float):
        try:
            value = read(text)
        except ValueError:
            continue
        if math.isfinite(value):
            return value
    raise InvalidData(f"command: {text[:40]!r} is no value")
