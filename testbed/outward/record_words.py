"""What a record says, in lines for a person."""

from collections.abc import Sequence
from dataclasses import fields

from testbed.core.bodies import Body, LeafRef, State
from testbed.core.errors import InvalidData
from testbed.core.tags import Tag
from testbed.fieldbus.registers import decode


def body_lines(body: Body, tags: Sequence[Tag]) -> list[str]:
    """A line for each field; of a state one for each tag, with its unit, where `tags` is the list that it follows."""
    if isinstance(body, State) and len(body.values) == len(tags) > 0:
        head = f"boot {body.boot}, scan {body.scan}, received {body.receive_time_ns} ns"
        return [head, *map(_value, tags, body.values)]
    return [f"{field.name} = {_shown(getattr(body, field.name))}" for field in fields(body)]


def _value(tag: Tag, raw: bytes | None) -> str:
    try:
        value = "nothing" if raw is None else decode(tag, raw)
    except InvalidData:
        value = f"{_shown(raw)}, which is no {tag.type.value}"
    return f"{tag.name} = {value} {tag.unit}".rstrip()


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex() if len(value) <= 64 else f"{value[:16].hex()}... ({len(value)} bytes)"
    if isinstance(value, LeafRef):
        return f"{value.origin} {value.index} {value.leaf_hash.hex()}"
    if isinstance(value, tuple):
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    return str(value)
