"""Logs changed by those who hold their keys; signed, numbered and published as their writers would."""

from collections.abc import Callable, Sequence
from random import Random

from testbed.core.bodies import Beacon, Body, Peer, State, TwinRecord
from testbed.core.entry import Kind, Row
from testbed.core.finding import Layer, Verdict, What
from testbed.record.bodies import encode_body
from tests.deep.mutations.cell import KEY, Cell, Draft, Plan
from tests.deep.mutations.changing import changed
from tests.deep.mutations.expected import Expected, Sought, found, pending
from tests.deep.mutations.facts import Facts, LogFacts
from tests.deep.mutations.ground import GATEWAY, OPERATOR, READER, RECEIPTS, TWIN, TWIN_LAG
from tests.deep.mutations.owned import counted, forks, resigned, with_body

NOBODY = "no anchor covers it, no other log has seen it, and what it says contradicts nothing"

Op = Callable[[Facts, Random, str], Plan]


def plan(
    facts: Facts, origin: str, said: str, rows: Sequence[Row], first: int, shift: int, sought: Sequence[Sought]
) -> Plan:
    """A log with other records from `first` on. sought: what follows from what it says now, beside what others hold."""

    def apply(draft: Draft) -> None:
        draft.put(resigned(draft, origin, rows, first, shift))

    log = facts[origin]
    differs = [at for at in range(min(log.size, len(rows))) if rows[at].entry != log.rows[at].entry]
    held = forks(facts, origin, differs, len(rows))
    return Plan(f"{origin}: {said}, signed anew", apply, expected(origin, held, sought))


def expected(origin: str, held: Sequence[Sought], sought: Sequence[Sought]) -> Expected:
    """A log that others can show to be forked or cut off speaks for nothing else; but false records of a twin, false
    receipts, and states that the PLC did not sign, are found each at its place.
    """
    if held and origin not in (TWIN, RECEIPTS):
        sought = [one for one in sought if one.layer in _DEVICE and one.what is not What.INVENTED]
    # A twin that was cut off is behind by no fault of its own.
    every = [*held, *(one for one in sought if not held or one.what is not What.STALLED)]
    open_only = {What.DISAGREED, What.STALLED, What.UNEXPLAINED}
    weak = bool(every) and all(one.what in open_only for one in every)
    return found(*every, verdict=Verdict.INCONCLUSIVE if weak else Verdict.FALSIFIED) if every else pending(NOBODY)


def on(what: What, layer: Layer, origin: str, index: int) -> Sought:
    return Sought(what, layer, f"record {index} of {origin}", origin, index)


def _is_state(log: LogFacts, index: int) -> bool:
    return log.entries[index].kind is Kind.STATE


_DEVICE = (Layer.GATEWAY, Layer.WIRE)
"""Where what the PLC signed speaks against a record."""


# Operations.


def _resalt(facts: Facts, rng: Random, origin: str) -> Plan:
    log = facts[origin]
    index = log.place(rng)
    rows = list(log.rows)
    rows[index] = with_body(rows[index], rows[index].body or b"", rng.randbytes(16))
    return plan(facts, origin, f"another salt in record {index}", rows, index, 0, ())


def _rewrite(facts: Facts, rng: Random, origin: str) -> Plan:
    """Everything from one record on, from the first one a third of the times."""
    log = facts[origin]
    first = 0 if rng.random() < 0.3 else log.place(rng)
    tail = [with_body(row, row.body or b"", rng.randbytes(16)) for row in log.rows[first:]]
    rows = [*log.rows[:first], *tail]
    return plan(facts, origin, f"all records from {first} on with other salts", rows, first, 0, ())


def _change(facts: Facts, rng: Random, origin: str) -> Plan:
    log = facts[origin]
    index = log.place(rng)
    done, body = other_body(rng, origin, log.bodies[index])
    rows = list(log.rows)
    rows[index] = with_body(rows[index], encode_body(body), rows[index].salt)
    sought = consequences(origin, index, log.bodies[index])
    return plan(facts, origin, f"{done} in record {index}", rows, index, 0, sought)


def other_body(rng: Random, origin: str, body: Body) -> tuple[str, Body]:
    """Another body. Of a state, a measured value: a set-point would be unexplained as well."""
    if not isinstance(body, State):
        return changed(rng, body)
    place = rng.randrange(2, 10)
    raw = body.values[place] or b""
    # The most significant byte, by the order of each protocol: a number that is another one.
    at = 1 if origin == GATEWAY else len(raw) - 2
    values = (*body.values[:place], raw[:at] + bytes([raw[at] ^ 0x10]) + raw[at + 1 :], *body.values[place + 1 :])
    return f"another value at place {place}", State(
        body.boot,
        body.scan,
        body.device_time_ns,
        body.receive_time_ns,
        values,
        body.statuses,
        body.frame,
        body.signature,
    )


def consequences(origin: str, index: int, body: Body) -> list[Sought]:
    """What a changed record says that cannot be: of the kind that `other_body` makes of it."""
    match body:
        case State():
            return [on(What.ALTERED, Layer.GATEWAY, origin, index)]
        case TwinRecord():
            return [on(What.DIVERGED, Layer.TWIN, origin, index)]
        case Peer():
            layer = Layer.TWIN if origin == TWIN else Layer.GATEWAY
            return [on(What.INVENTED, layer, origin, index)]
        case Beacon():
            return [on(What.REWRITTEN, Layer.CHAIN, origin, index)]
    if origin == RECEIPTS and index > 0:
        return [on(What.SUBSTITUTED, Layer.ANCHOR, origin, index)]
    return []


def _delete(facts: Facts, rng: Random, origin: str) -> Plan:
    log = facts[origin]
    index = log.place(rng, _seen(facts, origin), 3)
    rows = counted([*log.rows[:index], *log.rows[index + 1 :]])
    sought = []
    if origin == TWIN and log.entries[index].kind is Kind.TWIN and index + 2 < log.size:
        # The next twin record begins behind a gap; it has moved down by one.
        sought = [on(What.SKIPPED, Layer.TWIN, origin, index + 1)]
    if origin == RECEIPTS and index + 1 < log.size:
        sought = [on(What.SUBSTITUTED, Layer.ANCHOR, origin, index)]
    return plan(facts, origin, f"record {index} left out", rows, index, -1, sought)


def _duplicate(facts: Facts, rng: Random, origin: str) -> Plan:
    log = facts[origin]
    index = log.place(rng, _seen(facts, origin) - 1, 3)
    copy = with_body(log.rows[index], log.rows[index].body or b"", rng.randbytes(16))
    rows = counted([*log.rows[: index + 1], copy, *log.rows[index + 1 :]])
    sought = []
    if origin == TWIN and log.entries[index].kind is Kind.TWIN:
        sought = [on(What.SKIPPED, Layer.TWIN, origin, index + 1)]
    if origin == RECEIPTS:
        sought = [on(What.SUBSTITUTED, Layer.ANCHOR, origin, index + 1)]
    if _is_state(log, index):
        sought = [on(What.REPLAYED, Layer.WIRE, origin, index + 1)]
    return plan(facts, origin, f"record {index} there twice", rows, index + 1, 1, sought)


def _swap(facts: Facts, rng: Random, origin: str) -> Plan:
    log = facts[origin]
    step = 2 if origin == TWIN else 1
    index = log.place(rng, _seen(facts, origin) - step, 3)
    other = index + step
    rows = list(log.rows)
    rows[index], rows[other] = rows[other], rows[index]
    sought = []
    if origin == TWIN and log.entries[index].kind is Kind.TWIN:
        sought = [on(What.SKIPPED, Layer.TWIN, origin, at) for at in (index, other)]
    if origin == RECEIPTS:
        sought = [on(What.SUBSTITUTED, Layer.ANCHOR, origin, index)]
    if _is_state(log, index) and _is_state(log, other):
        sought = [on(What.REPLAYED, Layer.WIRE, origin, other)]
    return plan(facts, origin, f"records {index} and {other} exchanged", counted(rows), index, 0, sought)


def _cut(facts: Facts, rng: Random, origin: str) -> Plan:
    log = facts[origin]
    size = log.place(rng, None, 3)
    return plan(facts, origin, f"cut off behind {size} records", log.rows[:size], size, 0, _behind(facts, origin, size))


def _roll_back(facts: Facts, rng: Random, origin: str) -> Plan:
    """As a backup has it: every byte is genuine."""
    log = facts[origin]
    size = rng.choice([size for size in log.notes if 2 < size < log.size])
    said = f"as it was at size {size}"
    return plan(facts, origin, said, log.rows[:size], size, 0, _behind(facts, origin, size))


def _behind(facts: Facts, origin: str, size: int) -> list[Sought]:
    """A twin that now ends there may be further behind than is allowed."""
    if origin != TWIN:
        return []
    left = [body for body in facts[TWIN].bodies[:size] if isinstance(body, TwinRecord)]
    consumed = left[-1].inputs[-1].index + 1 if left else 0
    late = facts[GATEWAY].size - consumed > TWIN_LAG
    return [Sought(What.STALLED, Layer.TWIN, TWIN, TWIN)] if late else []


def _insert_foreign(facts: Facts, rng: Random, origin: str) -> Plan:
    """A record of another log, under the source that it has there, at a place that others have seen."""
    log = facts[origin]
    other = facts[rng.choice([one for one in (OPERATOR, GATEWAY, READER) if one != origin])]
    theirs = rng.choice(other.of_kind(Kind.EVENT))
    index = log.place(rng, _covered(facts, origin), 3)
    rows = counted([*log.rows[:index], other.rows[theirs], *log.rows[index:]])
    return plan(facts, origin, f"record {theirs} of {other.origin} put in at {index}", rows, index, 1, ())


def _seen(facts: Facts, origin: str) -> int:
    """Records of a log that somebody else has seen; of those of a twin and of receipts all can be judged."""
    return facts[origin].size if origin in (TWIN, RECEIPTS) else _covered(facts, origin)


def _covered(facts: Facts, origin: str) -> int:
    log = facts[origin]
    return max([log.confirmed, log.witnessed, *(size for _, _, size in facts.kept[origin])])


OPERATIONS: dict[str, Op] = {
    "other salt": _resalt,
    "change a value": _change,
    "delete": _delete,
    "duplicate": _duplicate,
    "swap": _swap,
    "truncate the tail": _cut,
    "roll back": _roll_back,
    "rewrite a suffix": _rewrite,
    "move across logs": _insert_foreign,
}

LOGS = {
    "gateway log": GATEWAY,
    "reader log": READER,
    "operator log": OPERATOR,
    "twin log": TWIN,
    "receipts log": RECEIPTS,
}


def _of(operation: Op, origin: str) -> Callable[[Facts, Random], Plan]:
    return lambda facts, rng: operation(facts, rng, origin)


CELLS = [
    Cell(layer, name, KEY, _of(operation, origin))
    for layer, origin in LOGS.items()
    for name, operation in OPERATIONS.items()
]
