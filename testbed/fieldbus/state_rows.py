"""States as rows of a table: decoded values, and in words what is wrong with those that are not simply good."""

import math
from collections.abc import Sequence

from testbed.core.bodies import State
from testbed.core.errors import InvalidData
from testbed.core.exported import GOOD, StateRow
from testbed.core.tags import Tag, Value
from testbed.fieldbus.registers import decode, decoder_of


class StateRows:
    """Makes rows with the values of `wanted` tags, by the tag list of the log."""

    def __init__(self, tags: Sequence[Tag], wanted: Sequence[str]) -> None:
        places = {tag.name: place for place, tag in enumerate(tags)}
        self._tags = tuple(tags)
        self._places = [places[name] for name in wanted]
        self._decode = decoder_of(tags)

    def row(self, index: int, state: State) -> StateRow:
        """The row of a state, whatever is wrong with it. The status speaks of all tags, not of the wanted ones alone.

        It is the word good, or what is not: "tank1.level: nothing 0x800A0000; tank2.level: NaN", with the OPC UA
        StatusCode unless it is 0. A value of which nothing was read, or whose bytes are not of its type, is None.
        """
        values, status = self._values(state)
        return StateRow(
            index, state.receive_time_ns, state.boot, state.scan, status, tuple([values[at] for at in self._places])
        )

    def _values(self, state: State) -> tuple[Sequence[Value | None], str]:
        if not any(state.statuses) and None not in state.values:
            try:
                values = self._decode(state.values)
            except InvalidData:
                pass  # looked at one by one
            else:
                if not any(map(_is_nan, values)):
                    return values, GOOD
        return self._one_by_one(state)

    def _one_by_one(self, state: State) -> tuple[Sequence[Value | None], str]:
        if len(state.values) != len(self._tags) or len(state.statuses) != len(self._tags):
            return [None] * len(self._tags), f"{len(state.values)} values of {len(self._tags)} tags"
        said: list[str] = []
        values: list[Value | None] = []
        for tag, raw, status in zip(self._tags, state.values, state.statuses, strict=True):
            value, word = _read(tag, raw)
            values.append(value)
            words = [word] * bool(word) + [f"0x{status:08X}"] * bool(status)
            if words:
                said.append(f"{tag.name}: {' '.join(words)}")
        return values, "; ".join(said) or GOOD


def _read(tag: Tag, raw: bytes | None) -> tuple[Value | None, str]:
    if raw is None:
        return None, "nothing"
    try:
        value = decode(tag, raw)
    except InvalidData:
        return None, f"unreadable {raw.hex()}"
    return value, "NaN" if _is_nan(value) else ""


def _is_nan(value: Value) -> bool:
    return isinstance(value, float) and math.isnan(value)
