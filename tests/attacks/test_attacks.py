"""Attacks on one log's files: what they change, and what they leave as it was."""

from pathlib import Path

import pytest

from testbed.attacks import published, records
from testbed.attacks.target import TargetLog
from testbed.core.bodies import Genesis, Heartbeat
from testbed.core.entropy import SeededEntropy
from testbed.core.errors import UsageError
from testbed.core.finding import What
from testbed.keys.ed25519 import SigningKey
from testbed.store.sqlite import LogStore
from testbed.tlog.publisher import Publisher
from testbed.tlog.sequencer import Log

SIZE = 20


@pytest.fixture
def target(tmp_path: Path) -> TargetLog:
    key = SigningKey.from_seed("bench/log", b"k" * 32)
    with LogStore.create(tmp_path / "log.sqlite") as store:
        log = Log(key, store, Publisher(tmp_path / "tlog"), SeededEntropy(1, "log"))
        log.append([("log", Genesis("bench/log", bytes(32), "test", True))])
        for number in range(1, SIZE):
            log.append([("log", Heartbeat(number, "", ()))])
        log.publish()
    return TargetLog("bench/log", tmp_path / "log.sqlite", tmp_path / "tlog", key.seed, (SIZE,))


def entries(target: TargetLog) -> list[tuple[int, bytes]]:
    with LogStore.read(target.store) as store:
        return [(row.index, row.entry) for row in store.rows()]


@pytest.mark.parametrize("index", [0, 7, SIZE - 1])
def test_a_deletion_closes_the_gap(target: TargetLog, index: int) -> None:
    before = [entry for _, entry in entries(target)]
    done = records.delete(target, index)
    del before[index]
    assert entries(target) == list(enumerate(before))
    assert [(one.what, one.index) for one in done.expected] == [(What.DELETED, index)]


@pytest.mark.parametrize("index", [0, 7, SIZE - 1])
def test_an_insertion_makes_room(target: TargetLog, index: int) -> None:
    before = [entry for _, entry in entries(target)]
    records.insert(target, index)
    after = entries(target)
    assert [number for number, _ in after] == list(range(SIZE + 1))
    assert [entry for number, entry in after if number != index] == before
    assert after[index][1] not in before


@pytest.mark.parametrize(("index", "pair"), [(0, (0, 1)), (7, (7, 8)), (SIZE - 1, (SIZE - 2, SIZE - 1))])
def test_a_swap_exchanges_two_neighbours(target: TargetLog, index: int, pair: tuple[int, int]) -> None:
    before = dict(entries(target))
    done = records.swap(target, index)
    one, other = pair
    before[one], before[other] = before[other], before[one]
    assert dict(entries(target)) == before
    assert [found.index for found in done.expected] == list(pair)


def test_a_tile_is_changed_in_one_hash(target: TargetLog) -> None:
    path = target.published / "tile/0/000.p" / str(SIZE)
    before = path.read_bytes()
    published.change_tile(target, 5)
    after = path.read_bytes()
    assert [i // 32 for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b] == [5]


def test_a_checkpoint_keeps_its_signature(target: TargetLog) -> None:
    with LogStore.read(target.store) as store:
        before = dict(store.checkpoints())
    published.change_checkpoint(target, 9)
    with LogStore.read(target.store) as store:
        after = dict(store.checkpoints())
    assert [size for size in before if before[size] != after[size]] == [9]
    assert before[9].split(b"\n\n")[1] == after[9].split(b"\n\n")[1]


@pytest.mark.parametrize("index", [-1, SIZE, 10**12])
def test_a_record_that_is_not_there_is_refused_and_nothing_changes(target: TargetLog, index: int) -> None:
    before = entries(target)
    for attack in (records.delete, records.insert, records.swap, published.change_tile):
        with pytest.raises(UsageError):
            attack(target, index)
    assert entries(target) == before
