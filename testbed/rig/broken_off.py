"""What a reader's log tells of a run whose process was killed: whether the watchdog tripped, and what it left."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from testbed.core.bodies import WATCHDOG_ARMED, WATCHDOG_DISARMED, WATCHDOG_RESET, WATCHDOG_TRIPPED, Event, State
from testbed.core.entry import Kind
from testbed.core.errors import InvalidData, StoreError
from testbed.core.run import RunFacts, SafeState
from testbed.core.tags import Value
from testbed.fieldbus.registers import decode
from testbed.outward import words
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.rig.bench import Bench
from testbed.rig.locks import is_held
from testbed.rig.paths import Paths
from testbed.store.sqlite import LogStore

_WATCHDOG = frozenset({WATCHDOG_ARMED, WATCHDOG_DISARMED, WATCHDOG_TRIPPED, WATCHDOG_RESET})
_SLACK_S = 5.0
"""How long beyond the watchdog's limit and the time to come to rest the log may take to say so."""
_PAUSE_S = 0.05


@dataclass(slots=True)
class _Seen:
    """trip: the newest, with its index; armed_ms: the limit of a watchdog that still waits, ms; newest: state."""

    trip: tuple[int, Event] | None = None
    armed_ms: int = 0
    newest: State | None = None


def seen_of_safe_state(bench: Bench, facts: RunFacts) -> tuple[SafeState, str]:
    """Whether the machine reached its safe state after a run was broken off, by the gateway's log, with words on it.

    It did if the log tells of a trip of the watchdog since the run began, and its newest state behind that keeps all
    that the bench file expects of the safe state. Where it tells nothing, nobody knows. While a gateway runs and the
    watchdog is armed still, or the machine is coming to rest, that is waited for: the run was killed just now.
    """
    begun = time.monotonic()
    while True:
        seen = _look(bench, facts)
        safe_state, said = _judge(bench, seen)
        coming = seen.trip is not None or seen.armed_ms > 0
        if safe_state is not SafeState.UNKNOWN or not coming or not is_held(bench, bench.gateway.name):
            return safe_state, said
        rest_s = max((one.within_s for one in bench.safety.verify), default=0.0)
        if time.monotonic() - begun > seen.armed_ms / 1000 + rest_s + _SLACK_S:
            return safe_state, said
        time.sleep(_PAUSE_S)


def _look(bench: Bench, facts: RunFacts) -> _Seen:
    """What the gateway's log holds since the run began."""
    start = {one.origin: one.size for one in facts.logs}.get(bench.origin(bench.gateway.name), 0)
    seen = _Seen()
    with suppress(StoreError, InvalidData), LogStore.read(Paths(bench.data).log(bench.gateway.name)) as store:
        for index, body in _bodies(store, start):
            if isinstance(body, State):
                seen.newest = body
                continue
            seen.armed_ms = int(body.detail) if body.name == WATCHDOG_ARMED else 0
            if body.name == WATCHDOG_TRIPPED:
                seen.trip = (index, body)
    return seen


def _judge(bench: Bench, seen: _Seen) -> tuple[SafeState, str]:
    origin = bench.origin(bench.gateway.name)
    if seen.trip is None:
        return SafeState.UNKNOWN, f"no record of {origin} tells of a trip of the watchdog"
    index, event = seen.trip
    said = f"record {index} of {origin}: the watchdog tripped at {words.utc(event.time_ns)}"
    if seen.newest is None or not bench.safety.verify:
        return SafeState.UNKNOWN, said
    wrong = _wrong(bench, seen.newest)
    if not wrong:
        return SafeState.REACHED, said
    allowed = max(one.within_s for one in bench.safety.verify)
    late = seen.newest.receive_time_ns - event.time_ns > allowed * 1e9
    return SafeState.FAILED if late else SafeState.UNKNOWN, f"{said}; {wrong}"


def _bodies(store: LogStore, start: int) -> Iterator[tuple[int, Event | State]]:
    """What the watchdog did, and states."""
    for row in store.rows(start):
        kind = decode_entry(row.entry).kind
        if row.body is not None and kind in (Kind.EVENT, Kind.STATE):
            body = decode_body(kind, row.body)
            if isinstance(body, State) or (isinstance(body, Event) and body.name in _WATCHDOG):
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
