"""Times against blocks: between beacon and anchor they fit, outside they are found; clocks may be a little apart."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.bodies import Beacon, State
from testbed.core.finding import Layer, Verdict, What
from testbed.verify.dated import check_dates

S = 10**9
SKEW = S // 2
BLOCKS = {bytes([number]) * 32: 100 + 10 * number for number in range(5)}


def beacon(number: int) -> Beacon:
    return Beacon(1, number, bytes([number]) * 32)


def at(read_ns: int, device_ns: int | None = None) -> State:
    return State(1, 1, device_ns, read_ns, (b"\x00",), (0,))


def check(records: Sequence[State | Beacon], anchors: list[tuple[int, int]]) -> list[tuple[int | None, str]]:
    found = check_dates("bench/gateway", enumerate(records), BLOCKS, anchors, SKEW)
    assert {(one.what, one.layer, one.verdict, one.origin) for one in found} <= {
        (What.BACK_DATED, Layer.CLOCK, Verdict.INCONCLUSIVE, "bench/gateway")
    }
    return [(one.index, one.detail) for one in found]


@pytest.mark.parametrize("time_ns", [110 * S, 115 * S, 120 * S, 121 * S - 1, 110 * S - SKEW, 121 * S + SKEW - 1])
def test_between_the_two_blocks_and_a_little_beside_them(time_ns: int) -> None:
    assert check([beacon(1), at(time_ns, time_ns)], [(2, 120)]) == []


def test_a_time_before_the_beacon() -> None:
    assert check([beacon(1), at(110 * S - SKEW - 1)], [(2, 120)]) == [
        (1, "by its own word it was read 0.5 s before the block of the beacon that stands before it")
    ]


def test_a_time_after_the_anchor() -> None:
    assert check([beacon(1), at(121 * S + SKEW)], [(2, 120)]) == [
        (1, "by its own word it was read 1.5 s after the block of the anchor that covers it")
    ]


def test_the_clock_of_the_device_is_another_one() -> None:
    said = "by its own word it was taken by the device 95.0 s before the block of the beacon that stands before it"
    records: Sequence[State | Beacon] = [beacon(1), at(115 * S, 15 * S), at(116 * S, None), at(116 * S, 16 * S)]
    assert check(records, [(4, 120)]) == [(1, f"{said}; so are 1 more, up to record 3")]


def test_the_nearest_blocks_count() -> None:
    records: Sequence[State | Beacon] = [at(100 * S), beacon(1), at(112 * S), beacon(2), at(112 * S), at(140 * S)]
    anchors = [(3, 115), (5, 125), (6, 135)]
    assert [index for index, _ in check(records, anchors)] == [4]
    assert check(records, anchors)[0][1].endswith("; so are 1 more, up to record 5")


def test_what_no_anchor_covers_yet_and_no_known_beacon_stands_before_says_nothing() -> None:
    assert check([at(5 * S), Beacon(1, 99, b"\xff" * 32), at(5 * S)], []) == []
    assert check([beacon(4), Beacon(1, 99, b"\xff" * 32), at(150 * S), at(5 * S)], [(2, 100)])[0][0] == 3


@given(st.lists(st.integers(0, 50_000), min_size=1, max_size=30), st.integers(1, 5))
def test_a_log_whose_blocks_are_made_by_its_own_clock_is_in_time(steps_ms: list[int], every: int) -> None:
    """As the bench's node makes them: whole seconds, rounded down, and a block after each few states."""
    now, number, records, anchors, times = 0, 0, list[State | Beacon](), list[tuple[int, int]](), dict[bytes, int]()
    for place, step in enumerate(steps_ms):
        now += step * 10**6
        records.append(at(now, now))
        if place % every == 0:
            number += 1
            block = number.to_bytes(32, "big")
            times[block] = now // S
            anchors.append((len(records), now // S))
            records.append(Beacon(1, number, block))
    assert check_dates("bench/gateway", enumerate(records), times, anchors, 0) == []
