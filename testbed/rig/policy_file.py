"""The file of the write policy: [[allow]] tables, strict, and outside the folder of the tests that it binds.

[[allow]]
tag = "control.level_setpoint"
range = [0.2, 1.5]              # in the tag's unit; a bool needs none
rate = { change_per_s = 0.5 }   # the most that it may move within any second, or writes_per_s = 5: the most writes
until = 2026-12-31              # the last day, UTC, or a time with its offset; needed for the two below
forced = true                   # it may be forced
attacks = true                  # an attack may write it
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, PlainValidator

from testbed.core.errors import UsageError
from testbed.core.tags import DataType, Tag
from testbed.guard.policy import Policy, Rule
from testbed.rig.bench_errors import Problem, Section, Several, check_file, unknown
from testbed.rig.toml_file import Loc, read_toml

_MEND = "write one with [[allow]] tables, or correct policy = ... under [safety] of the bench file"


def _end_ns(value: object) -> int:
    """When a rule ends, UTC ns since 1970: a day counts to its end."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("without an offset")
        moment = value.astimezone(UTC)
    elif isinstance(value, date) and value < date.max:
        moment = datetime.combine(value + timedelta(days=1), time(), UTC)
    else:
        raise ValueError("no date")
    return int(moment.timestamp()) * 10**9


class Rate(Section):
    """rate = { ... }: one of the two, or both."""

    change_per_s: float | None = Field(default=None, gt=0, description="a change in the tag's unit, more than 0")
    writes_per_s: int | None = Field(default=None, ge=1, description="a number of writes, 1 or more")


class Allow(Section):
    """[[allow]]: one tag that may be written."""

    tag: str
    range: tuple[float, float] | None = Field(default=None, strict=False, description="two finite numbers, [low, high]")
    rate: Rate = Rate()
    until: Annotated[int, PlainValidator(_end_ns)] | None = Field(
        default=None, description="a day as 2026-12-31 or a time as 2026-12-31T18:00:00Z, both without quotes"
    )
    forced: bool = False
    attacks: bool = False


class PolicyFile(Section):
    """The whole file."""

    allow: Several[Allow] = ()


def read_policy(path: Path, tags: Sequence[Tag], rootdir: Path | None, forced: Iterable[str] = ()) -> Policy:
    """Read and check a policy file against the tags of a bench.

    rootdir: the folder of the tests (pytest's rootdir), None where there are none. forced: tags that are forced
    outputs whatever a write is for. Raises UsageError that names file, line, key and mend for every problem.
    """
    if rootdir is not None:
        _check_outside(path, rootdir)
    file = read_toml(path, "write policy", _MEND)
    content = check_file(file, PolicyFile, lambda content: _cross(content, tags))
    by_name = {tag.name: tag for tag in tags}
    return Policy((_rule(allow, by_name[allow.tag]) for allow in content.allow), str(path), forced)


def _check_outside(path: Path, rootdir: Path) -> None:
    """What tests may write to must not say what they may do: neither the file, nor a link in their folder to it."""
    root = rootdir.resolve()
    for place in (path.absolute(), path.parent.resolve() / path.name, path.resolve()):
        if place.is_relative_to(root):
            raise UsageError(
                f"{path}: the write policy lies inside the folder of the tests, {rootdir}",
                "move it to where the tests cannot change it, and name it under [safety] of the bench file",
            )


def _cross(content: PolicyFile, tags: Sequence[Tag]) -> Iterator[Problem]:
    by_name = {tag.name: tag for tag in tags}
    writable = [tag.name for tag in tags if tag.writable]
    seen: set[str] = set()
    for position, allow in enumerate(content.allow):
        here: Loc = ("allow", position)
        tag = by_name.get(allow.tag)
        if tag is None:
            yield Problem((*here, "tag"), f'there is no tag "{allow.tag}"', unknown(allow.tag, writable))
            continue
        if not tag.writable:
            yield Problem((*here, "tag"), f'"{tag.name}" cannot be written', f"these can: {', '.join(writable)}")
        if allow.tag in seen:
            yield Problem((*here, "tag"), f'"{tag.name}" is allowed twice', "keep one [[allow]] for each tag")
        seen.add(allow.tag)
        yield from _range(here, allow, tag)
        if (allow.forced or allow.attacks) and allow.until is None:
            what = f"is missing: {'forced = true' if allow.forced else 'attacks = true'} needs an end"
            yield Problem((*here, "until"), what, "add until = the last day, such as 2026-12-31")
        if tag.type is DataType.BOOL and allow.rate.change_per_s is not None:
            yield Problem((*here, "rate"), "a bool does not move by degrees", "write rate = { writes_per_s = ... }")


def _range(here: Loc, allow: Allow, tag: Tag) -> Iterator[Problem]:
    loc = (*here, "range")
    if allow.range is None:
        if tag.type is not DataType.BOOL:
            mend = f"add range = [low, high] within {tag.low:g} and {tag.high:g} {tag.unit}".rstrip()
            yield Problem(loc, "is missing", mend)
        return
    low, high = allow.range
    if low > high:
        yield Problem(loc, f"low {low:g} is above high {high:g}", "write range = [low, high]")
    elif low < tag.low or high > tag.high:
        mend = f"keep within {tag.low:g} and {tag.high:g} {tag.unit}".rstrip()
        yield Problem(loc, f"[{low:g}, {high:g}] is wider than the tag's own range", mend)


def _rule(allow: Allow, tag: Tag) -> Rule:
    low, high = allow.range or (tag.low, tag.high)
    return Rule(
        allow.tag,
        low,
        high,
        allow.rate.change_per_s,
        allow.rate.writes_per_s,
        allow.forced,
        allow.attacks,
        allow.until,
    )
