"""One process a role: the lock says so, and those who only look at it do not get in anybody's way."""

import threading
from pathlib import Path

import pytest

from testbed.core.errors import UsageError
from testbed.rig.bench import Bench, load_bench
from testbed.rig.default import default_text
from testbed.rig.locks import held_roles, role_lock
from testbed.rig.paths import Paths
from testbed.rig.status import read_status


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "bench.toml").write_text(default_text(), encoding="utf-8")
    return load_bench(tmp_path / "bench.toml")


def test_a_role_is_held_once(bench: Bench) -> None:
    with role_lock(bench, "twin"):
        assert held_roles(bench) == ["twin"]
        with pytest.raises(UsageError, match="role twin of bench water-cell runs already"), role_lock(bench, "twin"):
            pass
        assert held_roles(bench) == ["twin"]
    assert held_roles(bench) == []


def test_to_look_is_no_hold(bench: Bench) -> None:
    """Looked at all the time, a free role is neither seen as held nor refused to the one who starts it."""
    with role_lock(bench, "twin"):
        pass
    done = threading.Event()
    seen: list[str] = []

    def look() -> None:
        while not done.is_set():
            seen.extend(held_roles(bench))

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    try:
        assert [held for _ in range(200) for held in held_roles(bench)] == []
        assert seen == []
        for _ in range(50):
            with role_lock(bench, "twin"):
                pass
    finally:
        done.set()
        for looker in lookers:
            looker.join()


def test_what_a_killed_role_said_counts_no_more(bench: Bench) -> None:
    path = Paths(bench.data).status("twin")
    with role_lock(bench, "twin"):
        path.write_text('{"pid": 1, "state": "running"}', encoding="utf-8")
        assert read_status(bench, "twin")["state"] == "running"
    assert path.exists()
    assert read_status(bench, "twin") == {}
