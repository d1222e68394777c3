"""What a reader's log says of the PLC's watchdog: that it tripped, and that somebody armed or disarmed it.

The states show the same tags. The events save whoever looks for the end of a broken run from reading all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from testbed.core.bodies import (
    WATCHDOG_ARMED,
    WATCHDOG_DISARMED,
    WATCHDOG_RESET,
    WATCHDOG_TRIPPED,
    Body,
    Event,
    State,
)
from testbed.core.errors import InvalidData
from testbed.core.tags import Tag, Value
from testbed.fieldbus.registers import decode


@dataclass(frozen=True, slots=True)
class Place:
    """A tag, as this reader reads it, and its place among the values of a state."""

    tag: Tag
    at: int


class WatchdogWatch:
    """Follows the states of one log. tripped: the latched bool; limit: ms, 0 while the watchdog is off.

    What the first state shows counts as new but for a watchdog that is off or has not tripped: a reader that was away
    may tell of one trip twice, and never of none.
    """

    def __init__(self, tripped: Place | None, limit: Place | None) -> None:
        self._tripped = tripped
        self._limit = limit
        self._was_tripped: Value = False
        self._had_limit: Value = 0

    def saw(self, state: State) -> Sequence[Body]:
        """The events that a state gives rise to, to stand behind it in the log. A missing value gives none."""
        events: list[Body] = []
        limit = _value(self._limit, state)
        if limit is not None and limit != self._had_limit:
            name = WATCHDOG_ARMED if limit else WATCHDOG_DISARMED
            events.append(Event(state.receive_time_ns, name, str(limit).encode() if limit else b""))
            self._had_limit = limit
        tripped = _value(self._tripped, state)
        if tripped is not None and tripped != self._was_tripped:
            name = WATCHDOG_TRIPPED if tripped else WATCHDOG_RESET
            scan = "" if state.scan is None else f"boot {state.boot} scan {state.scan}"
            events.append(Event(state.receive_time_ns, name, scan.encode()))
            self._was_tripped = tripped
        return events


def _value(place: Place | None, state: State) -> Value | None:
    if place is None or place.at >= len(state.values):
        return None
    try:
        return decode(place.tag, state.values[place.at])
    except InvalidData:
        return None
