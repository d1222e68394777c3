"""Entries that are put together from parts are those of the encoder, to the byte."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from testbed.core.entry import Entry, Kind
from testbed.core.errors import InvalidData
from testbed.record.entry import MAX_ENTRY, encode_entry
from testbed.record.heads import COMMITMENT_SIZE, HEAD_SIZE, KIND_HEADS, SEQ_END, peek_kind, seq_part, source_part

EDGES = [number + more for number in (24, 2**8, 2**16, 2**32) for more in (-1, 0)]
seqs = st.sampled_from([0, *EDGES, SEQ_END - 1]) | st.integers(0, SEQ_END - 1)


@given(st.sampled_from(Kind), st.text(max_size=300), seqs, st.binary(min_size=32, max_size=32))
@example(Kind.STATE, "cell", 24, bytes(32))
def test_parts_make_the_entry(kind: Kind, source: str, seq: int, commitment: bytes) -> None:
    whole = KIND_HEADS[kind] + source_part(source) + seq_part(seq) + commitment
    assert whole == encode_entry(Entry(kind, source, seq, commitment))


def test_a_source_that_no_entry_has_room_for_is_refused() -> None:
    longest = "x" * (MAX_ENTRY - 3 - 3 - 9 - 2 - 32)
    whole = KIND_HEADS[Kind.STATE] + source_part(longest) + seq_part(SEQ_END - 1) + bytes(32)
    assert len(whole) == MAX_ENTRY
    assert whole == encode_entry(Entry(Kind.STATE, longest, SEQ_END - 1, bytes(32)))
    with pytest.raises(InvalidData, match="a source of"):
        source_part(longest + "x")


@given(st.sampled_from(list(Kind)), st.text(st.characters(codec="utf-8"), max_size=300), st.integers(0, 2**64 - 1))
def test_kind_source_and_number_stand_where_they_are_sought(kind: Kind, source: str, seq: int) -> None:
    data = encode_entry(Entry(kind, source, seq, bytes(COMMITMENT_SIZE)))
    assert peek_kind(data) == kind
    assert data[HEAD_SIZE:-COMMITMENT_SIZE] == source_part(source) + seq_part(seq)


@given(st.binary(max_size=4))
def test_what_does_not_begin_as_a_leaf_has_no_kind(data: bytes) -> None:
    assert (peek_kind(data) == -1) == (data[:2] != b"\x85\x01" or len(data) < 3)
