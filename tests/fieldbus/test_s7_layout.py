"""Reads of an S7 controller: all tags are in them, none is longer than a PDU, and few are needed."""

from hypothesis import given
from hypothesis import strategies as st

from testbed.fieldbus.s7_address import Area, S7Address, parse
from testbed.fieldbus.s7_layout import MOST_ITEMS, Span, most_bytes, offsets, requests, spans
from testbed.fieldbus.s7_reads import Place, prepared, take
from testbed.fieldbus.s7_wire import read_request
from tests.fieldbus.test_s7_address import addresses

NEAR = st.builds(
    lambda block, byte, size: S7Address(Area.DATA_BLOCK, block, byte, None, size),
    st.integers(1, 2),
    st.integers(0, 600),
    st.sampled_from([1, 2, 4, 8]),
)


def answer_to(members: tuple[Span, ...]) -> bytes:
    """What a controller says whose byte at n holds n."""
    data = bytearray()
    for at, span in enumerate(members):
        data += b"\xff\x04" + (8 * span.size).to_bytes(2, "big")
        data += bytes((span.start + i) & 0xFF for i in range(span.size))
        data += b"\0" * (span.size % 2 if at < len(members) - 1 else 0)
    return bytes(10) + bytes(2) + bytes((4, len(members))) + bytes(data)


@given(st.lists(addresses() | NEAR, max_size=40), st.integers(0, 50), st.integers(64, 960))
def test_every_tag_is_read_within_the_pdu(places: list[S7Address], gap: int, pdu: int) -> None:
    wanted = dict(enumerate(places))
    found = requests(spans(wanted, gap, most_bytes(pdu)), pdu)
    assert sorted(place for members in found for span in members for place in span.tags) == sorted(wanted)
    for members in found:
        assert len(members) <= MOST_ITEMS
        assert len(read_request(members)) <= pdu
        assert len(answer_to(members)) <= pdu
        for span in members:
            for place in span.tags:
                at = wanted[place]
                assert (at.area, at.db) == (span.area, span.db)
                assert span.start <= at.byte
                assert at.byte + at.size <= span.start + span.size
            # Nothing is read along but gaps.
            taken = {byte for place in span.tags for byte in range(wanted[place].byte, wanted[place].byte + 8)}
            assert span.size <= len(taken) + gap * len(span.tags)


@given(st.lists(NEAR, min_size=1, max_size=60), st.integers(0, 20), st.integers(64, 480))
def test_what_is_cut_out_of_an_answer_is_what_stands_there(places: list[S7Address], gap: int, pdu: int) -> None:
    wanted = [Place(at) for at in places]
    values: list[bytes | None] = [None] * len(places)
    for members in requests(spans(dict(enumerate(places)), gap, most_bytes(pdu)), pdu):
        assert take(prepared(members, wanted), answer_to(members), values) == {}
    for at, value in zip(places, values, strict=True):
        stands = bytes((at.byte + i) & 0xFF for i in range(at.size))
        assert value == (stands if at.size > 1 else b"\0" + stands)


def test_a_block_without_gaps_is_one_span() -> None:
    wanted = {place: parse(f"DB1.DBD{4 * place}") for place in range(50)}
    (span,) = spans(wanted, 0, most_bytes(240))
    assert (span.start, span.size) == (0, 200)
    assert str(span) == "DB1.DBB0..199"


def test_a_gap_is_read_along_up_to_its_limit() -> None:
    wanted = {0: parse("MW0"), 1: parse("MW18"), 2: parse("MW37")}
    assert [str(span) for span in spans(wanted, 16, 200)] == ["MB0..19", "MB37..38"]


def test_bits_and_their_word_share_a_span() -> None:
    wanted = {0: parse("DB1.DBX0.0"), 1: parse("DB1.DBX1.7"), 2: parse("DB1.DBW0")}
    assert [str(span) for span in spans(wanted, 0, 200)] == ["DB1.DBB0..1"]


def test_those_that_stand_apart_share_no_span() -> None:
    wanted = {0: parse("MW0"), 1: parse("MW2"), 2: parse("MW4"), 3: parse("MW6")}
    assert [span.tags for span in spans(wanted, 16, 200, frozenset({1}))] == [(0,), (1,), (2, 3)]


def test_an_odd_span_is_filled_up_where_another_follows() -> None:
    members = (Span(Area.MEMORY, 0, 0, 3, (0,)), Span(Area.MEMORY, 0, 10, 1, (1,)))
    assert offsets(members) == [18, 26]
    assert answer_to(members)[26] == 10
