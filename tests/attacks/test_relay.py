"""How a stream is taken apart, and that bytes of no meaning are not given one."""

from hypothesis import given
from hypothesis import strategies as st

from testbed.attacks.opcua_bytes import HEAD, chunk_length, places_of, values_in
from testbed.attacks.relay import Splitter


def chunk(body: bytes, final: bytes = b"F") -> bytes:
    return b"MSG" + final + (24 + len(body)).to_bytes(4, "little") + bytes(16) + body


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_no_read(data: bytes) -> None:
    assert places_of(data, "cell.control.level_setpoint") == []
    assert values_in(data) == []


@given(st.binary(max_size=300), st.lists(st.integers(0, 40), max_size=20))
def test_a_splitter_loses_nothing_however_bytes_come(data: bytes, sizes: list[int]) -> None:
    splitter = Splitter(HEAD, chunk_length)
    stream = chunk(b"one") + chunk(b"two", b"C") + data
    found, at = [], 0
    for size in [*sizes, len(stream)]:
        found += splitter.feed(stream[at : at + size])
        at += size
    assert found[:2] == [chunk(b"one"), chunk(b"two", b"C")]
    assert stream.startswith(b"".join(found))
    # What is kept is the beginning of a message that was announced.
    rest = stream[len(b"".join(found)) :]
    assert len(rest) < HEAD or (chunk_length(rest[:HEAD]) or 0) > len(rest)
