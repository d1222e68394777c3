"""A bench is one person's at a time; a lease ends by its time or its holder, and whoever runs under it is told."""

import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testbed.core.clock import VirtualClock
from testbed.core.entropy import SeededEntropy
from testbed.core.errors import LeaseError, StoreError
from testbed.guard.lease import Lease, Person, holder, refuse_reserved, release

HOUR = 3600 * 10**9
EVE, BOB = Person("eve", "lab", 7), Person("bob", "lab", 8)
ENTROPY = SeededEntropy(1, "lease")
RACER = Path(__file__).with_name("racer.py")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(1_796_000_000 * 10**9)


def reserve(folder: Path, person: Person, clock: VirtualClock, hours: int = 2) -> Lease:
    return Lease.reserve(folder, person, hours * HOUR, clock, ENTROPY, "night run")


def test_it_is_held_until_its_time_is_over(tmp_path: Path, clock: VirtualClock) -> None:
    assert holder(tmp_path, clock) is None
    lease = reserve(tmp_path, EVE, clock)
    held = holder(tmp_path, clock)
    assert held == lease.held
    assert held is not None
    assert str(held).startswith("eve@lab (process 7) since 2026-11-30T")
    assert str(held).endswith(": night run")
    for person in (BOB, EVE):
        with pytest.raises(LeaseError, match="reserved by eve@lab"):
            reserve(tmp_path, person, clock)
    clock.advance(2 * HOUR - 1)
    lease.check()
    refuse_reserved(tmp_path, EVE, clock)
    with pytest.raises(LeaseError):
        refuse_reserved(tmp_path, BOB, clock)
    clock.advance(1)
    assert holder(tmp_path, clock) is None
    with pytest.raises(LeaseError, match="was over at 2026-11-30T"):
        lease.check()
    with pytest.raises(LeaseError):
        lease.extend(HOUR)
    refuse_reserved(tmp_path, BOB, clock)
    reserve(tmp_path, BOB, clock)


def test_a_dead_holder_keeps_it_until_then(tmp_path: Path, clock: VirtualClock) -> None:
    """The process that reserved has ended, as that of `testbed reserve` has; nobody guesses from that."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    reserve(tmp_path, replace(EVE, pid=dead.pid), clock)
    with pytest.raises(LeaseError):
        reserve(tmp_path, BOB, clock)


def test_a_run_joins_what_its_user_reserved(tmp_path: Path, clock: VirtualClock) -> None:
    assert Lease.join(tmp_path, EVE, clock) is None
    reserve(tmp_path, EVE, clock)
    joined = Lease.join(tmp_path, Person("eve", "lab", 99), clock)
    assert joined is not None
    joined.check()
    assert Lease.join(tmp_path, BOB, clock) is None
    assert Lease.join(tmp_path, Person("eve", "elsewhere", 7), clock) is None


def test_a_lost_lease_ends_what_runs_under_it(tmp_path: Path, clock: VirtualClock) -> None:
    lease = reserve(tmp_path, EVE, clock)
    with pytest.raises(LeaseError, match="reserved by eve"):
        release(tmp_path, BOB, clock)
    lease.check()
    assert release(tmp_path, BOB, clock, force=True) == lease.held
    with pytest.raises(LeaseError, match="was released while it was in use"):
        lease.check()
    other = reserve(tmp_path, BOB, clock)
    with pytest.raises(LeaseError, match="taken while it was in use, by bob"):
        lease.check()
    lease.release()  # it is not eve's any more
    other.check()


def test_it_is_extended_from_now(tmp_path: Path, clock: VirtualClock) -> None:
    lease = reserve(tmp_path, EVE, clock, hours=1)
    clock.advance(HOUR // 2)
    lease.extend(HOUR)
    clock.advance(HOUR - 1)
    lease.check()
    clock.advance(1)
    with pytest.raises(LeaseError):
        lease.check()


def test_it_is_given_back(tmp_path: Path, clock: VirtualClock) -> None:
    lease = reserve(tmp_path, EVE, clock)
    lease.release()
    assert holder(tmp_path, clock) is None
    assert release(tmp_path, BOB, clock) is None
    reserve(tmp_path, BOB, clock)
    assert release(tmp_path, BOB, clock) is not None


@pytest.mark.parametrize(
    "damage",
    ["", "{", "[]", "null", '{"user": "eve"}', lambda text: text.replace('"pid": 7', '"pid": "7"'), lambda _: "\xff"],
)
def test_a_damaged_file_is_nobodys_and_does_not_free_the_bench(
    tmp_path: Path, clock: VirtualClock, damage: object
) -> None:
    lease = reserve(tmp_path, EVE, clock)
    path = tmp_path / "lease.json"
    text = damage if isinstance(damage, str) else damage(path.read_text())  # type: ignore[operator]
    path.write_bytes(text.encode("latin-1"))
    for attempt in (
        lambda: reserve(tmp_path, BOB, clock),
        lambda: holder(tmp_path, clock),
        lambda: release(tmp_path, EVE, clock),
        lease.check,
    ):
        with pytest.raises(StoreError) as raised:
            attempt()
        assert "--force" in raised.value.mend
    release(tmp_path, EVE, clock, force=True)
    reserve(tmp_path, BOB, clock)


def test_of_many_that_reserve_at_once_exactly_one_wins(tmp_path: Path) -> None:
    rounds, users = 20, ("eve", "bob", "kim")
    racers = [
        subprocess.Popen(
            [sys.executable, str(RACER), str(tmp_path), user, str(rounds)], stdout=subprocess.PIPE, text=True
        )
        for user in users
    ]
    try:
        deadline = time.monotonic() + 60
        while not all((tmp_path / f"ready-{user}").exists() for user in users):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        for number in range(rounds):
            (tmp_path / f"go-{number}").touch()
        said = [racer.communicate(timeout=60)[0].split() for racer in racers]
    finally:
        for racer in racers:
            racer.kill()
            racer.wait()
    won = Counter(number for words in said for number, end in zip(words[::2], words[1::2], strict=True) if end == "won")
    assert won == {str(number): 1 for number in range(rounds)}
    assert [len(words) for words in said] == [2 * rounds] * len(users)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["reserve", "release", "force", "wait", "check"]), st.booleans()), max_size=30
    )
)
def test_it_agrees_with_ten_lines_that_say_the_same(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, bool]]
) -> None:
    folder, clock = tmp_path_factory.mktemp("lease"), VirtualClock(10**18)
    leases: dict[Person, Lease] = {}
    owner, until = None, 0
    for step, eve in steps:
        person = EVE if eve else BOB
        free = owner is None or clock.now_ns() >= until
        if step == "wait":
            clock.advance(HOUR)
        elif step == "reserve" and free:
            leases[person] = reserve(folder, person, clock)
            owner, until = person, clock.now_ns() + 2 * HOUR
        elif step == "reserve":
            with pytest.raises(LeaseError):
                reserve(folder, person, clock)
        elif step == "check" and person in leases:
            if person == owner and not free:
                leases[person].check()
            else:
                with pytest.raises(LeaseError):
                    leases[person].check()
        elif step in ("release", "force"):
            if not free and owner != person and step == "release":
                with pytest.raises(LeaseError):
                    release(folder, person, clock)
            else:
                assert (release(folder, person, clock, force=step == "force") is None) is free
                owner = None
        held = holder(folder, clock)
        assert (None if held is None else held.user) == (
            None if owner is None or clock.now_ns() >= until else owner.user
        )
