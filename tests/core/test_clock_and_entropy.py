"""Time and chance are handed in: the same hands give the same bytes."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.core.clock import SystemClock, VirtualClock
from testbed.core.entropy import SeededEntropy, SystemEntropy

SEEDS = st.integers(-(2**70), 2**70)
LABELS = st.text(max_size=12)


@given(SEEDS, LABELS, st.lists(st.integers(0, 200), max_size=12))
def test_a_seeded_stream_is_the_same_in_pieces_of_any_size(seed: int, label: str, pieces: list[int]) -> None:
    entropy = SeededEntropy(seed, label)
    taken = [entropy.take(count) for count in pieces]
    assert [len(piece) for piece in taken] == pieces
    assert b"".join(taken) == SeededEntropy(seed, label).take(sum(pieces))


@given(SEEDS, LABELS, SEEDS, LABELS)
def test_another_seed_or_label_is_another_stream(seed: int, label: str, seed2: int, label2: str) -> None:
    same = (seed, label) == (seed2, label2)
    assert (SeededEntropy(seed, label).take(32) == SeededEntropy(seed2, label2).take(32)) == same


def test_a_stream_does_not_repeat_itself() -> None:
    data = SeededEntropy(1, "salts").take(16 * 4096)
    assert len({data[i : i + 16] for i in range(0, len(data), 16)}) == 4096


def test_the_stream_of_a_seed_is_fixed_for_good() -> None:
    # SHA-256(SHA-256("7\ngateway") || 0 as 8 bytes), worked out with sha256sum.
    expected = "3c9443fbf5ba86e2363f51d924b69dabc56b70f5a801be4febc28ee7ad365b62"
    assert SeededEntropy(7, "gateway").take(32).hex() == expected


def test_the_system_s_bytes_differ() -> None:
    entropy = SystemEntropy()
    assert len(entropy.take(16)) == 16
    assert entropy.take(16) != entropy.take(16)


@given(st.integers(0, 2**62), st.lists(st.integers(0, 2**40), max_size=8))
def test_a_virtual_clock_moves_when_it_is_told_to(start: int, steps: list[int]) -> None:
    clock = VirtualClock(start)
    for step in steps:
        clock.advance(step)
        assert clock.now_ns() == clock.now_ns()
    assert clock.now_ns() == start + sum(steps)


def test_a_virtual_clock_does_not_go_back() -> None:
    clock = VirtualClock(5)
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1)
    assert clock.now_ns() == 5


def test_the_system_clock_is_the_time_in_utc_nanoseconds() -> None:
    before = time.time_ns()
    assert before <= SystemClock().now_ns() <= time.time_ns()
