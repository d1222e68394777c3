"""A drafted PLC as the text of a bench file: it loads as it stands, and says what a person should look at first."""

import json
import re
from collections.abc import Iterator

from testbed.core.tags import ByteOrder, DataType, ModbusAddress
from testbed.outward.draft import Draft, DraftTag, range_of

_FASTEST_MS, _SLOWEST_MS = 1, 60_000
_PERIOD_MS = 1000
_MOST_EVERY = 100_000


def bench_text(draft: Draft, name: str, source: str) -> str:
    """name: of the bench, any text; source: what it was made of, for its first line."""
    return "\n".join([*_head(draft, slug(name), source), *_tags(draft)]) + "\n"


def slug(name: str) -> str:
    """A name as benches have them: lower-case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-") or "imported"


def period_ms(draft: Draft) -> int:
    """How often the tags are to be polled: as often as the most frequent of them was."""
    given = [tag.scan_ms for tag in draft.tags if tag.scan_ms]
    return min(max(min(given, default=_PERIOD_MS), _FASTEST_MS), _SLOWEST_MS)


def _head(draft: Draft, name: str, source: str) -> Iterator[str]:
    yield f"# Drafted from {_one_line(source)}. Look at [plc.connect], ranges and units before the first run."
    yield from ("", "[bench]", f"name = {_text(name)}")
    yield from ("", "[[plc]]", 'name = "device"', 'kind = "physical"', "", "[plc.connect]")
    for key, value in draft.connect.items():
        yield f"{key} = {_text(value) if isinstance(value, str) else value}"
    for scan_class, every in sorted(_classes(draft).items(), key=lambda item: item[1]):
        yield from ("", "[[plc.scan_class]]", f"name = {_text(scan_class)}", f"every = {every}")


def _tags(draft: Draft) -> Iterator[str]:
    classes = _classes(draft)
    for tag in draft.tags:
        yield ""
        if note := _one_line(tag.note):
            yield f"# {note}"
        yield from ("[[plc.tag]]", f"name = {_text(tag.name)}", f"type = {_text(tag.type.value)}")
        if tag.unit:
            yield f"unit = {_text(_one_line(tag.unit)[:100])}"
        if tag.type is not DataType.BOOL:
            low, high = range_of(tag)
            yield f"range = [{_number(low)}, {_number(high)}]"
        if tag.writable:
            yield "writable = true"
        if tag.scale != 1.0:
            yield f"scale = {_number(tag.scale)}"
        if tag.offset != 0.0:
            yield f"offset = {_number(tag.offset)}"
        if tag.modbus is not None:
            yield f"modbus = {{ {', '.join(_modbus(tag.modbus, tag.unit_id))} }}"
        if tag.s7:
            yield f"s7 = {_text(tag.s7)}"
        if tag.opcua:
            yield f"opcua = {_text(tag.opcua)}"
        if (scan_class := _class_of(tag, draft)) in classes:
            yield f"scan_class = {_text(scan_class)}"
    yield from ("", "[[reader]]", 'name = "gateway"', 'plc = "device"', 'protocol = "device"')
    yield f"period_ms = {period_ms(draft)}"
    yield from ("", "[twin]", 'model = "mirror_v1"', 'follows = "gateway"')


def _modbus(place: ModbusAddress, unit_id: int | None) -> Iterator[str]:
    yield f"table = {_text(place.table.value)}"
    yield f"address = {place.address}"
    if place.byte_order is not ByteOrder.ABCD:
        yield f"byte_order = {_text(place.byte_order.value)}"
    if unit_id is not None:
        yield f"unit = {unit_id}"


def _classes(draft: Draft) -> dict[str, int]:
    """Scan classes by name, and in which polls each is read."""
    base = period_ms(draft)
    rates = {tag.scan_ms for tag in draft.tags if tag.scan_ms}
    found = {f"{rate}-ms": min(round(rate / base), _MOST_EVERY) for rate in rates}
    return {name: every for name, every in found.items() if every > 1}


def _class_of(tag: DraftTag, draft: Draft) -> str:
    return f"{tag.scan_ms or period_ms(draft)}-ms"


def _text(value: str) -> str:
    """As TOML has it in quotes: JSON's escapes are among TOML's, apart from DEL, which JSON leaves as it is."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _number(value: float) -> str:
    whole = float(value).is_integer() and abs(value) < 2**53
    return str(int(value)) if whole else repr(float(value))


def _one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
