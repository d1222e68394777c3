"""Attacks on stored records, by somebody who can write the database and holds no key."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

from testbed.attacks.target import Expected, Falsified, TargetLog
from testbed.core.bodies import State
from testbed.core.entry import Kind
from testbed.core.errors import UsageError
from testbed.core.finding import Layer, What
from testbed.core.tags import Value
from testbed.fieldbus.registers import decode, encode
from testbed.record.bodies import decode_body, encode_body
from testbed.record.entry import commitment, decode_entry, encode_entry

_FAR = 10**12
"""Where rows are put aside while they are renumbered."""


@contextmanager
def rewriting(log: TargetLog) -> Iterator[sqlite3.Connection]:
    """The log's database, changed in one transaction and left as one file."""
    with closing(sqlite3.connect(log.store, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def change_value(log: TargetLog, index: int, tag_name: str, value: Value | None) -> Falsified:
    """Give a tag another value in one logged state; in a record of another kind, change the last byte of its body."""
    with rewriting(log) as connection:
        entry_data, body_data = _row(connection, log, index)
        kind = decode_entry(entry_data).kind
        if kind is Kind.STATE:
            changed, done = other_value(log, body_data, tag_name, value)
        else:
            changed, done = body_data[:-1] + bytes([body_data[-1] ^ 1]), "its last byte was changed"
        connection.execute("UPDATE records SET body = ? WHERE idx = ?", (changed, index))
    return _falsified(log, What.ALTERED, index, f"{_name(log, index)}: {done}, in the store")


def delete(log: TargetLog, index: int) -> Falsified:
    """Take a record out and close the gap."""
    with rewriting(log) as connection:
        _row(connection, log, index)
        connection.execute("DELETE FROM records WHERE idx = ?", (index,))
        _renumber(connection, index, -1)
    return _falsified(log, What.DELETED, index, f"{_name(log, index)} was deleted from the store, the gap closed")


def insert(log: TargetLog, index: int) -> Falsified:
    """Push a made-up record in: a copy of the one that stands there, with salt and commitment of its own."""
    with rewriting(log) as connection:
        entry_data, body_data = _row(connection, log, index)
        salt = hashlib.sha256(body_data).digest()[:16]
        entry = replace(decode_entry(entry_data), commitment=commitment(salt, body_data))
        _renumber(connection, index - 1, 1)
        connection.execute("INSERT INTO records VALUES (?, ?, ?, ?)", (index, encode_entry(entry), salt, body_data))
    return _falsified(log, What.INSERTED, index, f"{_name(log, index)} was made up and pushed into the store")


def swap(log: TargetLog, index: int) -> Falsified:
    """Exchange a record with the one behind it, or before it where it is the last."""
    with rewriting(log) as connection:
        (count,) = connection.execute("SELECT count(*) FROM records").fetchone()
        other = index + 1 if index + 1 < count else index - 1
        _row(connection, log, index)
        for old, new in ((index, _FAR), (other, index), (_FAR, other)):
            connection.execute("UPDATE records SET idx = ? WHERE idx = ?", (new, old))
    first, second = sorted((index, other))
    one, two = _expected(log, What.REORDERED, first), _expected(log, What.REORDERED, second)
    return Falsified(f"records {first} and {second} of {log.origin} were exchanged in the store", (one, two))


def other_value(log: TargetLog, body_data: bytes, tag_name: str, value: Value | None) -> tuple[bytes, str]:
    """A state's body with another value of one tag (by default one more, or the opposite), and what that means."""
    state = decode_body(Kind.STATE, body_data)
    names = [tag.name for tag in log.tags]
    if not isinstance(state, State) or tag_name not in names:
        raise UsageError(f"there is no tag {tag_name!r}", f"name one of {', '.join(names)}")
    place = names.index(tag_name)
    tag, raw = log.tags[place], state.values[place]
    if raw is None:
        raise UsageError(f"{tag_name} has no value in this record", "choose another tag or record")
    old = decode(tag, raw)
    new = value if value is not None else (not old if isinstance(old, bool) else type(old)(old + 1))
    values = (*state.values[:place], encode(tag, new), *state.values[place + 1 :])
    if values == state.values:
        raise UsageError(f"{tag_name} is {old} already in this record", "choose another value with --to")
    return encode_body(
        replace(state, values=values)
    ), f"{tag_name} was changed from {old:g} to {new:g} {tag.unit}".rstrip()


def _renumber(connection: sqlite3.Connection, above: int, by: int) -> None:
    connection.execute("UPDATE records SET idx = idx + ? WHERE idx > ?", (_FAR, above))
    connection.execute("UPDATE records SET idx = idx - ? WHERE idx > ?", (_FAR - by, _FAR // 2))


def _row(connection: sqlite3.Connection, log: TargetLog, index: int) -> tuple[bytes, bytes]:
    row = connection.execute("SELECT entry, body FROM records WHERE idx = ?", (index,)).fetchone()
    if row is None:
        raise UsageError(f"{log.origin} has no record {index}", "choose an index below the log's size")
    return row[0], row[1]


def _falsified(log: TargetLog, what: What, index: int, done: str) -> Falsified:
    return Falsified(done, (_expected(log, what, index),))


def _expected(log: TargetLog, what: What, index: int) -> Expected:
    return Expected(what, Layer.STORE, _name(log, index), log.origin, index)


def _name(log: TargetLog, index: int) -> str:
    return f"record {index} of {log.origin}"
