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


def test_a_record_in_the_place_of_another_one_alters_that_one() -> None:
    log = [_digest(i + 1) for i in range(40)]
    for index, copied in ((3, 30), (30, 3), (7, 8), (8, 7), (0, 39), (39, 0)):
        found = list(log)
        found[index] = log[copied]
        assert _named(align(log, found)) == [(What.ALTERED, index)]


def test_a_run_of_records_in_the_place_of_another_run_alters_that_one() -> None:
    log = [_digest(i + 1) for i in range(40)]
    for start, copied in ((3, 30), (30, 3), (5, 10)):
        found = [*log[:start], *log[copied : copied + 5], *log[start + 5 :]]
        assert _named(align(log, found)) == [(What.ALTERED, start + i) for i in range(5)]


@given(st.integers(0, 39), st.integers(0, 39))
def test_a_record_that_was_moved_is_named_alone(index: int, to: int) -> None:
    log = [_digest(i + 1) for i in range(40)]
    found = list(log)
    found.insert(to, found.pop(index))
    named = {(What.REORDERED, index)} if to != index else set()
    # To the next place, two have changed places.
    if abs(to - index) == 1:
        named.add((What.REORDERED, to))
    assert set(_named(align(log, found))) == named


@given(st.integers(0, 39), st.integers(0, 40))
def test_a_record_that_stands_twice_was_pushed_in_once(index: int, place: int) -> None:
    log = [_digest(i + 1) for i in range(40)]
    found = list(log)
    found.insert(place, log[index])
    # Of two neighbours the first is the record.
    assert _named(align(log, found)) == [(What.INSERTED, place + 1 if place == index else place)]


def test_what_does_not_open_its_commitment_was_not_moved() -> None:
    log = [_digest(i + 1) for i in range(40)]
    found = list(log)
    found[3], found[30] = found[30], found[3]
    named = _named(align(log, found, lambda position: position not in (3, 30)))
    assert named == [(What.ALTERED, 3), (What.ALTERED, 30)]
    # In its own place there is nothing to put right: what is wrong with it is not where it stands.
    del found[0]
    found[2], found[29] = log[3], log[30]
    assert _named(align(log, found, lambda position: position not in (2, 29))) == [(What.DELETED, 0)]
