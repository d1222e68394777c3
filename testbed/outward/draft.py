"""A PLC as another program's file describes it: how it is reached, its tags, and what could not be taken over.

Nothing is dropped in silence: whatever the file has and the draft has not is a `Remark` with its line.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from testbed.core.errors import InvalidData
from testbed.core.tags import DataType, ModbusAddress, ModbusTable

_PART = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_LONGEST_NAME = 100
_HIGHEST = 65535
_LARGEST = 1e308
_Place = tuple[int | None, ModbusTable, int] | str

RANGES: Mapping[DataType, tuple[float, float]] = {
    DataType.BOOL: (0, 1),
    DataType.INT16: (-(2**15), 2**15 - 1),
    DataType.UINT16: (0, 2**16 - 1),
    DataType.INT32: (-(2**31), 2**31 - 1),
    DataType.UINT32: (0, 2**32 - 1),
    DataType.FLOAT32: (-3.4e38, 3.4e38),
    DataType.FLOAT64: (-1e308, 1e308),
}
"""What a type can hold, for a tag of which nobody says between what it lies."""


class NotTaken(InvalidData):
    """Something that says what it means, and means what a bench has no tags for. mend: what to do about it."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.mend = mend


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that a person should know. line: in the file, from 1; mend: what to do about it."""

    line: int
    what: str
    mend: str


@dataclass(frozen=True, slots=True)
class DraftTag:
    """One tag, with the fields of `core.tags.Tag`; range: None for what its type holds.

    line: in the file; scan_ms: how often it was read, None for as often as the others; note: a description.
    """

    line: int
    name: str
    type: DataType
    modbus: ModbusAddress | None = None
    unit_id: int | None = None
    s7: str = ""
    opcua: str = ""
    unit: str = ""
    range: tuple[float, float] | None = None
    scale: float = 1.0
    offset: float = 0.0
    writable: bool = False
    scan_ms: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """connect: the keys of [plc.connect] and their values; left: what was not taken over; assumed: what the file does
    not say, and was filled in.
    """

    connect: Mapping[str, str | int]
    tags: tuple[DraftTag, ...]
    left: tuple[Remark, ...] = ()
    assumed: tuple[Remark, ...] = ()


def settled(
    connect: Mapping[str, str | int], tags: Sequence[DraftTag], left: Sequence[Remark], assumed: Sequence[Remark]
) -> Draft:
    """A draft whose tags have names that a bench takes, each its own, and whose registers do not overlap."""
    left, assumed = [*left], [*assumed]
    kept: list[DraftTag] = []
    taken: dict[str, DraftTag] = {}
    owners: dict[_Place, str] = {}
    for tag in tags:
        places = _places(tag)
        owner = next((owners[place] for place in places if place in owners), None)
        if owner is not None:
            mend = f"keep one of the two, or correct where {tag.name} stands"
            left.append(Remark(tag.line, f"{tag.name}: it stands where {owner} stands already", mend))
            continue
        if tag.modbus is not None and tag.modbus.address + len(places) - 1 > _HIGHEST:
            left.append(Remark(tag.line, f"{tag.name}: it ends behind address {_HIGHEST}", "correct its address"))
            continue
        low, high = range_of(tag)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            mend = "correct its scaling: what the device holds makes no difference to it"
            left.append(Remark(tag.line, f"{tag.name}: it is {low:g} to {high:g}", mend))
            continue
        name = _free(_valid(tag.name), taken)
        if name != tag.name:
            mend = "take another name in the bench file if you like"
            assumed.append(Remark(tag.line, f"{tag.name} is called {name} in the bench", mend))
        owners.update(dict.fromkeys(places, name))
        taken[name.lower()] = tag
        kept.append(replace(tag, name=name))
    wide = sum(tag.range is None and tag.type is not DataType.BOOL for tag in kept)
    if wide:
        mend = "write between what each lies as its range: writes are held to it"
        assumed.append(Remark(1, f"all that its type can hold as the range of {wide} tags", mend))
    return Draft(
        connect,
        tuple(kept),
        tuple(sorted(left, key=lambda remark: remark.line)),
        tuple(sorted(assumed, key=lambda remark: remark.line)),
    )


def range_of(tag: DraftTag) -> tuple[float, float]:
    """Low and high in the tag's unit: its own, or what its type holds."""
    if tag.range is not None:
        return tag.range
    ends = (held * tag.scale + tag.offset for held in RANGES[tag.type])
    least, most = (min(max(end, -_LARGEST), _LARGEST) for end in ends)
    low, high = _short(min(least, most), tag.scale), _short(max(least, most), tag.scale)
    return low, high


def _short(end: float, scale: float) -> float:
    """Without the last digits, which are none of a person's, where that is less than half a step."""
    rounded = float(f"{end:.12g}")
    return rounded if abs(rounded - end) < abs(scale) / 2 else end


def _places(tag: DraftTag) -> list[_Place]:
    """What no other tag may have as well: registers or bits of a unit, or a node. Bytes of an S7 PLC may be shared."""
    if tag.modbus is None:
        return [tag.opcua] if tag.opcua else []
    width = 1 if tag.modbus.table.is_bit else tag.type.size // 2
    return [(tag.unit_id, tag.modbus.table, tag.modbus.address + at) for at in range(width)]


def _valid(name: str) -> str:
    """The nearest name that a bench takes: parts of ASCII letters, digits and underscores, each with a letter first."""
    parts = []
    for part in name.split("."):
        clean = re.sub(r"[^A-Za-z0-9_]+", "_", part).strip("_")
        if clean:
            parts.append(clean if _PART.fullmatch(clean) else f"n{clean}")
    return ".".join(parts)[: _LONGEST_NAME - 6].rstrip("._") or "tag"


def _free(name: str, taken: Mapping[str, object]) -> str:
    number, found = 1, name
    while found.lower() in taken:
        number += 1
        found = f"{name}_{number}"
    return found
