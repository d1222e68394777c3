"""Alignment: what was done to a sequence of unique hashes is named, and nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from testbed.core.finding import What
from testbed.verify.alignment import Edit, align

Done = tuple[What, int]

_KINDS = (What.DELETED, What.INSERTED, What.ALTERED, What.REORDERED)


def _digest(number: int) -> bytes:
    return number.to_bytes(32, "big")


@st.composite
def edited(draw: st.DrawFn) -> tuple[list[bytes], list[bytes], set[Done]]:
    """A log, what is left of it after one to three edits that do not touch each other, and what was done."""
    size = draw(st.integers(1, 60))
    log = [_digest(1000 + i) for i in range(size)]
    slots = draw(st.lists(st.integers(0, (size - 1) // 3), min_size=0, max_size=3, unique=True))
    done: set[Done] = set()
    found = list(log)
    for index in sorted((3 * slot for slot in slots), reverse=True):
        kind = draw(st.sampled_from(_KINDS))
        if kind is What.DELETED:
            del found[index]
        elif kind is What.INSERTED:
            found.insert(index, _digest(5000 + index))
        elif kind is What.ALTERED:
            found[index] = _digest(5000 + index)
        elif index + 1 < size:
            found[index], found[index + 1] = found[index + 1], found[index]
            done.add((kind, index + 1))
        else:
            continue
        done.add((kind, index))
    return log, found, done


def _named(edits: list[Edit]) -> list[Done]:
    return [(edit.what, edit.index) for edit in edits]


@given(edited())
def test_exactly_what_was_done_is_named(case: tuple[list[bytes], list[bytes], set[Done]]) -> None:
    log, found, done = case
    named = _named(align(log, found))
    assert set(named) == done
    assert len(named) == len(done)


@given(st.integers(0, 80))
def test_an_untouched_log_has_no_edits(size: int) -> None:
    log = [_digest(i + 1) for i in range(size)]
    assert align(log, log) == []


@given(edited(), st.data())
def test_where_nothing_is_known_anything_may_stand(
    case: tuple[list[bytes], list[bytes], set[Done]], data: st.DataObject
) -> None:
    log, _, _ = case
    unknown = data.draw(st.sets(st.integers(0, len(log) - 1)))
    expected = [None if i in unknown else digest for i, digest in enumerate(log)]
    found = [_digest(9000 + i) if i in unknown else digest for i, digest in enumerate(log)]
    assert align(expected, found) == []


def test_two_records_far_apart_that_change_places_are_both_named() -> None:
    log = [_digest(i + 1) for i in range(40)]
    found = list(log)
    found[3], found[30] = found[30], found[3]
    assert _named(align(log, found)) == [(What.REORDERED, 3), (What.REORDERED, 30)]


def test_a_record_that_stands_twice_was_inserted() -> None:
    log = [_digest(i + 1) for i in range(10)]
    assert _named(align(log, [*log, log[4]])) == [(What.INSERTED, 10)]


def test_an_empty_store_has_lost_everything() -> None:
    log = [_digest(i + 1) for i in range(4)]
    assert _named(align(log, [])) == [(What.DELETED, i) for i in range(4)]
    assert _named(align([], log)) == [(What.INSERTED, 0)] * 4
