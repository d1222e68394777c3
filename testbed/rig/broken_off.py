"""What a reader's log tells of a run whose process was killed: whether the watchdog tripped, and what it left."""

from collections.abc import Iterator
from contextlib import suppress

from testbed.core.bodies import WATCHDOG_TRIPPED, Event, State
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData, StoreError
from testbed.core.run import RunFacts, SafeState
from testbed.core.tags import Value
from testbed.fieldbus.registers import decode
from testbed.outward import words
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.rig.bench import Bench
from testbed.rig.paths import Paths
from testbed.store.sqlite import LogStore


def seen_of_safe_state(bench: Bench, facts: RunFacts) -> tuple[SafeState, str]:
    """Whether the machine reached its safe state after a run was broken off, by the gateway's log, with words on it.

    It did if the log tells of a trip of the watchdog since the run began, and its newest state behind that keeps all
    that the bench file expects of the safe state. Where it tells nothing, nobody knows.
    """
    origin = bench.origin(bench.gateway.name)
    begun = {one.origin: one.size for one in facts.logs}.get(origin, 0)
    trip: tuple[int, Event] | None = None
    newest: State | None = None
    with suppress(StoreError, InvalidData), LogStore.read(Paths(bench.data).log(bench.gateway.name)) as store:
        for index, body in _bodies(store, begun):
            if isinstance(body, Event):
                trip = (index, body)
            elif isinstance(body, State):
                newest = body
    if trip is None:
        return SafeState.UNKNOWN, f"no record of {origin} tells of a trip of the watchdog"
    index, event = trip
    said = f"record {index} of {origin}: the watchdog tripped at {words.utc(event.time_ns)}"
    if newest is None or not bench.safety.verify:
        return SafeState.UNKNOWN, said
    wrong = _wrong(bench, newest)
    if not wrong:
        return SafeState.REACHED, said
    allowed = max(one.within_s for one in bench.safety.verify)
    late = newest.receive_time_ns - event.time_ns > allowed * 1e9
    return SafeState.FAILED if late else SafeState.UNKNOWN, f"{said}; {wrong}"


def _bodies(store: LogStore, start: int) -> Iterator[tuple[int, Event | State]]:
    """Trips of the watchdog, and states."""
    for row in store.rows(start):
        kind = decode_entry(row.entry).kind
        if row.body is not None and kind in (Kind.EVENT, Kind.STATE):
            body = decode_body(kind, row.body)
            if isinstance(body, State) or (isinstance(body, Event) and body.name == WATCHDOG_TRIPPED):
                yield row.index, body


def _wrong(bench: Bench, state: State) -> str:
    """What a state has that the safe state has not, in words."""
    values: dict[str, Value] = {}
    for tag, raw in zip(bench.tags, state.values, strict=False):
        with suppress(InvalidData):  # nothing was read
            values[tag.name] = decode(tag, raw)
    found = []
    for one in bench.safety.verify:
        value = values.get(one.tag)
        if value is None or not one.low <= value <= one.high:
            found.append(f"{one.tag} is {words.shown(value)}, not {one.low:g} to {one.high:g}")
    return "; ".join(found)
