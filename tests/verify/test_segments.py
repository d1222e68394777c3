"""Rows that are hashed in segments, by whoever has time, add up to what a look at each row by itself gives."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.bodies import Body, Event, Genesis, Heartbeat
from testbed.core.entry import Entry, Row
from testbed.core.errors import InvalidData
from testbed.merkle.tree import Tree, leaf_hash
from testbed.record.bodies import decode_body, encode_body, kind_of
from testbed.record.entry import commitment, decode_entry, encode_entry
from testbed.store.stored_rows import Columns
from testbed.verify.counting import Miscount
from testbed.verify.segments import UNREADABLE, Broken, Fault, Hashed, hash_rows

SOURCES = ("bench", "cell")


def row(index: int, source: str, seq: int, body: Body | None = None) -> Row:
    body = body or (Genesis("a/b", bytes(32), "test", False) if index == 0 else Heartbeat(index, "", ()))
    data, salt = encode_body(body), index.to_bytes(16, "big")
    return Row(index, encode_entry(Entry(kind_of(body), source, seq, commitment(salt, data))), salt, data)


def honest(size: int) -> list[Row]:
    """Two sources in turn, the second one twice as often."""
    counted = dict.fromkeys(SOURCES, 0)
    rows = []
    for index in range(size):
        source = SOURCES[index % 3 > 0]
        rows.append(row(index, source, counted[source]))
        counted[source] += 1
    return rows


def columns(rows: Sequence[Row]) -> list[Columns]:
    return [(one.index, one.entry, one.salt, one.body) for one in rows]


@dataclass(frozen=True)
class Looked:
    """What a look at each row by itself gives."""

    leaves: list[bytes]
    kinds: list[int]
    faults: dict[int, Fault]


def looked_at(rows: Sequence[Row]) -> Looked:
    found = Looked([leaf_hash(one.entry) for one in rows], [], {})
    for place, one in enumerate(rows):
        kind = UNREADABLE
        try:
            entry = decode_entry(one.entry)
            kind = entry.kind
            if one.body is None:
                found.faults[place] = Fault(Broken.ERASED)
            elif commitment(one.salt, one.body) != entry.commitment:
                found.faults[place] = Fault(Broken.UNOPENED)
            else:
                decode_body(entry.kind, one.body)
        except InvalidData as error:
            found.faults[place] = Fault(Broken.UNREADABLE, str(error))
        found.kinds.append(kind)
    return found


def miscount(rows: Sequence[Row]) -> Miscount | None:
    """The first readable entry that is not the next one of its source."""
    due: dict[str, int] = {}
    for place, one in enumerate(rows):
        try:
            entry = decode_entry(one.entry)
        except InvalidData:
            continue
        if entry.seq != due.get(entry.source, 0):
            return Miscount(place, entry.source, entry.seq, due.get(entry.source, 0))
        due[entry.source] = entry.seq + 1
    return None


def check(rows: Sequence[Row], found: Hashed) -> None:
    looked = looked_at(rows)
    assert len(found) == len(rows)
    assert list(found.packed()) == looked.leaves
    assert found.packed().tree.root() == Tree(looked.leaves).root()
    assert list(found.kinds) == looked.kinds
    assert found.faults == looked.faults
    assert list(found.all_numbers()) == [one.index for one in rows]
    assert found.counted.from_zero() == miscount(rows)


def flip(data: bytes, at: int) -> bytes:
    return data[: at % len(data)] + bytes([data[at % len(data)] ^ 1]) + data[at % len(data) + 1 :]


@st.composite
def damaged(draw: st.DrawFn) -> list[Row]:
    """A small log to which some things were done."""
    rows = honest(draw(st.integers(1, 40)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(rows) - 1))
        one, where = rows[at], draw(st.integers(0, 80))
        rows[at] = draw(
            st.sampled_from(
                (
                    replace(one, body=flip(one.body or b"x", where)),
                    replace(one, salt=flip(one.salt or b"x", where)),
                    replace(one, salt=one.salt + b"x", body=(one.body or b"x")[1:]),
                    replace(one, entry=flip(one.entry or b"x", where)),
                    replace(one, body=None),
                    replace(one, entry=b"", salt=b""),
                    replace(one, index=one.index + 2**40),
                    row(at, SOURCES[where % 2], draw(st.sampled_from((0, 1, at, 23, 24, 2**64 - 2, 2**64 - 1)))),
                    row(at, "x" * (where % 30), 0),
                )
            )
        )
    return rows


@given(damaged(), st.lists(st.integers(0, 40), max_size=4))
def test_wherever_a_log_is_cut_its_parts_add_up(rows: list[Row], cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    whole = Hashed()
    for start, stop in pairwise(edges):
        whole.follow(hash_rows([columns(rows[start:stop])] if stop > start else [], decode=True))
    check(rows, whole)
    check(rows, hash_rows([columns([one]) for one in rows], decode=True))


@pytest.mark.parametrize("size", [255, 256, 257, 600])
def test_whole_tiles_bring_the_roots_of_their_leaves(size: int) -> None:
    rows = honest(size)
    whole = hash_rows([columns(rows)], decode=True)
    check(rows, whole)
    assert whole.faults == {}
    assert whole.in_place
    for width in (256, 100):
        parts = Hashed()
        for start in range(0, size, width):
            parts.follow(hash_rows([columns(rows[start : start + width])], decode=True))
        check(rows, parts)


def test_a_body_that_says_nothing_of_its_kind_is_seen_where_it_is_decoded() -> None:
    rows = honest(4)
    data = encode_body(Event(1, "x", b""))
    entry = encode_entry(Entry(kind_of(Heartbeat(0, "", ())), "cell", 2, commitment(bytes(16), data)))
    rows.append(Row(4, entry, bytes(16), data))
    check(rows, hash_rows([columns(rows)], decode=True))
    assert hash_rows([columns(rows)], decode=False).faults == {}


@pytest.mark.parametrize("value", [None, 7, 1.5, "text", "ä" * 40])
def test_values_of_any_type_are_no_bytes(value: object) -> None:
    rows = honest(6)
    index, entry, salt, body = columns(rows)[3]
    as_body = None if value is None else b""
    for columns_of_one, read in (
        ((index, value, salt, body), replace(rows[3], entry=b"")),
        ((index, entry, value, body), replace(rows[3], salt=b"")),
        ((index, entry, salt, value), replace(rows[3], body=as_body)),
    ):
        given = [*columns(rows[:3]), columns_of_one, *columns(rows[4:])]
        check([*rows[:3], read, *rows[4:]], hash_rows([given], decode=True))


def test_numbers_of_any_type_are_kept() -> None:
    rows = columns(honest(5))
    for number in ("text", None, 2.5, 2**70):
        given = [*rows[:3], (number, *rows[3][1:]), rows[4]]
        found = hash_rows([given[:2], given[2:]], decode=True)
        assert list(found.all_numbers()) == [0, 1, 2, number, 4]
        assert not found.in_place
        assert found.number(3) == number
