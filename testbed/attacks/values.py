"""Another value of a tag: what a liar says instead, and what a stranger writes."""

from testbed.core.tags import Tag, Value
from testbed.fieldbus.registers import decode, encode


def another(tag: Tag, raw: bytes) -> bytes:
    """Raw bytes of another value of the tag: the opposite, or one more, or one less where one more leaves its range."""
    return encode(tag, another_value(tag, decode(tag, raw)))


def another_value(tag: Tag, value: Value) -> Value:
    """As `another`, of the value itself."""
    if isinstance(value, bool):
        return not value
    return type(value)(value + 1 if value + 1 <= tag.high else value - 1)
