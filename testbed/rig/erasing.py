"""Erases bodies of a stopped bench: a tombstone for each in the operator's log first, then the bytes.

Entries and leaf hashes stay, so every proof holds. Whoever erases a state also erases the twin records that show its
values, each under a tombstone of its own. Exports, captures, backups and what others copied are out of reach.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from testbed.core.bodies import Advisory, Tombstone, TwinRecord
from testbed.core.clock import Clock
from testbed.core.entropy import Entropy
from testbed.core.entry import Kind, Row
from testbed.core.errors import UsageError
from testbed.core.failpoints import AFTER, BEFORE, reached
from testbed.record.bodies import decode_body
from testbed.record.entry import decode_entry
from testbed.rig.bench import Bench
from testbed.rig.failing import arm_failpoints
from testbed.rig.locks import check_not_running, role_lock
from testbed.rig.logs import is_simulated
from testbed.rig.operating import operator_log
from testbed.rig.paths import Paths
from testbed.store.sqlite import LogStore

ERASABLE = (Kind.STATE, Kind.HEARTBEAT, Kind.TWIN, Kind.ADVISORY, Kind.COMMAND, Kind.TEST)
"""Kinds that say something of the plant or of people. On all others proofs rest."""

_MOST_REASON = 1000


@dataclass(frozen=True, slots=True)
class Erased:
    """One body that is gone. tombstone: index of the record in the operator's log that says so; shows: the record whose
    values it showed, None where it was asked for itself.
    """

    origin: str
    index: int
    tombstone: int
    shows: int | None = None


def erase(
    bench: Bench, log: str, indices: Sequence[int], reason: str, clock: Clock, entropy: Entropy
) -> tuple[Erased, ...]:
    """Erase these records of a log, named by role or origin, and the twin records that show their values.

    Called again after a kill it goes on; what has a tombstone gets no second one. Raises UsageError, with nothing
    logged, while the bench runs, for a record that is not there or that proofs rest on, and for one that the twin goes
    on from.
    """
    check_not_running(bench)
    if not reason.strip() or len(reason) > _MOST_REASON or any(char < " " for char in reason):
        raise UsageError(f"--reason {reason[:40]!r}", f"say why, in one line of at most {_MOST_REASON} characters")
    role = _role(bench, log)
    targets = _targets(bench, role, sorted(set(indices)))
    arm_failpoints(bench.operator.name)
    with operator_log(bench, clock, entropy, simulated=is_simulated(bench)) as operator:
        known = dict(_tombstones(bench))
        new = [one for one in targets if (one.origin, one.index) not in known]
        if new:
            first = operator.append([(bench.name, Tombstone(one.origin, one.index, reason)) for one in new]).first_index
            known |= {(one.origin, one.index): first + place for place, one in enumerate(new)}
    by_origin: dict[str, list[int]] = defaultdict(list)
    for one in targets:
        by_origin[one.origin].append(one.index)
    if role == bench.twin.follows:
        # Also where nothing is left to be erased: a kill may have come before its file was made anew.
        by_origin.setdefault(bench.origin(bench.twin.name), [])
    for origin, gone in by_origin.items():
        name = _role(bench, origin)
        with role_lock(bench, bench.writer(name)), LogStore.create(Paths(bench.data).log(name)) as store:
            reached("erase", BEFORE, origin)
            store.erase(gone)
            reached("erase", AFTER, origin)
    return tuple(Erased(one.origin, one.index, known[one.origin, one.index], one.shows) for one in targets)


@dataclass(frozen=True, slots=True)
class _Target:
    origin: str
    index: int
    shows: int | None = None


def _role(bench: Bench, log: str) -> str:
    for name in bench.logs:
        if log in (name, bench.origin(name)):
            return name
    raise UsageError(f"there is no log {log!r}", f"name one of {', '.join(map(bench.origin, bench.logs))}")


def _targets(bench: Bench, role: str, indices: Sequence[int]) -> list[_Target]:
    """What is to be erased: the records themselves, then the twin's that show the values of a state among them."""
    origin = bench.origin(role)
    with LogStore.read(Paths(bench.data).log(role)) as store:
        kinds = {index: _kind(origin, index, store) for index in indices}
    targets = [_Target(origin, index) for index in indices]
    states = {index for index, kind in kinds.items() if kind is Kind.STATE}
    if role == bench.twin.name:
        _check_followed(bench, "", states, set(indices))
    elif role == bench.twin.follows and states:
        shown = {
            row.index: ref.index
            for row, body in _steps(bench)
            for ref in body.inputs
            if ref.origin == origin and ref.index in states
        }
        _check_followed(bench, origin, states, set(shown))
        targets += [_Target(bench.origin(bench.twin.name), index, state) for index, state in shown.items()]
    return targets


def _kind(origin: str, index: int, store: LogStore) -> Kind:
    row = next(store.rows(index, index + 1), None) if 0 <= index < 2**62 else None
    if row is None:
        raise UsageError(f"{origin} has no record {index}", "see `testbed status` for how long it is")
    kind = decode_entry(row.entry).kind
    if kind not in ERASABLE:
        named = ", ".join(one.name.lower() for one in ERASABLE)
        raise UsageError(
            f"record {index} of {origin} is a {kind.name.lower()} record: proofs rest on it, and it shows no values",
            f"erase records of these kinds only: {named}",
        )
    return kind


def _check_followed(bench: Bench, origin: str, states: set[int], shown: set[int]) -> None:
    """The twin goes on from its newest record, and reads each state once: neither may be gone before that."""
    newest, consumed = -1, 0
    for row, body in _steps(bench):
        newest = row.index
        consumed = max([consumed, *(ref.index + 1 for ref in body.inputs if ref.origin == origin)])
    twin = bench.origin(bench.twin.name)
    mend = "run the bench until the twin has gone on, and try again"
    if newest in shown:
        raise UsageError(f"record {newest} of {twin} would have to go as well, and the twin goes on from it", mend)
    unread = sorted(state for state in states if state >= consumed) if origin else []
    if unread:
        raise UsageError(f"the twin has not read record {unread[0]} of {origin} yet", mend)


def _steps(bench: Bench) -> Iterator[tuple[Row, TwinRecord | Advisory]]:
    """The twin's records whose bodies are there."""
    with LogStore.read(Paths(bench.data).log(bench.twin.name)) as store:
        for row in store.rows():
            kind = decode_entry(row.entry).kind
            if row.body is not None and kind in (Kind.TWIN, Kind.ADVISORY):
                body = decode_body(kind, row.body)
                if isinstance(body, TwinRecord | Advisory):
                    yield row, body


def _tombstones(bench: Bench) -> Iterator[tuple[tuple[str, int], int]]:
    """Every tombstone of the operator's log by what it is about, and its index."""
    with LogStore.read(Paths(bench.data).log(bench.operator.name)) as store:
        for row in store.rows():
            if row.body is not None and decode_entry(row.entry).kind is Kind.TOMBSTONE:
                body = decode_body(Kind.TOMBSTONE, row.body)
                if isinstance(body, Tombstone):
                    yield (body.origin, body.index), row.index
