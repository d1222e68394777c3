"""What no single key of [safety] can get wrong alone: tags, their types and ranges, and rules in words."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from testbed.core.errors import InvalidData
from testbed.guard.stop import When, parse_stop_rule
from testbed.rig.bench_errors import Problem, shown, unknown
from testbed.rig.toml_file import Loc

if TYPE_CHECKING:
    from testbed.rig.bench_file import BenchFile, TagTable

_HERE: Loc = ("safety",)
_INTEGERS = ("int16", "uint16", "int32", "uint32")


def check_heartbeat(here: Loc, tag: "TagTable") -> Iterator[Problem]:
    """A tag that is said to be a heartbeat can be one."""
    if tag.heartbeat and not tag.writable:
        yield Problem((*here, "heartbeat"), "nothing can be written to this tag", "leave heartbeat out")


def check_safety(bench: "BenchFile") -> Iterator[Problem]:
    """All faults of [safety] beside the tags of the bench."""
    tags: dict[str, TagTable] = {}
    for tag in (tag for plc in bench.plc for tag in plc.tag):
        tags.setdefault(tag.name, tag)  # of two tags of one name, the first counts
    safety = bench.safety
    for position, setting in enumerate(safety.safe_state):
        here = (*_HERE, "safe_state", position)
        written = tags.get(setting.tag)
        if written is None:
            yield _no_tag((*here, "tag"), setting.tag, tags)
        elif not written.writable:
            yield Problem((*here, "tag"), f'"{written.name}" cannot be written', _writable(tags))
        elif (mend := _does_not_fit(written, setting.value)) is not None:
            yield Problem((*here, "value"), f'{shown(setting.value)} does not fit "{written.name}"', mend)
    for position, expected in enumerate(safety.verify):
        here = (*_HERE, "verify", position)
        if expected.tag not in tags:
            yield _no_tag((*here, "tag"), expected.tag, tags)
        if expected.low > expected.high:
            what = f"low {expected.low:g} is above high {expected.high:g}"
            yield Problem((*here, "low"), what, "write low = and high = in this order, 0 and 1 for a bool")
    for position, text in enumerate(safety.stop_on):
        yield from _stop((*_HERE, "stop_on", position), text, tags)
    yield from _watchdog(bench, tags)
    for position, name in enumerate(safety.forced):
        here = (*_HERE, "forced", position)
        if name not in tags:
            yield _no_tag(here, name, tags)
        elif not tags[name].writable:
            yield Problem(here, f'"{name}" cannot be written', _writable(tags))


def _stop(here: Loc, text: str, tags: dict[str, "TagTable"]) -> Iterator[Problem]:
    try:
        rule = parse_stop_rule(text)
    except InvalidData:
        mend = 'write "TAG" for a bool that ends a run, "TAG above 90" or "TAG below 0.1"'
        yield Problem(here, f"{shown(text)} is no rule", mend)
        return
    tag = tags.get(rule.tag)
    if tag is None:
        yield _no_tag(here, rule.tag, tags)
    elif (rule.when is When.TRUE) != (tag.type == "bool"):
        mend = f'write "{tag.name}" alone' if tag.type == "bool" else f'write "{tag.name} above ..." or "below ..."'
        yield Problem(here, f'"{tag.name}" is {tag.type}', mend)


def _watchdog(bench: "BenchFile", tags: dict[str, "TagTable"]) -> Iterator[Problem]:
    safety = bench.safety
    for key, name, types, written in (
        ("watchdog", safety.watchdog, ("uint16",), True),
        ("watchdog_limit", safety.watchdog_limit, ("uint16", "uint32"), True),
        ("watchdog_tripped", safety.watchdog_tripped, ("bool",), False),
    ):
        here = (*_HERE, key)
        if not name:
            if written and (safety.watchdog or safety.watchdog_limit):
                mend = "name both watchdog and watchdog_limit, or neither"
                yield Problem(here, "is missing: a watchdog has a beat and a limit", mend)
        elif name not in tags:
            yield _no_tag(here, name, tags)
        elif tags[name].type not in types or (written and not tags[name].writable):
            what = f"a writable {' or '.join(types)}" if written else f"a {types[0]}"
            yield Problem(here, f'"{name}" is not {what}', f"name {what}")
    limit = tags.get(safety.watchdog_limit)
    if limit is not None and limit.range is not None and not limit.range[0] <= safety.watchdog_ms <= limit.range[1]:
        low, high = limit.range
        what = f'{safety.watchdog_ms} ms does not fit "{limit.name}"'
        yield Problem((*_HERE, "watchdog_ms"), what, f"take {low:g} to {high:g}, or another range of the tag")


def _does_not_fit(tag: "TagTable", value: object) -> str | None:
    """The mend where the tag cannot hold the value."""
    if tag.type == "bool":
        return None if isinstance(value, bool) else "write true or false"
    whole = tag.type in _INTEGERS and (tag.scale, tag.offset) == (1.0, 0.0)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        return "write a whole number" if whole else "write a number"
    if tag.range is not None and not tag.range[0] <= value <= tag.range[1]:
        return f"write a value from {tag.range[0]:g} to {tag.range[1]:g} {tag.unit}".rstrip()
    return None


def _no_tag(here: Loc, name: str, tags: dict[str, "TagTable"]) -> Problem:
    return Problem(here, f'there is no tag "{name}"', unknown(name, list(tags)))


def _writable(tags: dict[str, "TagTable"]) -> str:
    return f"these can: {', '.join(name for name, tag in tags.items() if tag.writable)}"
