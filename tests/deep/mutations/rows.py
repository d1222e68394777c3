"""The store by somebody who can write its file and holds no key: entries, salts, bodies, whole rows."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from testbed.core.entry import Kind, Row
from testbed.core.finding import Layer, Verdict, What
from testbed.record.entry import commitment, encode_entry
from tests.deep.mutations.cell import BYTES, Cell, Draft, Plan, flipped, renumber
from tests.deep.mutations.changing import other_body
from tests.deep.mutations.expected import Expected, found, records
from tests.deep.mutations.facts import Facts, LogFacts
from tests.deep.mutations.ground import GATEWAY, OPERATOR, ORIGINS, READER, RECEIPTS, TWIN

WEIGHTS = {GATEWAY: 4, TWIN: 4, READER: 3, OPERATOR: 1, RECEIPTS: 2}


def some_log(facts: Facts, rng: Random, least: int = 1) -> LogFacts:
    """One of the logs with at least so many records; those that are long more often."""
    logs = [facts[origin] for origin in ORIGINS if facts[origin].size >= least]
    return rng.choices(logs, [WEIGHTS[log.origin] for log in logs])[0]


def other_log(facts: Facts, rng: Random, log: LogFacts) -> LogFacts:
    return facts[rng.choice([origin for origin in ORIGINS if origin != log.origin])]


def two_places(log: LogFacts, rng: Random) -> tuple[int, int]:
    first = log.place(rng)
    while (second := log.place(rng)) == first:
        pass
    return first, second


def altered(log: LogFacts, *indices: int) -> Expected:
    return found(*records(What.ALTERED, Layer.STORE, log.origin, indices))


# One field of one row, or of two.

Field = Callable[[Facts, Random, LogFacts, Row], tuple[str, Row]]


def in_one_row(change: Field) -> Callable[[Facts, Random], Plan]:
    """A plan that gives one row another field: altered, at its index."""

    def plan(facts: Facts, rng: Random) -> Plan:
        log = some_log(facts, rng, 2)
        index = log.place(rng)
        done, row = change(facts, rng, log, log.rows[index])
        if row == log.rows[index]:
            raise AssertionError(f"nothing was changed: {done}")

        def apply(draft: Draft) -> None:
            draft.rows(log.origin)[index] = row

        return Plan(f"record {index} of {log.origin}: {done}", apply, altered(log, index))

    return plan


def exchanged(*names: str) -> Callable[[Facts, Random], Plan]:
    """A plan that exchanges fields of two rows: both are altered, since neither opens its commitment any more."""

    def plan(facts: Facts, rng: Random) -> Plan:
        log = some_log(facts, rng, 2)
        one, other = two_places(log, rng)
        rows = log.rows[one], log.rows[other]

        def apply(draft: Draft) -> None:
            for index, mine, theirs in ((one, rows[0], rows[1]), (other, rows[1], rows[0])):
                draft.rows(log.origin)[index] = replace(mine, **_fields(theirs, names))

        said = f"{' and '.join(names)} of records {one} and {other} of {log.origin} exchanged"
        # A body may be the same as another one; its salt never is.
        same = names == ("body",) and rows[0].body == rows[1].body
        return plan(facts, rng) if same else Plan(said, apply, altered(log, one, other))

    return plan


def _fields(row: Row, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _with(row: Row, name: str, data: bytes) -> Row:
    changes: dict[str, Any] = {name: data}
    return replace(row, **changes)


def _flip(name: str) -> Field:
    def change(_: Facts, rng: Random, __: LogFacts, row: Row) -> tuple[str, Row]:
        return f"a bit of its {name}", _with(row, name, flipped(rng, getattr(row, name)))

    return change


def _cut(name: str) -> Field:
    def change(_: Facts, rng: Random, __: LogFacts, row: Row) -> tuple[str, Row]:
        data = getattr(row, name)
        length = rng.randrange(1, len(data)) if len(data) > 1 else 0
        return f"its {name} cut to {length} bytes", _with(row, name, data[:length])

    return change


def _grow(name: str) -> Field:
    def change(_: Facts, rng: Random, __: LogFacts, row: Row) -> tuple[str, Row]:
        more = rng.randbytes(rng.randrange(1, 9))
        return f"bytes behind its {name}", _with(row, name, getattr(row, name) + more)

    return change


def _empty(name: str) -> Field:
    def change(_: Facts, __: Random, ___: LogFacts, row: Row) -> tuple[str, Row]:
        return f"its {name} emptied", _with(row, name, b"")

    return change


def _twice(name: str) -> Field:
    def change(_: Facts, __: Random, ___: LogFacts, row: Row) -> tuple[str, Row]:
        return f"its {name} there twice", _with(row, name, getattr(row, name) * 2)

    return change


def _of_another_row(*names: str) -> Field:
    def change(_: Facts, rng: Random, log: LogFacts, row: Row) -> tuple[str, Row]:
        index = rng.choice([i for i in range(log.size) if getattr(log.rows[i], names[0]) != getattr(row, names[0])])
        return f"{' and '.join(names)} of record {index}", replace(row, **_fields(log.rows[index], names))

    return change


def _of_another_log(*names: str) -> Field:
    def change(facts: Facts, rng: Random, log: LogFacts, row: Row) -> tuple[str, Row]:
        other = other_log(facts, rng, log)
        index = other.place(rng)
        done = f"{' and '.join(names)} of record {index} of {other.origin}"
        return done, replace(row, **_fields(other.rows[index], names))

    return change


def _entry_value(_: Facts, rng: Random, log: LogFacts, row: Row) -> tuple[str, Row]:
    entry = log.entries[row.index]
    name = rng.choice(("kind", "source", "seq", "commitment"))
    value: Any = {
        "kind": rng.choice([kind for kind in Kind if kind is not entry.kind]),
        "source": entry.source + rng.choice(("x", "-2", "/other")),
        "seq": entry.seq + rng.choice((1, 2, 1000)),
        "commitment": rng.randbytes(32),
    }[name]
    changes: dict[str, Any] = {name: value}
    return f"another {name} in its entry", replace(row, entry=encode_entry(replace(entry, **changes)))


def _salt_value(_: Facts, rng: Random, __: LogFacts, row: Row) -> tuple[str, Row]:
    return "another salt", replace(row, salt=rng.randbytes(16))


def _body_value(_: Facts, rng: Random, log: LogFacts, row: Row) -> tuple[str, Row]:
    done, body = other_body(rng, log, row.index)
    return done, replace(row, body=body)


def _without_body(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng)
    index = log.place(rng)

    def apply(draft: Draft) -> None:
        draft.rows(log.origin)[index] = replace(log.rows[index], body=None)

    expected = records(What.MISSING, Layer.STORE, log.origin, [index])
    said = f"the body of record {index} of {log.origin} taken away"
    return Plan(said, apply, found(*expected, verdict=Verdict.INCONCLUSIVE))


# Whole rows.


def made_up(rng: Random, log: LogFacts, index: int) -> Row:
    """A record that never was: its entry is well formed and its body opens it."""
    _, body = other_body(rng, log, index)
    salt = rng.randbytes(16)
    entry = replace(log.entries[index], commitment=commitment(salt, body))
    return Row(index, encode_entry(entry), salt, body)


def _delete(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng, 2)
    index, closed = log.place(rng), rng.random() < 0.7

    def apply(draft: Draft) -> None:
        rows = draft.rows(log.origin)
        del rows[index]
        if closed:
            renumber(rows)

    said = f"record {index} of {log.origin} deleted, the gap {'closed' if closed else 'left'}"
    return Plan(said, apply, found(*records(What.DELETED, Layer.STORE, log.origin, [index])))


def _delete_run(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng, 4)
    gone = log.run(rng, rng.randrange(2, min(150, log.size - 1)))

    def apply(draft: Draft) -> None:
        rows = draft.rows(log.origin)
        del rows[gone.start : gone.stop]
        renumber(rows)

    said = f"records {gone.start} to {gone.stop - 1} of {log.origin} deleted"
    return Plan(said, apply, found(*records(What.DELETED, Layer.STORE, log.origin, gone)))


def _insert(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng)
    index = log.place(rng) + (rng.random() < 0.1)
    row = made_up(rng, log, min(index, log.size - 1))
    return _inserted(log, index, row, f"a made-up record before record {index} of {log.origin}")


def _inserted(log: LogFacts, index: int, row: Row, said: str) -> Plan:
    def apply(draft: Draft) -> None:
        rows = draft.rows(log.origin)
        rows.insert(index, row)
        renumber(rows)

    return Plan(said, apply, found(*records(What.INSERTED, Layer.STORE, log.origin, [index])))


def _duplicate(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng, 2)
    index = log.place(rng)
    place = index + 1 if rng.random() < 0.5 else log.place(rng)
    # The one that stands first behind its neighbour counts as the record, the one behind it as pushed in.
    place = index + 1 if place == index else place
    return _inserted(log, place, log.rows[index], f"record {index} of {log.origin} there again before {place}")


def _insert_foreign(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng)
    other = other_log(facts, rng, log)
    index, theirs = log.place(rng), other.place(rng)
    return _inserted(
        log, index, other.rows[theirs], f"record {theirs} of {other.origin} before record {index} of {log.origin}"
    )


def _swap(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng, 2)
    one = log.place(rng)
    near = [index for index in (one - 1, one + 1) if 0 <= index < log.size]
    other = rng.choice(near) if rng.random() < 0.5 else rng.choice([i for i in range(log.size) if i != one])

    def apply(draft: Draft) -> None:
        rows = draft.rows(log.origin)
        rows[one], rows[other] = rows[other], rows[one]
        renumber(rows)

    said = f"records {one} and {other} of {log.origin} exchanged"
    return Plan(said, apply, found(*records(What.REORDERED, Layer.STORE, log.origin, [one, other])))


def _move(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng, 4)
    index = log.place(rng)
    # To the next place it would be an exchange.
    to = rng.choice([place for place in range(log.size) if abs(place - index) > 1])

    def apply(draft: Draft) -> None:
        rows = draft.rows(log.origin)
        rows.insert(to, rows.pop(index))
        renumber(rows)

    said = f"record {index} of {log.origin} moved to place {to}"
    return Plan(said, apply, found(*records(What.REORDERED, Layer.STORE, log.origin, [index])))


def _renumber(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng, 4)
    index = rng.choice([log.size - 1, rng.randrange(log.size - 2)])
    number = rng.choice((log.size + rng.randrange(1, 300), 2**40))

    def apply(draft: Draft) -> None:
        rows = draft.rows(log.origin)
        rows.append(replace(rows.pop(index), index=number))

    said = f"record {index} of {log.origin} numbered {number}"
    return Plan(said, apply, found(*records(What.REORDERED, Layer.STORE, log.origin, [index])))


def _reverse(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng, 6)
    run = log.run(rng, rng.randrange(2, min(40, log.size)))
    # The one in the middle stays where it is.
    moved = [index for index in run if index != run.start + run.stop - 1 - index]

    def apply(draft: Draft) -> None:
        rows = draft.rows(log.origin)
        rows[run.start : run.stop] = rows[run.start : run.stop][::-1]
        renumber(rows)

    said = f"records {run.start} to {run.stop - 1} of {log.origin} in reverse"
    return Plan(said, apply, found(*records(What.REORDERED, Layer.STORE, log.origin, moved)))


def _truncate(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng, 2)
    size = log.place(rng) if rng.random() < 0.7 else log.size - rng.randrange(1, min(4, log.size))

    def apply(draft: Draft) -> None:
        del draft.rows(log.origin)[size:]

    said = f"{log.origin} cut off behind {size} records, its checkpoints left"
    return Plan(said, apply, found(*records(What.DELETED, Layer.STORE, log.origin, range(size, log.size))))


def _overwrite(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng, 8)
    length = rng.choice((1, 1, 1, 2, 3, rng.randrange(1, log.size // 4)))
    run = log.run(rng, length)
    start = rng.choice([i for i in range(log.size - length + 1) if abs(i - run.start) >= length])
    return _put(log, run, [log.rows[start + place] for place in range(length)], f"overwritten with those from {start}")


def _overwrite_foreign(facts: Facts, rng: Random) -> Plan:
    log = some_log(facts, rng, 2)
    other = other_log(facts, rng, log)
    length = rng.randrange(1, min(5, log.size, other.size))
    run, theirs = log.run(rng, length), other.run(rng, length)
    rows = [other.rows[index] for index in theirs]
    return _put(log, run, rows, f"overwritten with those of {other.origin} from {theirs.start}")


def _rewrite(facts: Facts, rng: Random) -> Plan:
    """Everything from one record on with new salts, so that each opens, and none is what was signed."""
    log = some_log(facts, rng, 2)
    first = log.place(rng)
    rows = []
    for index in range(first, log.size):
        salt, body = rng.randbytes(16), log.rows[index].body or b""
        entry = replace(log.entries[index], commitment=commitment(salt, body))
        rows.append(Row(index, encode_entry(entry), salt, body))
    return _put(log, range(first, log.size), rows, "made anew with other salts")


def _put(log: LogFacts, run: range, rows: list[Row], done: str) -> Plan:
    def apply(draft: Draft) -> None:
        changed = draft.rows(log.origin)
        changed[run.start : run.stop] = rows
        renumber(changed)

    said = f"records {run.start} to {run.stop - 1} of {log.origin} {done}"
    return Plan(said, apply, altered(log, *run))


def _cells(layer: str, name: str) -> list[Cell]:
    return [
        Cell(layer, "flip a bit", BYTES, in_one_row(_flip(name))),
        Cell(layer, "delete", BYTES, in_one_row(_empty(name))),
        Cell(layer, "insert", BYTES, in_one_row(_grow(name))),
        Cell(layer, "truncate", BYTES, in_one_row(_cut(name))),
        Cell(layer, "duplicate", BYTES, in_one_row(_twice(name))),
        Cell(layer, "swap", BYTES, exchanged(name)),
        Cell(layer, "replace by a genuine one", BYTES, in_one_row(_of_another_row(name))),
        Cell(layer, "move across logs", BYTES, in_one_row(_of_another_log(name))),
    ]


CELLS = [
    *_cells("store: entries", "entry"),
    Cell("store: entries", "change a value", BYTES, in_one_row(_entry_value)),
    *_cells("store: salts", "salt"),
    Cell("store: salts", "change a value", BYTES, in_one_row(_salt_value)),
    *_cells("store: bodies", "body"),
    Cell("store: bodies", "change a value", BYTES, in_one_row(_body_value)),
    Cell("store: bodies", "take away", BYTES, _without_body),
    Cell("store: bodies", "swap, with their salts", BYTES, exchanged("salt", "body")),
    Cell("store: bodies", "replace, with its salt", BYTES, in_one_row(_of_another_row("salt", "body"))),
    Cell("store: rows", "delete", BYTES, _delete),
    Cell("store: rows", "delete a run", BYTES, _delete_run),
    Cell("store: rows", "insert", BYTES, _insert),
    Cell("store: rows", "insert from another log", BYTES, _insert_foreign),
    Cell("store: rows", "duplicate", BYTES, _duplicate),
    Cell("store: rows", "swap", BYTES, _swap),
    Cell("store: rows", "move", BYTES, _move),
    Cell("store: rows", "renumber", BYTES, _renumber),
    Cell("store: rows", "reverse", BYTES, _reverse),
    Cell("store: rows", "truncate the tail", BYTES, _truncate),
    Cell("store: rows", "replace by genuine ones", BYTES, _overwrite),
    Cell("store: rows", "replace from another log", BYTES, _overwrite_foreign),
    Cell("store: rows", "rewrite a suffix", BYTES, _rewrite),
]
