"""The search for readable addresses: all that it may find, nothing that is not there, within its number of requests."""

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.tags import ByteOrder, ModbusTable
from testbed.fieldbus.modbus_guess import float_pairs
from testbed.fieldbus.modbus_ranges import PROBES, SILENCE, Answer, Ask, Found, runs, search

HOLDING = ModbusTable.HOLDING_REGISTER
Device = Callable[[Ask], Answer]


def device(values: Mapping[int, int], most: int = 2000, code: int = 2) -> Device:
    """Refuses each read that takes in another address than those of `values`, or more than `most` of them."""

    def answer(ask: Ask) -> Answer:
        asked = range(ask.address, ask.address + ask.count)
        if ask.count > most or any(address not in values for address in asked):
            return Answer(None, code)
        return Answer(tuple(values[address] for address in asked))

    return answer


def searched(
    ask_device: Device, table: ModbusTable = HOLDING, limit: int = 3000, within: tuple[tuple[int, int], ...] = ()
) -> tuple[Found, list[Ask]]:
    """What was found, and all that was asked."""
    asked: list[Ask] = []
    looking = search(table, limit, within)
    try:
        ask = next(looking)
        while True:
            asked.append(ask)
            ask = looking.send(ask_device(ask))
    except StopIteration as done:
        return done.value, asked


spans = st.lists(st.tuples(st.sampled_from(PROBES), st.integers(0, 60), st.integers(1, 300)), min_size=1, max_size=5)


@given(spans=spans, most=st.sampled_from([1, 2, 7, 40, 64, 100, 125]), table=st.sampled_from(ModbusTable))
def test_each_range_that_holds_a_likely_address_is_found_whole(
    spans: list[tuple[int, int, int]], most: int, table: ModbusTable
) -> None:
    values = {
        address: 1
        for probe, before, length in spans
        for address in range(max(0, probe - before), min(65536, probe + length))
    }
    found, asked = searched(device(values, most), table)
    assert found.values == values
    assert found.ranges == runs(sorted(values))
    assert found.asked == len(asked) < 3000
    assert all(ask.table is table and 1 <= ask.count <= (2000 if table.is_bit else 125) for ask in asked)
    assert all(ask.address + ask.count <= 65536 for ask in asked)
    assert found.notes == ()
    # Steps double: a range of four times the limit has met it.
    longest = max(last - first + 1 for first, last in found.ranges)
    met = longest > 4 * most and most < (2000 if table.is_bit else 125)
    assert found.most in ((most,) if met else (most, None))


@given(
    values=st.dictionaries(st.integers(0, 65535), st.integers(0, 65535), max_size=200),
    limit=st.integers(0, 80),
    most=st.integers(1, 125),
)
def test_nothing_is_found_that_is_not_there_and_no_more_is_asked_than_allowed(
    values: dict[int, int], limit: int, most: int
) -> None:
    found, asked = searched(device(values, most), limit=limit)
    assert len(asked) <= limit
    assert found.values.items() <= values.items()


@given(values=st.dictionaries(st.integers(100, 260), st.integers(0, 9), max_size=80), most=st.integers(1, 125))
def test_named_addresses_are_each_looked_at_and_no_others(values: dict[int, int], most: int) -> None:
    found, asked = searched(device(values, most), within=((120, 199), (240, 250)))
    inside = {address: value for address, value in values.items() if 120 <= address <= 199 or 240 <= address <= 250}
    assert found.values == inside
    assert all(120 <= ask.address <= ask.address + ask.count - 1 <= 250 for ask in asked)


def test_one_block_costs_few_requests() -> None:
    found, asked = searched(device(dict.fromkeys(range(5000), 1)))
    assert found.ranges == ((0, 4999),)
    assert len(asked) < 100


def test_a_device_that_answers_for_memory_that_nobody_uses_is_not_read_to_its_end() -> None:
    values = {**dict.fromkeys(range(65536), 0), **dict.fromkeys(range(3, 9), 7), **dict.fromkeys(range(4100, 4120), 5)}
    found, asked = searched(device(values))
    assert len(asked) < 200
    assert [at for at in range(3, 9) if found.values.get(at) != 7] == []
    assert [at for at in range(4100, 4120) if found.values.get(at) != 5] == []
    (note,) = found.notes
    assert "in a row hold 0" in note


def test_a_meter_that_refuses_half_a_value_is_read_in_pairs() -> None:
    whole = device({**dict.fromkeys(range(80), 1), **dict.fromkeys(range(342, 346), 1)}, most=80)

    def pairs(ask: Ask) -> Answer:
        return Answer(None, 2) if ask.count % 2 or ask.address % 2 else whole(ask)

    found, _ = searched(pairs)
    assert (found.ranges, found.pairs) == (((0, 79),), True)
    found, _ = searched(pairs, within=((330, 360),))
    assert (found.ranges, found.pairs) == (((342, 345),), True)
    assert not searched(whole)[0].pairs


def test_a_table_that_is_not_served_is_asked_for_once() -> None:
    found, asked = searched(lambda _: Answer(None, 1))
    assert (len(asked), found.ranges, found.notes) == (1, (), ("the device does not serve this table",))


def test_a_device_that_falls_silent_is_left_alone() -> None:
    found, asked = searched(lambda _: Answer(None, SILENCE))
    assert len(asked) <= 4
    assert "left alone" in found.notes[0]


def test_a_search_that_was_cut_short_says_so() -> None:
    found, asked = searched(device(dict.fromkeys(range(5000), 1)), limit=10)
    assert len(asked) == 10
    assert "there may be more" in found.notes[0]


@pytest.mark.parametrize(
    ("registers", "order", "pairs"),
    [
        ([0x4366, 0x199A, 0, 0, 0x41A0, 0], ByteOrder.ABCD, {0: 230.1, 4: 20.0}),
        ([0x199A, 0x4366, 0, 0, 0, 0x41A0], ByteOrder.CDAB, {0: 230.1, 4: 20.0}),
        ([7, 0x4366, 0x199A, 0x41A0, 0], ByteOrder.ABCD, {1: 230.1, 3: 20.0}),
        ([1, 2, 3, 4, 500, 65535, 0, 32767, 0x7F80, 0], ByteOrder.ABCD, {}),
        ([0xC2C8, 0], ByteOrder.ABCD, {0: -100.0}),
    ],
)
def test_floats_are_guessed_by_their_bits(registers: list[int], order: ByteOrder, pairs: dict[int, float]) -> None:
    found = float_pairs(dict(enumerate(registers, 100)))
    assert found[0] is order
    assert found[1] == {at + 100: pytest.approx(value) for at, value in pairs.items()}


@given(st.dictionaries(st.integers(0, 300), st.integers(0, 65535), max_size=120))
def test_guessed_pairs_lie_within_what_was_read_and_do_not_overlap(values: dict[int, int]) -> None:
    _, pairs = float_pairs(values)
    taken = [address for first in pairs for address in (first, first + 1)]
    assert len(taken) == len(set(taken))
    assert set(taken) <= values.keys()
