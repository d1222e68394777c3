"""What is read of a leaf without decoding it is what decoding says."""

from hypothesis import given
from hypothesis import strategies as st

from testbed.core.entry import Entry, Kind
from testbed.record.entry import encode_entry
from testbed.record.heads import COMMITMENT_SIZE, HEAD_SIZE, peek_kind, seq_part, source_part


@given(st.sampled_from(list(Kind)), st.text(st.characters(codec="utf-8"), max_size=300), st.integers(0, 2**64 - 1))
def test_kind_source_and_number_stand_where_they_are_sought(kind: Kind, source: str, seq: int) -> None:
    data = encode_entry(Entry(kind, source, seq, bytes(COMMITMENT_SIZE)))
    assert peek_kind(data) == kind
    assert data[HEAD_SIZE:-COMMITMENT_SIZE] == source_part(source) + seq_part(seq)


@given(st.binary(max_size=4))
def test_what_does_not_begin_as_a_leaf_has_no_kind(data: bytes) -> None:
    assert (peek_kind(data) == -1) == (data[:2] != b"\x85\x01" or len(data) < 3)
